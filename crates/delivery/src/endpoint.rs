//! A receiver of webhooks as the configuration describes it, and what may be wrong with that.

mod check;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use call::name::{Namespace, Role};
use call::private::Private;
use url::Url;

pub(crate) use self::check::check;

/// Where to send what, and how. More than twelve fields because it is one section of the
/// configuration.
#[derive(Clone)]
pub struct Endpoint {
    /// Its name in logs, metrics and the outbox: 1 to 64 letters, digits, `-` and `_`. Who renames
    /// an endpoint leaves behind what waits for it.
    pub name: String,
    /// Where to send it. Without user and fragment; its query is never logged.
    pub url: Url,
    /// The shape of what is sent.
    pub format: Format,
    /// What is sent.
    pub filter: Filter,
    /// Keys to sign with, all of them each time: `whsec_…` for HMAC-SHA256, `whsk_…` for ed25519.
    /// None: nothing is signed.
    pub secrets: Vec<Private<String>>,
    /// How we prove who we are, beside signing.
    pub authentication: Authentication,
    /// Whom to trust, and who we are to TLS.
    pub tls: Tls,
    /// An HTTP proxy through which everything goes. It resolves names itself, so that addresses
    /// are then guarded by the proxy.
    pub proxy: Option<Url>,
    /// How often and when to try again.
    pub retries: Retries,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How many attempts may be under way at once, each of another call.
    pub concurrency: usize,
    /// How many events go into one request at most; only with [`Format::CloudEventsBatch`].
    pub batch_max: usize,
    /// How long an event waits for others to go with it.
    pub batch_wait: Duration,
    /// After so many failures of one event its call's next events go on without it, and it follows
    /// later, marked as out of order. 0: never.
    pub skip_after: u32,
    /// After so many refusals (statuses of 400 and above that say that the event itself is wrong)
    /// an event is a dead letter. 0: only when its schedule is at its end.
    pub give_up_after: u32,
    /// With [`Retries::Off`]: when more than this wait, the oldest are thrown away.
    pub pending_max: usize,
    /// Whether it may be at an address that is not public.
    pub allow_private: bool,
    /// Whether `http://` will do.
    pub allow_http: bool,
}

/// The shape of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// ASAPP's: one final utterance a request. For no other event.
    #[default]
    Asapp,
    /// CloudEvents 1.0, structured.
    CloudEvents,
    /// Several CloudEvents of one call in one request.
    CloudEventsBatch,
    /// `type`, `timestamp` and `data`, as Standard Webhooks advises.
    Envelope,
}

/// Which events an endpoint wants. All that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Of these kinds, as [`crate::KINDS`] names them.
    pub kinds: Vec<String>,
    /// Of calls of these platforms; empty: of all.
    pub namespaces: Vec<Namespace>,
    /// Of these speakers; empty: of all. Events that are nobody's always pass.
    pub roles: Vec<Role>,
    /// Of this tenant's calls; `None`: of everybody's.
    pub tenant: Option<String>,
}

/// How we prove who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// A secret in a header.
    Header {
        /// The header's name.
        name: String,
        /// What it says.
        secret: Private<String>,
    },
    /// Not at all.
    #[default]
    None,
    /// A bearer token that is fetched with a secret.
    OAuth2(OAuth2),
    /// A secret as a parameter of the URL.
    Parameter {
        /// The parameter's name.
        name: String,
        /// Its value.
        secret: Private<String>,
    },
}

/// OAuth 2.0 client credentials, RFC 6749 section 4.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2 {
    /// Where tokens are given.
    pub token_url: Url,
    /// Who we are.
    pub client_id: String,
    /// Proof of it.
    pub client_secret: Private<String>,
    /// What the token is for, if the server wants to know.
    pub scope: Option<String>,
    /// For whom the token is, if the server wants to know.
    pub audience: Option<String>,
    /// Id and secret go into the body of the request instead of its `Authorization`.
    pub secret_in_body: bool,
}

/// Certificates of a connection. The operating system's roots are always trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Further roots to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its chain, PEM.
    pub client_cert_file: Option<PathBuf>,
    /// Its key, PEM.
    pub client_key_file: Option<PathBuf>,
}

