//! The stream that the fuzz targets and the tests of the dialects speak for.

use std::sync::Arc;

use call::name::{CallName, Guid, Namespace, Role, StreamId};
use call::start::{StreamOptions, StreamSpec, Wish};

/// A customer's stream of a Twilio call.
pub(crate) fn stream(options: StreamOptions) -> Option<StreamSpec> {
    Some(StreamSpec {
        id: StreamId::new("5ce2b755"),
        call: CallName {
            namespace: Namespace::Twilio,
            guid: Guid::parse("CA0042").ok()?,
        },
        external: "CA0042".into(),
        role: Role::Customer,
        sender: "JD232442".to_owned().into(),
        options: Arc::new(options),
        wish: Wish::default(),
    })
}
