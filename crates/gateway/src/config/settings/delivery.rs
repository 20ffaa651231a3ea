//! `[[webhooks]]` and `[delivery]`: who is sent what happens, and what all of that may take.

use std::path::PathBuf;
use std::time::Duration;

use ::delivery::{Authentication, Endpoint, Filter, Format, OAuth2, Retries};
use ::store::memory::MemoryLimits;
use call::name::{Namespace, Role};
use call::private::Private;
use url::Url;

use super::{DAY, ms, s};
use crate::config::kind::urls::{TargetUrl, WebUrl};
use crate::config::kind::{Count, File, Flag, List, Period, Secret, Size, Text, word};
use crate::config::section::{Field, Section, Settings, optional, preset, required};
use crate::config::words::Words;

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

settings! {
    /// Where transcripts and other events are posted, as they happen. What cannot be delivered is
    /// tried again, and in the end kept as a dead letter. Secrets are read again on SIGHUP.
    /// docs/delivery.md has the shapes and the signatures.
    pub struct Webhook {
        /// Its name in the log, metrics and the API: letters, digits, `-` and `_`.
        name: String = required(Text(1..=64), "crm");
        /// Where to post.
        url: Private<Url> = required(TargetUrl, "https://crm.example.com/transcripts");
        /// The shape: ASAPP's, which has final transcripts only, Standard Webhooks' envelope, or
        /// CloudEvents, one or several in a request.
        format: Format = preset(word(), Format::Asapp);
        /// Which kinds of events, as the event stream names them: `transcript` (final ones),
        /// `callStarted`, `callEnded`, `callChanged` (pauses too), `gap`, `streamEnded` and so on.
        events: Vec<String> = preset(List(Text(1..=64), 32), vec!["transcript".to_owned()]);
        /// Only events of these platforms. Empty: of all.
        namespaces: Vec<Namespace> = preset(List(word(), 4), Vec::new());
        /// Only what these say, and what is nobody's. Empty: all.
        roles: Vec<Role> = preset(List(word(), 3), Vec::new());
        /// Only this tenant's calls.
        tenant: Option<String> = optional(Text(1..=128), "north");
        /// Keys to sign with, as Standard Webhooks has it: `whsec_…` (HMAC-SHA256) or `whsk_…`
        /// (ed25519). Of several, while one is replaced, each signs.
        secrets: Vec<Private<String>> = preset(List(Secret, 8), Vec::new());
        /// A header that carries `header_secret`.
        header: Option<String> = optional(Text(1..=128), "x-api-key");
        /// What that header says.
        header_secret: Option<Private<String>> = optional(Secret, "env:WEBHOOK_HEADER_SECRET");
        /// A parameter of the URL that carries `parameter_secret`.
        parameter: Option<String> = optional(Text(1..=128), "code");
        /// What that parameter says.
        parameter_secret: Option<Private<String>> =
            optional(Secret, "env:WEBHOOK_PARAMETER_SECRET");
        /// Where a bearer token is fetched by OAuth 2.0 client credentials.
        oauth2_token_url: Option<Url> = optional(WebUrl, "https://login.example.com/oauth2/token");
        /// Who we are there.
        oauth2_client_id: Option<String> = optional(Text(1..=512), "antiphon");
        /// And the proof of it.
        oauth2_client_secret: Option<Private<String>> =
            optional(Secret, "env:WEBHOOK_CLIENT_SECRET");
        /// What the token is for, if the server wants to know.
        oauth2_scope: Option<String> = optional(Text(1..=1_024), "transcripts.write");
        /// For whom it is, if the server wants to know.
        oauth2_audience: Option<String> = optional(Text(1..=1_024), "https://crm.example.com");
        /// Id and secret go into the body of the request for a token, instead of its
        /// `Authorization`.
        oauth2_secret_in_body: bool = preset(Flag, false);
        /// Further roots to trust, PEM.
        ca_file: Option<PathBuf> = optional(File, "/etc/antiphon/crm-ca.pem");
        /// Our own certificate and its chain, PEM.
        client_cert_file: Option<PathBuf> = optional(File, "/etc/antiphon/crm-client.pem");
        /// Its key, PEM.
        client_key_file: Option<PathBuf> = optional(File, "/etc/antiphon/crm-client.key");
        /// An HTTP proxy through which everything goes.
        proxy: Option<Url> = optional(WebUrl, "http://proxy.example.com:3128");
        /// Whether what fails is tried again. False is what ASAPP does: one attempt, and what fails
        /// is gone.
        retry: bool = preset(Flag, true);
        /// When it is tried again, each counted from the attempt before, a fifth more or less.
        retry_schedule: Vec<Duration> =
            preset(List(Period(ms(10)..=30 * DAY), 64), schedule());
        /// After so many failures of one event its call's next events go on without it; it follows
        /// later and is marked as out of order. 0: never, each call's events come in order.
        skip_after: u32 = preset(Count(0..=1_000), defaults().skip_after);
        /// After so many answers that say that the event itself is wrong (4xx) it is a dead letter.
        /// 0: only at the end of the schedule.
        give_up_after: u32 = preset(Count(0..=1_000), defaults().give_up_after);
        /// With `retry = false`: when more than this wait, the oldest are thrown away and counted.
        pending_max: usize = preset(Count(1..=1_000_000), defaults().pending_max);
        /// How long an attempt may take.
        timeout: Duration = preset(Period(ms(10)..=s(600)), defaults().timeout);
        /// How many attempts may be under way at once, each of another call.
        concurrency: usize = preset(Count(1..=1_000), defaults().concurrency);
        /// How many events go into one request, with `cloudevents-batch`.
        batch_max: usize = preset(Count(1..=10_000), defaults().batch_max);
        /// How long an event waits there for others.
        batch_wait: Duration = preset(Period(s(0)..=s(60)), defaults().batch_wait);
        /// Whether it may be at an address that is not public: a private network, this machine.
        allow_private: bool = preset(Flag, false);
        /// Whether its URL may be `http`.
        allow_http: bool = preset(Flag, false);
    }
    check usable
}

