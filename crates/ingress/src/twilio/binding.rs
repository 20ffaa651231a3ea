//! What `start` binds a socket to.

use call::audio::Codec;
use call::name::{CallName, Guid, Namespace};

use crate::twilio::message::{MediaFormat, Start, Text};
use crate::twilio::parameters::Parameters;
use crate::twilio::tally::Unsupported;

/// What `start` said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The call.
    pub call: CallName,
    /// How its sound is encoded.
    pub codec: Codec,
    /// `streamSid`, `accountSid`, as far as they are told and printable.
    pub identifiers: Vec<(&'static str, String)>,
    /// What of `customParameters` is ours.
    pub parameters: Parameters,
}

/// Why a socket cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStart {
    /// There is no CallSid that could be a guid.
    #[error("start has no usable callSid")]
    Unnamed,
    /// The sound is in a format that we cannot take.
    #[error("the media format's {} is not supported", .0.as_str())]
    Unsupported(Unsupported),
}

impl Binding {
    /// Binds to what `start` says; the streamSid may stand outside of it.
    pub fn new(start: &Start<'_>, stream_sid: &Text<'_>) -> Result<Self, BadStart> {
        let guid = Guid::parse(start.call_sid.as_str()).map_err(|_| BadStart::Unnamed)?;
        let codec = codec(start.media_format.as_ref()).map_err(BadStart::Unsupported)?;
        let stream_sid = [&start.stream_sid, stream_sid]
            .into_iter()
            .find_map(identifier);
        let account_sid = identifier(&start.account_sid);
        let identifiers = [("streamSid", stream_sid), ("accountSid", account_sid)];
        Ok(Self {
            call: CallName {
                namespace: Namespace::Twilio,
                guid,
            },
            codec,
            identifiers: identifiers
                .into_iter()
                .filter_map(|(name, sid)| Some((name, sid?)))
                .collect(),
            parameters: start.custom_parameters.clone(),
        })
    }
}

/// L16 is little-endian, as the senders that are compatible with Twilio have it.
fn codec(format: Option<&MediaFormat<'_>>) -> Result<Codec, Unsupported> {
    let Some(format) = format else {
        return Ok(Codec::Pcmu);
    };
    if format.sample_rate.0.is_some_and(|rate| rate != 8000) {
        return Err(Unsupported::Rate);
    }
    if format.channels.0.is_some_and(|channels| channels != 1) {
        return Err(Unsupported::Channels);
    }
    match format.encoding.as_str().to_ascii_lowercase().as_str() {
        "" | "audio/x-mulaw" => Ok(Codec::Pcmu),
        "audio/x-alaw" => Ok(Codec::Pcma),
        "audio/x-l16" => Ok(Codec::L16),
        _ => Err(Unsupported::Encoding),
    }
}

/// SIDs are opaque, but they go into logs: only what could be a guid is kept.
fn identifier(text: &Text<'_>) -> Option<String> {
    Guid::parse(text.as_str())
        .ok()
        .map(|sid| sid.as_str().to_owned())
}
