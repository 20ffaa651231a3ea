//! Every key of the configuration: its type, its limits, its default and its meaning.
//!
//! This is the one place where they stand. The doc comment of a key is its text in `docs/config.md`
//! and in the sample file, so it speaks to who runs the gateway.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use call::private::Private;
use url::Url;

use super::kind::urls::WebUrl;
use super::kind::{Address, Count, File, Flag, List, Period, Positive, Secret, Size, Text, word};
use super::section::{Field, Section, Settings, optional, preset, required, section};
use super::words::{LogFormat, LogLevel};
use crate::api::ApiSettings;
use crate::api::auth::Scope;

/// Declares a section: the struct, and how each field is read from the key of its name.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $( $(#[doc = $meaning:literal])+ $key:ident: $type:ty = $how:expr; )*
        }
        $(check $check:ident)?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $( $(#[doc = $meaning])+ pub $key: $type, )* }

        impl Settings for $name {
            const ABOUT: &'static str = concat!($($about),+);

            fn read(s: &mut Section<'_>) -> Self {
                let settings = Self {
                    $( $key: $how.read(s, stringify!($key), concat!($($meaning),+)), )*
                };
                $( settings.$check(s); )?
                settings
            }
        }
    };
}

// They use the macro, so they come after it.
pub mod api;
pub mod delivery;
pub mod overload;
pub mod siprec;
pub mod store;
pub mod twilio;
pub mod upstream;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DAY: Duration = s(86_400);

settings! {
    /// Where Antiphon listens, and what the world calls it.
    pub struct Http {
        /// The address and port for the API, for Twilio's media and for health and metrics.
        listen: std::net::SocketAddr = preset(Address, ([127, 0, 0, 1], 8080).into());
        /// The URL under which Twilio and the users of the API reach this gateway, with the path in
        /// front of ours if a proxy adds one. Twilio's signatures are checked against it, and the
        /// answer that names the media stream's URL is made from it.
        public_url: Url = required(WebUrl, "https://antiphon.example.com");
        /// Whether the last entry of `X-Forwarded-For` is the client, for limits by address. Only
        /// behind a proxy that sets it.
        trust_forwarded_for: bool = preset(Flag, api().trust_forwarded_for);
        /// Certificate and key.
        tls: Tls = section();
    }
}

settings! {
    /// The certificate, when Antiphon speaks TLS itself. Without these two files it speaks plain
    /// HTTP, for a proxy in front of it. The files are read again when they change; if the new ones
    /// cannot be used, the old ones stay and a warning is logged.
    pub struct Tls {
        /// The certificate and its chain, PEM.
        cert_file: Option<PathBuf> = optional(File, "/etc/antiphon/tls.crt");
        /// Its private key, PEM.
        key_file: Option<PathBuf> = optional(File, "/etc/antiphon/tls.key");
        /// How often to look whether the files have changed.
        check_interval: Duration = preset(Period(ms(10)..=DAY), s(5));
    }
    check usable
}

settings! {
    /// A key of the control API and the native API, sent in `asapp-api-id` and `asapp-api-secret`.
    /// There may be several, so that one can be replaced while another is in use. They are read
    /// again on SIGHUP.
    pub struct ApiKey {
        /// The public half, which the log may show.
        id: String = required(Text(1..=128), "agent-desktop");
        /// The secret half.
        secret: Private<String> = required(Secret, "env:ANTIPHON_API_SECRET");
        /// What it may do: `control` commands calls, `transcripts` reads calls, events and
        /// messages, `export` is for the file exporter, `admin` erases conversations and handles
        /// dead letters.
        scopes: Vec<Scope> = preset(List(word(), 4), Scope::ALL.to_vec());
        /// Whose key it is. A tenant's key sees and commands only calls that were started with one
        /// of that tenant. Without this it sees and commands all.
        tenant: Option<String> = optional(Text(1..=128), "north");
    }
    check may_do_something
}

settings! {
    /// How long the control API waits for whom.
    pub struct Control {
        /// How long a start for an unknown call waits for its media. 0s: not at all.
        start_grace: Duration = preset(Period(s(0)..=s(60)), s(2));
        /// How long a start waits for the service to accept every leg's stream.
        start_timeout: Duration = preset(Period(ms(100)..=s(60)), s(5));
        /// How long a stop waits for the service to finish every leg's stream.
        stop_timeout: Duration = preset(Period(ms(100)..=s(60)), s(5));
        /// A leg that has not confirmed within this that its gate is shut is ended.
        gate_timeout: Duration = preset(Period(ms(10)..=s(60)), s(1));
        /// How long an ended call is remembered, so that the log can say more about late commands.
        remember: Duration = preset(Period(s(0)..=DAY), s(600));
    }
}

settings! {
    /// What card numbers and the like ask for.
    pub struct Pci {
        /// What was said before a stop or pause, and is not sent yet, is sent all the same. True
        /// throws it away.
        discard_backlog: bool = preset(Flag, false);
    }
}