settings! {
    /// What all webhooks may take.
    pub struct Delivery {
        /// Events of one webhook in memory, without their bodies; the rest stays in the store.
        window_max: usize = preset(Count(1..=1_000_000), limits().window_max);
        /// Bytes that may wait for one webhook; then the oldest are dead letters.
        bytes_max: usize = preset(Size(64 << 10..=1024 * GIB), 256 * MIB);
        /// What waits for longer is a dead letter.
        age_max: Duration = preset(Period(s(1)..=365 * DAY), limits().age_max);
        /// Without a store: events that may wait in memory for all webhooks; then the oldest are
        /// lost and counted.
        memory_max: usize = preset(Count(1..=10_000_000), 100_000);
        /// Bytes of them.
        memory_bytes_max: usize = preset(Size(64 << 10..=64 * GIB), 64 * MIB);
        /// Bytes of events in one request of several.
        batch_bytes_max: usize =
            preset(Size(1 << 10..=64 * MIB), limits().batch_bytes_max);
        /// Bytes of an answer that are read, and thrown away.
        response_bytes_max: usize =
            preset(Size(0..=64 * MIB), limits().response_bytes_max);
        /// How long the rest of an answer is waited for once its status is there.
        response_wait: Duration = preset(Period(s(0)..=s(60)), limits().response_wait);
        /// How long a connection may take to open.
        connect_timeout: Duration = preset(Period(ms(10)..=s(60)), limits().connect_timeout);
        /// A connection that nobody needs is closed after this.
        idle_timeout: Duration = preset(Period(s(1)..=s(3_600)), limits().idle_timeout);
        /// A longer `Retry-After` is shortened to this.
        retry_after_max: Duration = preset(Period(s(1)..=DAY), limits().retry_after_max);
        /// After so many failures in a row a webhook rests, and is tried with one event at a time.
        rest_after: u32 = preset(Count(1..=100_000), limits().rest_after);
        /// The first of these tries comes after this; each next waits twice as long.
        rest_min: Duration = preset(Period(ms(10)..=s(3_600)), limits().rest_min);
        /// But not longer than this.
        rest_max: Duration = preset(Period(ms(10)..=DAY), limits().rest_max);
        /// A bearer token is fetched anew when it lives no longer than this.
        token_skew: Duration = preset(Period(s(0)..=s(600)), limits().token_skew);
        /// What became of deliveries is written at the latest after this.
        settle_wait: Duration = preset(Period(ms(1)..=s(10)), limits().settle_wait);
        /// Or when there are so many.
        settle_max: usize = preset(Count(1..=100_000), limits().settle_max);
        /// A store that fails the delivery is asked again after this; each next time twice as long.
        outbox_retry_min: Duration =
            preset(Period(ms(1)..=s(60)), limits().outbox_retry_min);
        /// But not longer than this.
        outbox_retry_max: Duration =
            preset(Period(ms(1)..=s(600)), limits().outbox_retry_max);
        /// How often what waits is measured, and what is too old taken out.
        upkeep_interval: Duration =
            preset(Period(ms(10)..=s(3_600)), limits().upkeep_interval);
        /// How long deliveries may go on at the end of the process.
        drain: Duration = preset(Period(ms(10)..=s(600)), limits().drain);
    }
    check ordered
}

