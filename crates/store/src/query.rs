//! What is asked, and what is answered.

use std::sync::Arc;

use call::name::{CallName, Namespace, Role};
use call::private::Private;
use call::transcript::Token;

use crate::entry::{EventPlace, StreamSummary};

/// How a conversation is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByName {
    /// A call's guid on any platform, or another identifier of its media session; of several
    /// conversations the newest.
    External(String),
    /// Our own id of it.
    Id(String),
    /// The call.
    Call(CallName),
}

/// What who asks may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only this tenant's conversations; `None`: everybody's.
    pub tenant: Option<Arc<str>>,
}

/// One message of the messages API.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// ULID.
    pub id: String,
    /// Who said it.
    pub role: Role,
    /// `customerId` or `agentId` of the start; `None` if that was empty.
    pub sender: Option<Private<String>>,
    /// The first reading.
    pub text: Private<String>,
    /// When it was kept, unix time in milliseconds.
    pub created_unix_ms: u64,
    /// When it was said, unix time in milliseconds.
    pub said_unix_ms: u64,
}

/// A question for conversations. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Words that must all have been said in it, in any order, upper or lower case alike.
    pub words: Vec<String>,
    /// Begun at or after, unix time in milliseconds.
    pub from_unix_ms: Option<u64>,
    /// Begun before.
    pub to_unix_ms: Option<u64>,
    /// Of this platform.
    pub namespace: Option<Namespace>,
    /// In which this party speaks.
    pub sender: Option<Private<String>>,
    /// Behind this one, as [`Page::next`] said.
    pub after: Option<String>,
    /// At most so many.
    pub most: usize,
}

/// A part of an answer. It may have fewer conversations than were asked for, or none, and yet be
/// followed by another part.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The newest first.
    pub conversations: Vec<Line>,
    /// There are more: ask again behind this.
    pub next: Option<String>,
}

/// A conversation in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Our id of it, a ULID.
    pub id: String,
    /// The call.
    pub call: CallName,
    /// When it began, unix time in milliseconds.
    pub began_unix_ms: u64,
    /// When it ended, if it has.
    pub ended_unix_ms: Option<u64>,
    /// How many final utterances there are.
    pub utterances: u64,
    /// How long the service did not hear, in milliseconds, pauses not counted.
    pub lost_ms: u64,
}

/// A conversation with all that is known of it.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// As in a list.
    pub line: Line,
    /// The call's other names.
    pub names: Vec<CallName>,
    /// How it ended: whose doing, and why.
    pub ending: Option<(String, String)>,
    /// Its legs.
    pub legs: Vec<Leg>,
    /// Its streams.
    pub streams: Vec<Stream>,
    /// What the service did not hear.
    pub gaps: Vec<Gap>,
    /// What it was not to hear.
    pub pauses: Vec<Pause>,
    /// Who asked for what.
    pub commands: Vec<Commanded>,
}

/// A leg of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Its number in its process.
    pub leg: u64,
    /// `first` or `second`.
    pub side: String,
    /// Who speaks, once that was known.
    pub role: Option<Role>,
    /// Why it is that role.
    pub role_reason: Option<String>,
    /// How sure that is.
    pub role_confidence: Option<String>,
    /// When it came, unix time in milliseconds.
    pub opened_unix_ms: u64,
    /// When it ended.
    pub ended_unix_ms: Option<u64>,
    /// How it ended: whose doing, and why.
    pub ending: Option<(String, String)>,
    /// What it had seen, JSON.
    pub counters: Option<String>,
}

/// A stream of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its id.
    pub id: String,
    /// Who speaks on it.
    pub role: Role,
    /// The service that accepted it last.
    pub service: Option<String>,
    /// When it was opened, unix time in milliseconds.
    pub opened_unix_ms: u64,
    /// When it ended.
    pub ended_unix_ms: Option<u64>,
    /// Its status and that in words.
    pub status: Option<(u16, String)>,
    /// What the service counted.
    pub summary: Option<StreamSummary>,
}

/// A stretch that the service did not, or may not have, heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The stream's id.
    pub stream: String,
    /// Who speaks on it.
    pub role: Role,
    /// First millisecond, on the stream's clock.
    pub from_ms: u64,
    /// Millisecond after the last.
    pub to_ms: u64,
    /// Why.
    pub reason: String,
}

/// A stretch of time that was not to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Unix time in milliseconds.
    pub from_unix_ms: u64,
    /// `None`: it lasts, or lasted to the call's end.
    pub to_unix_ms: Option<u64>,
}

/// A command of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commanded {
    /// When, unix time in milliseconds.
    pub at_unix_ms: u64,
    /// What, by whom, from where.
    pub verb: String,
    /// The API key's public half.
    pub key: String,
    /// The address it came from.
    pub from: Private<String>,
    /// `ok`, or the code of the refusal.
    pub outcome: String,
    /// The request's id.
    pub request: String,
}

/// Which events.
#[derive(Clone, Debug)]
pub struct EventSearch {
    /// Behind this one.
    pub after: EventPlace,
    /// Not beyond this one.
    pub until: Option<EventPlace>,
    /// Of this call only, under any of its names.
    pub call: Option<CallName>,
    /// Of these kinds only; empty: of all.
    pub kinds: Vec<String>,
    /// At most so many.
    pub most: usize,
}

/// Which utterances. They come in the order of the times at which they were kept; those of the same
/// millisecond conversation by conversation.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// Kept at or after, unix time in milliseconds.
    pub from_unix_ms: u64,
    /// Kept before.
    pub to_unix_ms: u64,
    /// Behind the one with this message id.
    pub after: Option<String>,
    /// At most so many.
    pub most: usize,
}

/// An utterance with where it belongs.
#[derive(Clone, Debug)]
pub struct ExportedUtterance {
    /// Our id of the conversation.
    pub conversation: String,
    /// The call.
    pub call: CallName,
    /// The stream's id.
    pub stream: String,
    /// As the messages API tells it.
    pub message: Message,
    /// Beginning, in milliseconds on the stream's clock.
    pub start_ms: u64,
    /// End, likewise.
    pub end_ms: u64,
    /// Further readings.
    pub others: Vec<Private<String>>,
    /// Word by word, of the first reading.
    pub tokens: Vec<Token>,
}

/// What is past its time.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// Conversations that ended, or were last heard of, before this; unix time in milliseconds.
    pub conversations_before_unix_ms: u64,
    /// Events before this.
    pub events_before_unix_ms: u64,
    /// Dead letters before this.
    pub dead_letters_before_unix_ms: u64,
    /// The oldest dead letters go when the bodies of all are more than this, in bytes.
    pub dead_letters_bytes_max: u64,
    /// If the files are bigger than this, the oldest conversations go too.
    pub bytes_max: u64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Whole conversations.
    pub conversations: u64,
    /// How many of these went for lack of room.
    pub for_room: u64,
    /// Events.
    pub events: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Whether there is more to remove.
    pub more: bool,
}