settings! {
    /// What anybody may use up. What is over a limit is refused and counted.
    pub struct Limits {
        /// Connections at a time, media streams included.
        connections_max: usize = preset(Count(1..=1_000_000), 10_000);
        /// Connections at a time from one address. Behind a proxy they all come from one.
        connections_per_address_max: Option<usize> = optional(Count(1..=1_000_000), "1000");
        /// Starts that wait for their media at a time.
        awaited_starts_max: usize = preset(Count(0..=1_000_000), 1_000);
        /// Commands that wait to be carried out.
        commands_max: usize = preset(Count(1..=1_000_000), 1_024);
        /// When those whom a 503 sends away may come back.
        retry_after: Duration = preset(Period(s(1)..=s(3_600)), api().retry_after);
        /// How long a client may take over the TLS handshake.
        handshake_timeout: Duration = preset(Period(ms(10)..=s(600)), s(10));
        /// How long a client may take over a request's headers, and how long a connection may be
        /// idle.
        headers_timeout: Duration = preset(Period(ms(10)..=s(600)), s(10));
        /// A request's line and headers together; more answer 431.
        header_bytes_max: usize = preset(Size(8 << 10..=1 << 20), 16 << 10);
        /// A request's headers; more answer 431.
        headers_max: usize = preset(Count(16..=1_000), 100);
        /// A request's body; more answers 413.
        body_bytes_max: usize = preset(Size(1 << 10..=16 << 20), 64 << 10);
        /// How long a client may take over a request's body; then it is answered 408.
        body_timeout: Duration = preset(Period(ms(10)..=s(600)), api().body_timeout);
        /// How deep a body's JSON may be nested; deeper answers 422.
        json_depth_max: usize = preset(Count(4..=100), api().json_depth_max);
        /// Requests a second with one API key; more answer 429.
        requests_per_second: u32 = preset(Count(1..=100_000), api().key_requests.allowed);
        /// Requests at once with one API key, before that rate counts.
        requests_burst: NonZeroU32 = preset(Positive(1_000_000), api().key_requests.burst);
        /// Failed authentications a minute from one address; after more it is answered 429.
        auth_failures_per_minute: u32 =
            preset(Count(1..=1_000_000), api().auth_failures.allowed);
        /// Failed authentications at once from one address, before that rate counts.
        auth_failures_burst: NonZeroU32 = preset(Positive(1_000_000), api().auth_failures.burst);
        /// Addresses whose failures are counted one by one; beyond, all others share one count.
        addresses_max: usize = preset(Count(1..=1_000_000), api().addresses_max);
        /// Events kept for readers of the event stream that come back.
        events_ring_max: usize = preset(Count(16..=10_000_000), 10_000);
        /// Readers of the event stream at a time.
        event_subscribers_max: usize = preset(Count(1..=100_000), api().subscribers_max);
        /// A reader that has taken nothing for so long loses its place when another wants it.
        event_subscriber_stall: Duration = preset(Period(s(1)..=DAY), api().subscriber_stall);
        /// An event stream that has been silent for so long is sent a comment.
        event_heartbeat: Duration = preset(Period(s(1)..=s(600)), api().heartbeat);
    }
    check heartbeat_shows_life
}

settings! {
    /// The log, on stderr.
    pub struct Log {
        /// For people or for programs.
        format: LogFormat = preset(word(), LogFormat::Text);
        /// What of Antiphon's own to log. Libraries log warnings only.
        level: LogLevel = preset(word(), LogLevel::Info);
        /// More rules, `target=level` with commas between, for libraries too. Below `info`
        /// libraries may write what is private.
        filter: Option<String> = optional(Text(1..=1_000), "hyper=info");
    }
    check filter_is_good
}

settings! {
    /// How the gateway ends. SIGTERM drains: no new calls; a second one forces.
    pub struct Shutdown {
        /// How long running calls may live on. An orchestrator has to allow more than this.
        drain_timeout: Duration = preset(Period(s(0)..=s(7 * 86_400)), s(3_600));
        /// How long the streams of stragglers may take over their end, and then connections over
        /// theirs.
        goodbye_timeout: Duration = preset(Period(ms(10)..=s(600)), s(5));
    }
}

impl Tls {
    /// Certificate and key, if TLS is wanted.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        Some((self.cert_file.as_deref()?, self.key_file.as_deref()?))
    }

    fn usable(&self, s: &mut Section<'_>) {
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => s.refuse("cert_file", "needs http.tls.key_file beside it"),
            (None, Some(_)) => s.refuse("key_file", "needs http.tls.cert_file beside it"),
            (Some(cert), Some(key)) => {
                if let Err(error) = crate::tls::read(cert, key) {
                    s.refuse("cert_file", &format!("cannot be used: {error}"));
                }
            }
            (None, None) => {}
        }
    }
}

impl ApiKey {
    fn may_do_something(&self, s: &mut Section<'_>) {
        if self.scopes.is_empty() {
            s.refuse("scopes", "is empty: expected at least one");
        }
    }
}

impl Limits {
    fn heartbeat_shows_life(&self, s: &mut Section<'_>) {
        if self.event_heartbeat >= self.event_subscriber_stall {
            s.refuse(
                "event_heartbeat",
                "is not less than limits.event_subscriber_stall",
            );
        }
    }
}

impl Log {
    fn filter_is_good(&self, s: &mut Section<'_>) {
        if let Err(error) = crate::log::filter(self) {
            s.refuse("filter", &format!("is not a list of rules: {error}"));
        }
    }
}

/// The API's own defaults.
fn api() -> ApiSettings {
    ApiSettings::default()
}

/// Whether a URL leads to another machine without TLS.
pub(super) fn is_bare(url: &Url) -> bool {
    let this_machine = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    matches!(url.scheme(), "http" | "ws") && !this_machine
}