impl Webhook {
    /// What the delivery is told.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            format: self.format,
            filter: Filter {
                kinds: self.events.clone(),
                namespaces: self.namespaces.clone(),
                roles: self.roles.clone(),
                tenant: self.tenant.clone(),
            },
            secrets: self.secrets.clone(),
            authentication: self.authentication(),
            tls: ::delivery::Tls {
                ca_file: self.ca_file.clone(),
                client_cert_file: self.client_cert_file.clone(),
                client_key_file: self.client_key_file.clone(),
            },
            proxy: self.proxy.clone(),
            retries: match self.retry {
                false => Retries::Off,
                true => Retries::Schedule(self.retry_schedule.clone()),
            },
            timeout: self.timeout,
            concurrency: self.concurrency,
            batch_max: self.batch_max,
            batch_wait: self.batch_wait,
            skip_after: self.skip_after,
            give_up_after: self.give_up_after,
            pending_max: self.pending_max,
            allow_private: self.allow_private,
            allow_http: self.allow_http,
            ..Endpoint::new(&self.name, self.url.reveal().clone())
        }
    }

    fn authentication(&self) -> Authentication {
        if let (Some(name), Some(secret)) = (&self.header, &self.header_secret) {
            let (name, secret) = (name.clone(), secret.clone());
            return Authentication::Header { name, secret };
        }
        if let (Some(name), Some(secret)) = (&self.parameter, &self.parameter_secret) {
            let (name, secret) = (name.clone(), secret.clone());
            return Authentication::Parameter { name, secret };
        }
        let client = (&self.oauth2_client_id, &self.oauth2_client_secret);
        match (&self.oauth2_token_url, client) {
            (Some(token_url), (Some(id), Some(secret))) => Authentication::OAuth2(OAuth2 {
                token_url: token_url.clone(),
                client_id: id.clone(),
                client_secret: secret.clone(),
                scope: self.oauth2_scope.clone(),
                audience: self.oauth2_audience.clone(),
                secret_in_body: self.oauth2_secret_in_body,
            }),
            _ => Authentication::None,
        }
    }

    fn usable(&self, s: &mut Section<'_>) {
        let pairs = [
            (
                "header",
                self.header.is_some(),
                "header_secret",
                self.header_secret.is_some(),
            ),
            (
                "parameter",
                self.parameter.is_some(),
                "parameter_secret",
                self.parameter_secret.is_some(),
            ),
            (
                "oauth2_token_url",
                self.oauth2_token_url.is_some(),
                "oauth2_client_id",
                self.oauth2_client_id.is_some(),
            ),
            (
                "oauth2_client_id",
                self.oauth2_client_id.is_some(),
                "oauth2_client_secret",
                self.oauth2_client_secret.is_some(),
            ),
            (
                "client_cert_file",
                self.client_cert_file.is_some(),
                "client_key_file",
                self.client_key_file.is_some(),
            ),
        ];
        for (one, has_one, other, has_other) in pairs {
            match (has_one, has_other) {
                (true, false) => s.refuse(one, &format!("needs {other} beside it")),
                (false, true) => s.refuse(other, &format!("needs {one} beside it")),
                _ => {}
            }
        }
        let ways = [
            ("header", self.header.is_some()),
            ("parameter", self.parameter.is_some()),
            ("oauth2_token_url", self.oauth2_token_url.is_some()),
        ];
        let used: Vec<_> = ways.iter().filter(|(_, is_used)| *is_used).collect();
        if let [(first, _), (second, _), ..] = used[..] {
            s.refuse(second, &format!("cannot be used together with {first}"));
        }
    }
}

