//! AssemblyAI Streaming v3: one WebSocket a leg, all that is asked for in its address.

mod codes;
mod dialect;
mod fuzz;
mod message;
mod parameters;
mod token;
mod turns;

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use url::Url;

use call::audio::SAMPLE_RATE;
use call::private::Private;
use call::start::{StreamSpec, Wish};

pub use self::fuzz::{fuzz, fuzz_parameters};
pub use self::parameters::{PARAMETERS, read_parameters};

use self::dialect::AssemblyAiDialect;
use self::parameters::{Asked, Presets};
use self::token::Tokens;
use crate::base::socket_url;
use crate::parameters::Parameters;
use crate::service::{BadParameter, Dialect, Limits, LocateError, Located, Retry, Service};
use crate::trust::Trust;

const NAME: &str = "assemblyai";

/// Where the service is, who we are to it, what is asked of it, and our limits towards it: one
/// field a setting, so that there are many.
#[derive(Clone, Debug)]
pub struct AssemblyAiConfig {
    /// Scheme, host and port: `wss://streaming.assemblyai.com`, which is the nearest region;
    /// `streaming.us.` and `streaming.eu.` keep the sound there, and a self-hosted one is
    /// `ws://host:8080`. `https://` and `http://` mean the same as `wss://` and `ws://`.
    pub base_url: Url,
    /// The account's key.
    pub api_key: Private<String>,
    /// How the key is shown.
    pub auth: Auth,
    /// If by tokens: how they are asked for.
    pub token: TokenConfig,
    /// How the sound goes over the wire.
    pub encoding: Encoding,
    /// How much sound goes into one message: 50 ms to 1 s.
    pub chunk: Duration,
    /// How fast a backlog may be sent, in percent of real time.
    pub pace_percent: u32,
    /// How much sound may be sent at once before the pace counts.
    pub burst: Duration,
    /// After so long without sound the socket is kept alive; shorter than `inactivity_timeout`, if
    /// that parameter is given. Without it the service waits for ever.
    pub idle: Duration,
    /// How long the service lets a socket live, if it does not say so itself: 3 h. With tokens it
    /// is asked to end it then.
    pub session_max: Duration,
    /// Whether guesses are told before a turn is over. Where text is redacted the service sends
    /// none.
    pub partials: bool,
    /// Parameters of all streams; see [`read_parameters`].
    pub parameters: Parameters,
    /// How much of the address phrases of the vocabulary may take, encoded.
    pub vocabulary_bytes_max: usize,
    /// Whether `ws://` may lead to another machine. To this one it always may.
    pub allow_plain: bool,
}

/// How the key is shown to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// In a header, with each socket.
    Header,
    /// In exchange for a token that is asked for anew for each socket, and stands in its address.
    Token,
}

/// How tokens are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// How long the request may take.
    pub timeout: Duration,
    /// A longer answer to it is refused.
    pub answer_bytes_max: usize,
    /// How long a token may wait to be used: 1 s to 10 min.
    pub lifetime: Duration,
}

/// How the sound goes over the wire, at 8 kHz. In either case it comes from behind the gate,
/// decoded: the platform's own bytes never pass. Sound that came as μ-law is the same after it was
/// decoded and encoded again, so that nothing is lost by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `pcm_mulaw`: half the bytes.
    Mulaw,
    /// `pcm_s16le`
    Linear,
}

/// Why the service cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyAiError {
    /// The base URL is not one, or is without TLS.
    #[error(
        "base_url must begin with wss:// (or ws:// for this machine) and have a host, but neither \
         user nor query"
    )]
    BaseUrl,
    /// The chunk is too short or too long.
    #[error("chunk must be from 50ms to 1s")]
    Chunk,
    /// No HTTP client could be made.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// The key cannot be sent as a header.
    #[error("api_key must be visible ASCII, and not empty")]
    Credential,
    /// A parameter is not as it must be in a configuration.
    #[error("parameters: {0}")]
    Parameter(#[from] BadParameter),
    /// The service would not make such a token.
    #[error("token_lifetime must be from 1s to 600s")]
    TokenLifetime,
}

/// The service.
pub struct AssemblyAi {
    url: Url,
    headers: HeaderMap,
    /// If the key is not shown itself.
    tokens: Option<Tokens>,
    encoding: Encoding,
    presets: Presets,
    limits: Limits,
}

impl AssemblyAiConfig {
    /// With the defaults for all that has one.
    pub fn new(api_key: Private<String>) -> Self {
        Self {
            base_url: Url::parse("wss://streaming.assemblyai.com").expect("a literal"),
            api_key,
            auth: Auth::Header,
            token: TokenConfig::default(),
            encoding: Encoding::Linear,
            chunk: Duration::from_millis(100),
            pace_percent: 120,
            burst: Duration::from_millis(500),
            idle: Duration::from_secs(20),
            session_max: Duration::from_secs(3 * 60 * 60),
            partials: false,
            parameters: Parameters::default(),
            vocabulary_bytes_max: 6 << 10,
            allow_plain: false,
        }
    }
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            answer_bytes_max: 16 << 10,
            lifetime: Duration::from_secs(60),
        }
    }
}

