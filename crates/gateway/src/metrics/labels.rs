//! Labels: closed sets, so that nobody outside can make series.

/// A route, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v1/calls/{namespace}/{guid}`
    Call,
    /// `/v1/calls/{namespace}/{guid}/events`
    CallEvents,
    /// `/v1/calls`
    Calls,
    /// `/v1/conversations/…`
    Conversation,
    /// `/v1/conversations`
    Conversations,
    /// `/v1/webhooks/{name}/…`
    DeadLetters,
    /// `/docs` and all below it.
    Docs,
    /// `/v1/events`
    Events,
    /// `/fileexporter/…`
    FileExporter,
    /// `/v1/health`
    Health,
    /// `/health/live`
    Live,
    /// `/conversation/v1/…/messages`
    Messages,
    /// `/metrics`
    Metrics,
    /// `/openapi.json`
    OpenApi,
    /// No route of ours.
    Other,
    /// `…/pause`
    Pause,
    /// `/health/ready`
    Ready,
    /// `…/resume`
    Resume,
    /// `…/start-streaming`
    Start,
    /// `…/stop-streaming`
    Stop,
    /// `…/twilio-media-stream-url`
    StreamUrl,
    /// `/v1/tokens`
    Tokens,
    /// `/version`
    Version,
    /// `/v1/webhooks`
    Webhooks,
}

/// Which command, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandName {
    /// `…/pause`
    Pause,
    /// `…/resume`
    Resume,
    /// `start-streaming`
    Start,
    /// `stop-streaming`
    Stop,
}

/// Which limit turned a request away, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Too many failed authentications from one address.
    Address,
    /// Too many requests with one key.
    Key,
    /// Too many readers of events.
    Subscribers,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Call,
        Self::CallEvents,
        Self::Calls,
        Self::Conversation,
        Self::Conversations,
        Self::DeadLetters,
        Self::Docs,
        Self::Events,
        Self::FileExporter,
        Self::Health,
        Self::Live,
        Self::Messages,
        Self::Metrics,
        Self::OpenApi,
        Self::Other,
        Self::Pause,
        Self::Ready,
        Self::Resume,
        Self::Start,
        Self::Stop,
        Self::StreamUrl,
        Self::Tokens,
        Self::Version,
        Self::Webhooks,
    ];

    /// As the label says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::CallEvents => "call_events",
            Self::Calls => "calls",
            Self::Conversation => "conversation",
            Self::Conversations => "conversations",
            Self::DeadLetters => "dead_letters",
            Self::Docs => "docs",
            Self::Events => "events",
            Self::FileExporter => "file_exporter",
            Self::Health => "health",
            Self::Live => "live",
            Self::Messages => "messages",
            Self::Metrics => "metrics",
            Self::OpenApi => "openapi",
            Self::Other => "other",
            Self::Pause => "pause",
            Self::Ready => "ready",
            Self::Resume => "resume",
            Self::Start => "start_streaming",
            Self::Stop => "stop_streaming",
            Self::StreamUrl => "twilio_media_stream_url",
            Self::Tokens => "tokens",
            Self::Version => "version",
            Self::Webhooks => "webhooks",
        }
    }
}

impl CommandName {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 4] = [Self::Pause, Self::Resume, Self::Start, Self::Stop];

    /// As the label and the log say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

impl Limit {
    /// As the label says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Key => "key",
            Self::Subscribers => "subscribers",
        }
    }
}