/// When to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retries {
    /// Never: what fails is thrown away, as ASAPP does.
    Off,
    /// After each of these times, counted from the attempt before, a fifth more or less; then it
    /// is a dead letter.
    Schedule(Vec<Duration>),
}

/// Why an endpoint cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("webhook `{endpoint}`: {problem}")]
pub struct EndpointError {
    /// Its name.
    pub endpoint: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The destination is an address that webhooks must not reach.
    #[error("{0} leads to an address that is not public; `allow_private` would allow it")]
    Address(&'static str),
    /// ASAPP's format has no other events.
    #[error(
        "format `asapp` is for final transcripts only, it has no shape for `{0}`; another \
             format does"
    )]
    AsappKind(String),
    /// TLS or HTTP cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// A file cannot be used.
    #[error("{0}: {1}")]
    File(&'static str, String),
    /// A header that we set ourselves, or none at all.
    #[error("the secret cannot be sent in a header `{0}`")]
    Header(String),
    /// No such kind of event.
    #[error("there are no events `{0}`")]
    Kind(String),
    /// No kind of event at all.
    #[error("it asks for no events")]
    Kinds,
    /// The name is none.
    #[error("the name must be 1 to 64 letters, digits, `-` and `_`")]
    Name,
    /// A partial transcript is worth nothing a moment later.
    #[error("partial transcripts are not sent by webhook; the event stream has them")]
    Partial,
    /// The proxy's URL is none.
    #[error("proxy must be an http or https URL")]
    Proxy,
    /// A number or time is out of range.
    #[error("{0}")]
    Range(&'static str),
    /// A key to sign with is none; its text is not told.
    #[error("secret {number}: {why}")]
    Secret {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A header or parameter has a secret that cannot be sent.
    #[error("the secret has characters that cannot be sent")]
    SecretText,
    /// Two endpoints have this name.
    #[error("there are two of this name")]
    Twice,
    /// The URL is none that can be used.
    #[error(
        "{0} must begin with https:// (http:// needs `allow_http`), and have no user and no \
             fragment"
    )]
    Url(&'static str),
}

impl Endpoint {
    /// With the defaults for all that has one.
    pub fn new(name: &str, url: Url) -> Self {
        Self {
            name: name.to_owned(),
            url,
            format: Format::default(),
            filter: Filter::default(),
            secrets: Vec::new(),
            authentication: Authentication::default(),
            tls: Tls::default(),
            proxy: None,
            retries: Retries::default(),
            timeout: Duration::from_secs(20),
            concurrency: 8,
            batch_max: 20,
            batch_wait: Duration::from_millis(250),
            skip_after: 0,
            give_up_after: 8,
            pending_max: 1000,
            allow_private: false,
            allow_http: false,
        }
    }
}

impl Format {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 4] = [
        Self::Asapp,
        Self::CloudEvents,
        Self::CloudEventsBatch,
        Self::Envelope,
    ];

    /// The configuration's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asapp => "asapp",
            Self::CloudEvents => "cloudevents",
            Self::CloudEventsBatch => "cloudevents-batch",
            Self::Envelope => "envelope",
        }
    }

    /// Reads the configuration's word; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }
}

impl Retries {
    /// When the second attempt is made and each after it, in seconds: over three days in all. The
    /// first is made at once.
    pub const DEFAULT: [u64; 12] = [
        1, 5, 30, 120, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
    ];
}

impl Default for Retries {
    fn default() -> Self {
        Self::Schedule(Self::DEFAULT.map(Duration::from_secs).to_vec())
    }
}

impl Default for Filter {
    /// Final transcripts, everybody's.
    fn default() -> Self {
        Self {
            kinds: vec!["transcript".to_owned()],
            namespaces: Vec::new(),
            roles: Vec::new(),
            tenant: None,
        }
    }
}

impl fmt::Debug for Endpoint {
    /// The URL may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("host", &self.url.host_str().unwrap_or_default())
            .field("format", &self.format)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
