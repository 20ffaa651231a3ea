//! The names of all kinds of events, as a schema.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::events::Event;

/// One of them. It stands in schemas for texts that are compared with the list.
pub(crate) struct KindName;

impl PartialSchema for KindName {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new().schema_type(Type::String);
        name.enum_values(Some(Event::KINDS)).into()
    }
}

impl ToSchema for KindName {}