impl Encoding {
    /// The service's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mulaw => "pcm_mulaw",
            Self::Linear => "pcm_s16le",
        }
    }
}

impl AssemblyAi {
    const PATH: &'static str = "/v3/ws";
    const CHUNK_MIN: Duration = Duration::from_millis(50);
    const CHUNK_MAX: Duration = Duration::from_secs(1);

    /// Checks the configuration; opens nothing yet.
    pub fn new(config: &AssemblyAiConfig, trust: &Trust) -> Result<Self, AssemblyAiError> {
        if !(Self::CHUNK_MIN..=Self::CHUNK_MAX).contains(&config.chunk) {
            return Err(AssemblyAiError::Chunk);
        }
        let limits = Limits {
            chunk: config.chunk,
            chunk_min: Self::CHUNK_MIN,
            chunk_max: Self::CHUNK_MAX,
            pace_percent: config.pace_percent,
            burst: config.burst,
            idle: config.idle,
            session_max: config.session_max,
            accepts_at_open: false,
            // At the end it tells whole seconds, and what it told before is older.
            counts_bytes: false,
        };
        outlives(&config.parameters, config.idle)?;
        may_be_configured(&config.parameters)?;
        let address = |path| {
            let url = socket_url(&config.base_url, path, config.allow_plain);
            url.ok_or(AssemblyAiError::BaseUrl)
        };
        let mut headers = credentials(&config.api_key)?;
        let tokens = match config.auth {
            Auth::Header => None,
            Auth::Token => {
                let whereto = (address(Tokens::PATH)?, headers.clone());
                headers.remove(header::AUTHORIZATION);
                let session_max = config.session_max;
                Some(Tokens::new(&config.token, session_max, whereto, trust)?)
            }
        };
        Ok(Self {
            url: address(Self::PATH)?,
            headers,
            tokens,
            encoding: config.encoding,
            presets: Presets {
                parameters: config.parameters.clone(),
                partials: config.partials,
                vocabulary_bytes_max: config.vocabulary_bytes_max,
            },
            limits,
        })
    }

    async fn request(&self, spec: &StreamSpec) -> Result<Located, LocateError> {
        let asked = Asked::of(&self.presets, spec);
        if let Some(refusal) = asked.refusal() {
            return Err(refusal);
        }
        let token = match &self.tokens {
            None => None,
            Some(tokens) => Some(tokens.ask().await?),
        };
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("sample_rate", &SAMPLE_RATE.to_string())
            .append_pair("encoding", self.encoding.as_str())
            .extend_pairs(asked.pairs())
            .extend_pairs(token.map(|token| ("token", token)));
        let mut request = http::Request::new(());
        *request.uri_mut() = url.as_str().parse().map_err(|_| LocateError {
            reason: "the parameters make an address that cannot be used".to_owned(),
            retry: Retry::Session,
        })?;
        *request.headers_mut() = self.headers.clone();
        Ok(Located {
            request,
            fresh: true,
        })
    }
}

impl Service for AssemblyAi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn locate<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<Located, LocateError>> {
        Box::pin(self.request(spec))
    }

    fn dialect(&self, spec: &StreamSpec) -> Box<dyn Dialect> {
        let asked = Asked::of(&self.presets, spec);
        Box::new(AssemblyAiDialect::new(
            self.encoding,
            self.presets.partials,
            &asked,
            spec,
        ))
    }

    fn check(&self, wish: &Wish) -> Result<(), BadParameter> {
        let wished = wish.parameters.iter();
        let wished = wished.map(|(name, text)| (&**name, text.reveal().as_str()));
        outlives(&read_parameters(wished)?, self.limits.idle)
    }
}

/// The key stands by itself, without a scheme.
fn credentials(api_key: &Private<String>) -> Result<HeaderMap, AssemblyAiError> {
    let key = api_key.reveal().as_str();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AssemblyAiError::Credential);
    }
    let mut key = HeaderValue::from_str(key).map_err(|_| AssemblyAiError::Credential)?;
    key.set_sensitive(true);
    let version = env!("CARGO_PKG_VERSION");
    let agent = format!("AssemblyAI/1.0 (integration=Antiphon/{version})");
    let agent = HeaderValue::from_str(&agent).expect("a version is visible ASCII");
    let headers = [(header::AUTHORIZATION, key), (header::USER_AGENT, agent)];
    Ok(headers.into_iter().collect())
}

/// Whether a socket is kept alive before the service would end it.
fn outlives(parameters: &Parameters, idle: Duration) -> Result<(), BadParameter> {
    let timeout = parameters.single("inactivity_timeout");
    let timeout = timeout.and_then(|seconds| seconds.parse().ok());
    match timeout.map(Duration::from_secs) {
        Some(timeout) if timeout <= idle => Err(BadParameter {
            name: "inactivity_timeout".to_owned(),
            what: format!("must be longer than `idle`, {} s", idle.as_secs_f32()),
        }),
        _ => Ok(()),
    }
}

/// Whether all streams may be opened with these.
fn may_be_configured(parameters: &Parameters) -> Result<(), BadParameter> {
    let name = "customer_support_audio_capture";
    if parameters.single(name) == Some("true") {
        return Err(BadParameter {
            name: name.to_owned(),
            what: "keeps the sound at the service: for a start to say that allows it".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
