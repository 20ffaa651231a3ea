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
    /// `/docs` and all below it.
    Docs,
    /// `/v1/events`
    Events,
    /// `/v1/health`
    Health,
    /// `/health/live`
    Live,
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
    /// `/version`
    Version,
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
    pub const ALL: [Self; 17] = [
        Self::Call,
        Self::CallEvents,
        Self::Calls,
        Self::Docs,
        Self::Events,
        Self::Health,
        Self::Live,
        Self::Metrics,
        Self::OpenApi,
        Self::Other,
        Self::Pause,
        Self::Ready,
        Self::Resume,
        Self::Start,
        Self::Stop,
        Self::StreamUrl,
        Self::Version,
    ];

    /// As the label says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::CallEvents => "call_events",
            Self::Calls => "calls",
            Self::Docs => "docs",
            Self::Events => "events",
            Self::Health => "health",
            Self::Live => "live",
            Self::Metrics => "metrics",
            Self::OpenApi => "openapi",
            Self::Other => "other",
            Self::Pause => "pause",
            Self::Ready => "ready",
            Self::Resume => "resume",
            Self::Start => "start_streaming",
            Self::Stop => "stop_streaming",
            Self::StreamUrl => "twilio_media_stream_url",
            Self::Version => "version",
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
