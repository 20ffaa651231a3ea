//! How names, roles and numbers stand in rows.

use call::name::{CallName, Guid, Namespace, Role};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, ToSql};
use ulid::Ulid;

use super::file::{int, uint};
use crate::StoreError;
use crate::seal::{Place, Sealer, Table};
use crate::spoken::Spoken;

/// Bits of an utterance's id that count within its conversation.
const NUMBER_BITS: u32 = 28;

/// Unix time in milliseconds, or another number that has no sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Uint(pub(super) u64);

/// A ULID as its 16 bytes, or any other id as its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageId(pub(super) String);

/// A role by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoleColumn(pub(super) Role);

impl ToSql for Uint {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Integer(int(self.0))))
    }
}

impl FromSql for Uint {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|number| Self(uint(number)))
    }
}

impl ToSql for MessageId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let ulid = Ulid::from_string(&self.0).ok();
        let ulid = ulid.filter(|ulid| ulid.to_string() == self.0);
        Ok(ToSqlOutput::Owned(match ulid {
            Some(ulid) => Value::Blob(ulid.0.to_be_bytes().to_vec()),
            None => Value::Text(self.0.clone()),
        }))
    }
}

impl FromSql for MessageId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        if let ValueRef::Text(_) = value {
            return String::column_result(value).map(Self);
        }
        let bytes = <[u8; 16]>::try_from(value.as_blob()?);
        let bytes = bytes.map_err(|_| FromSqlError::InvalidType)?;
        Ok(Self(Ulid(u128::from_be_bytes(bytes)).to_string()))
    }
}

impl ToSql for RoleColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = match self.0 {
            Role::Agent => 0,
            Role::Customer => 1,
            Role::Mixed => 2,
        };
        Ok(ToSqlOutput::Owned(Value::Integer(number)))
    }
}

impl FromSql for RoleColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self(Role::Agent)),
            1 => Ok(Self(Role::Customer)),
            2 => Ok(Self(Role::Mixed)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// The ids of all utterances a conversation may have.
pub(super) fn ids_of(conversation: i64) -> (i64, i64) {
    let first = conversation << NUMBER_BITS;
    (first, first + (1 << NUMBER_BITS) - 1)
}

/// The id of a conversation's utterance by its number, from 0 on; `None` if there can be no more.
pub(super) fn utterance_id(conversation: i64, number: u64) -> Option<i64> {
    let (first, last) = ids_of(conversation);
    first.checked_add(int(number)).filter(|id| *id <= last)
}

/// The conversation of an utterance.
pub(super) fn conversation_of(utterance: i64) -> i64 {
    utterance >> NUMBER_BITS
}

/// Opens an utterance.
pub(super) fn spoken(sealer: &Sealer, id: i64, sealed: &[u8]) -> Result<Spoken, StoreError> {
    let bytes = sealer.open(Place::new(Table::Utterances, id), sealed)?;
    Spoken::decode(&bytes).map_err(|_| StoreError::Other("an utterance is garbled".into()))
}

/// Opens a text.
pub(super) fn text(sealer: &Sealer, place: Place, sealed: &[u8]) -> Result<String, StoreError> {
    String::from_utf8(sealer.open(place, sealed)?)
        .map_err(|_| StoreError::Other("a sealed text is garbled".into()))
}

/// A call's name in two columns.
pub(super) fn call_name(row: &Row<'_>, namespace: usize) -> rusqlite::Result<Option<CallName>> {
    let guid: String = row.get(namespace + 1)?;
    let namespace: String = row.get(namespace)?;
    let (namespace, guid) = (Namespace::parse(&namespace), Guid::parse(&guid).ok());
    Ok(namespace
        .zip(guid)
        .map(|(namespace, guid)| CallName { namespace, guid }))
}