impl Delivery {
    /// What the delivery is told.
    pub fn limits(&self) -> ::delivery::Limits {
        ::delivery::Limits {
            window_max: self.window_max,
            bytes_max: self.bytes_max as u64,
            age_max: self.age_max,
            batch_bytes_max: self.batch_bytes_max,
            response_bytes_max: self.response_bytes_max,
            response_wait: self.response_wait,
            connect_timeout: self.connect_timeout,
            idle_timeout: self.idle_timeout,
            retry_after_max: self.retry_after_max,
            rest_after: self.rest_after,
            rest_min: self.rest_min,
            rest_max: self.rest_max,
            token_skew: self.token_skew,
            settle_wait: self.settle_wait,
            settle_max: self.settle_max,
            outbox_retry_min: self.outbox_retry_min,
            outbox_retry_max: self.outbox_retry_max,
            upkeep_interval: self.upkeep_interval,
            drain: self.drain,
        }
    }

    /// What may wait in memory while there is no store.
    pub fn memory(&self) -> MemoryLimits {
        MemoryLimits {
            parcels_max: self.memory_max,
            bytes_max: self.memory_bytes_max as u64,
        }
    }

    fn ordered(&self, s: &mut Section<'_>) {
        if self.rest_min > self.rest_max {
            s.refuse("rest_min", "is more than delivery.rest_max");
        }
        if self.outbox_retry_min > self.outbox_retry_max {
            s.refuse("outbox_retry_min", "is more than delivery.outbox_retry_max");
        }
    }
}

impl Words for Format {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Asapp, "asapp"),
        (Self::CloudEvents, "cloudevents"),
        (Self::CloudEventsBatch, "cloudevents-batch"),
        (Self::Envelope, "envelope"),
    ];
}

impl Words for Namespace {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::AmazonConnect, "amazonconnect"),
        (Self::GenesysAudioHook, "genesysaudiohook"),
        (Self::Siprec, "siprec"),
        (Self::Twilio, "twilio"),
    ];
}

impl Words for Role {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Agent, "agent"),
        (Self::Customer, "customer"),
        (Self::Mixed, "mixed"),
    ];
}

/// The delivery's own defaults of an endpoint.
fn defaults() -> Endpoint {
    let nowhere = Url::parse("https://blank.invalid").expect("a literal that is a URL");
    Endpoint::new("", nowhere)
}

fn limits() -> ::delivery::Limits {
    ::delivery::Limits::default()
}

fn schedule() -> Vec<Duration> {
    Retries::DEFAULT.map(Duration::from_secs).to_vec()
}
