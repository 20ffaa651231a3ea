//! The parts of a SIPREC body: SDP, metadata, whatever else. RFC 2046 §5.1, RFC 7866 §9.
//!
//! The splitter forgives what recording clients get wrong: a missing last delimiter, blank lines
//! and blanks round delimiters, bare line feeds, headers without a blank after the colon, parts in
//! any order, parts without headers, a body whose type was not said.

mod boundary;
mod entity;
pub mod fuzz;

use std::fmt;

use crate::message::Headers;

use entity::{Entity, Handling, Kind};

/// What a message's body holds.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The session description.
    pub sdp: Option<Vec<u8>>,
    /// The metadata, with the charset parameter of its part if it had one.
    pub metadata: Option<Metadata>,
    /// The global call identifier (line `GCI`) of a Cisco GTD part: 32 hex digits.
    pub gtd: Option<String>,
    /// Content types of parts that were skipped (`handling=optional`, or no handling said of a
    /// type we do not know), and of second parts of a type that is read once.
    pub skipped: Vec<String>,
}

/// A metadata part.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata {
    /// As it came; its reader cuts what stands before and behind the document.
    pub bytes: Vec<u8>,
    /// `charset` of its Content-Type; it wins over the XML declaration. RFC 7865 §5.1.
    pub charset: Option<String>,
}

/// How far a body is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Parts of a message, over all levels. Default 16.
    pub parts_max: usize,
    /// Multipart bodies inside each other. Default 3.
    pub levels_max: usize,
}

/// Why a body cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Content-Type (or Content-Encoding) we do not take: 415, with Accept.
    #[error("content of type {0} is not accepted")]
    UnsupportedType(String),
    /// A part that must be understood is not: 415.
    #[error("a part of type {0} must be understood and is not")]
    RequiredPart(String),
    /// A multipart body without a usable boundary, or with too many parts or levels.
    #[error("the multipart body cannot be read: {0}")]
    Multipart(&'static str),
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            parts_max: 16,
            levels_max: 3,
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The SDP may hold SRTP keys.
        f.debug_struct("Parts")
            .field("sdp_bytes", &self.sdp.as_ref().map(Vec::len))
            .field("metadata", &self.metadata)
            .field("gtd", &self.gtd)
            .field("skipped", &self.skipped)
            .finish()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("bytes", &self.bytes.len())
            .field("charset", &self.charset)
            .finish()
    }
}

/// Takes a body apart. `content_type` is `None` where the header is missing; then the body is
/// looked at. An empty body has no parts.
pub fn split(content_type: Option<&str>, body: &[u8]) -> Result<Parts, BadBody> {
    let entity = Entity::of_type(content_type, body);
    split_entity(&entity, &BodyLimits::default())
}

/// Takes a message's body apart as all of its headers say: Content-Type, Content-Disposition,
/// Content-Encoding, Content-Transfer-Encoding.
pub fn split_message(
    headers: &Headers,
    body: &[u8],
    limits: &BodyLimits,
) -> Result<Parts, BadBody> {
    split_entity(&Entity::of_message(headers, body), limits)
}

fn split_entity(entity: &Entity<'_>, limits: &BodyLimits) -> Result<Parts, BadBody> {
    let mut splitter = Splitter {
        limits,
        parts: Parts::default(),
        seen: 0,
    };
    splitter.take(entity, 0)?;
    Ok(splitter.parts)
}

struct Splitter<'l> {
    limits: &'l BodyLimits,
    parts: Parts,
    seen: usize,
}

impl Splitter<'_> {
    /// Takes one entity: the message's body (level 0) or a part of it.
    fn take(&mut self, entity: &Entity<'_>, level: usize) -> Result<(), BadBody> {
        if entity.is_blank() {
            return Ok(());
        }
        let kind = entity.kind();
        if kind == Kind::Unknown {
            return self.pass_over(entity, level);
        }
        let Some(body) = entity.decoded() else {
            // Skipping an SDP that cannot be read would make an offerless INVITE of it.
            let what = format!("{} in an encoding that is not read", entity.shown_type());
            return Err(BadBody::UnsupportedType(what));
        };
        match kind {
            Kind::Gtd => self.parts.gtd = self.parts.gtd.take().or_else(|| entity::gci(&body)),
            Kind::Metadata if self.parts.metadata.is_none() => {
                self.parts.metadata = Some(Metadata {
                    charset: entity.charset(),
                    bytes: body.into_owned(),
                });
            }
            Kind::Multipart => return self.descend(entity, &body, level + 1),
            Kind::Sdp if self.parts.sdp.is_none() => self.parts.sdp = Some(body.into_owned()),
            _ => self.parts.skipped.push(entity.shown_type()),
        }
        Ok(())
    }

    fn descend(&mut self, entity: &Entity<'_>, body: &[u8], level: usize) -> Result<(), BadBody> {
        if level > self.limits.levels_max {
            return Err(BadBody::Multipart("it has more levels than are read"));
        }
        let left = self.limits.parts_max - self.seen;
        let pieces = boundary::pieces(body, entity.boundary().as_deref(), left)?;
        self.seen += pieces.len();
        pieces
            .into_iter()
            .try_for_each(|piece| self.take(&Entity::of_part(piece), level))
    }

    /// RFC 3261 §20.11 takes a part without `handling` for a required one; clients add parts of
    /// their own without saying so, and only an explicit word is taken at its word here.
    fn pass_over(&mut self, entity: &Entity<'_>, level: usize) -> Result<(), BadBody> {
        let shown = entity.shown_type();
        match entity.handling() {
            Handling::Optional => {}
            Handling::Unsaid if level > 0 => {}
            Handling::Required if level > 0 => return Err(BadBody::RequiredPart(shown)),
            Handling::Required | Handling::Unsaid => return Err(BadBody::UnsupportedType(shown)),
        }
        self.parts.skipped.push(shown);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
