//! `[upstream]`: the speech service and the streams towards it.

use std::path::PathBuf;
use std::time::Duration;

use call::audio;
use call::feed::LineConfig;
use call::private::Private;
use call::start::Phrase;
use upstream::autotranscribe::AutoTranscribeConfig;
use upstream::retry::RetryConfig;
use upstream::stream::StreamConfig;
use upstream::wire::WireConfig;
use url::Url;

use super::{DAY, ms, s};
use crate::config::kind::{Count, File, Flag, List, Period, Secret, Size, Text, WebUrl, word};
use crate::config::section::{
    Field, Section, Settings, optional, preset, required, section, tables,
};
use crate::config::words::{Category, Service, Words};

settings! {
    /// The speech service, and the streams towards it.
    pub struct Upstream {
        /// Which service.
        service: Service = preset(word(), Service::AutoTranscribe);
        /// How much sound a leg keeps while its stream cannot send; then the oldest is dropped,
        /// counted, and told as a gap.
        backlog_max: Duration = preset(Period(s(1)..=s(600)), s(30));
        /// How much sound is sent, and kept to be sent again, before the service accepts a stream.
        unaccepted_max: Duration =
            preset(Period(s(0)..=s(600)), StreamConfig::default().unaccepted_max);
        /// How long connecting may take: name, TCP, TLS and the WebSocket's handshake together.
        connect_timeout: Duration =
            preset(Period(ms(100)..=s(60)), WireConfig::default().connect_timeout);
        /// How long the service may take to accept a stream once connected.
        response_timeout: Duration =
            preset(Period(ms(100)..=s(60)), StreamConfig::default().response_timeout);
        /// A service that takes no bytes for so long is given up, and the stream begun anew.
        stall_timeout: Duration =
            preset(Period(ms(100)..=s(60)), StreamConfig::default().stall_timeout);
        /// How long a finished stream may take over its last transcripts.
        drain_timeout: Duration =
            preset(Period(ms(100)..=s(600)), StreamConfig::default().drain_timeout);
        /// How long the closing handshake may take.
        close_timeout: Duration =
            preset(Period(ms(10)..=s(60)), WireConfig::default().close_timeout);
        /// A service that says nothing for so long is pinged.
        ping_interval: Duration =
            preset(Period(s(1)..=s(3_600)), StreamConfig::default().ping_interval);
        /// A service that shows no sign of life for so long after that is given up.
        pong_timeout: Duration =
            preset(Period(ms(100)..=s(600)), StreamConfig::default().pong_timeout);
        /// A longer message of the service ends its socket.
        message_bytes_max: usize =
            preset(Size(4 << 10..=16 << 20), WireConfig::default().message_bytes_max);
        /// Each socket's buffer for what comes.
        read_buffer_bytes: usize =
            preset(Size(1 << 10..=128 << 10), WireConfig::default().read_buffer_bytes);
        /// What may wait on each socket to be written.
        write_buffer_bytes_max: usize =
            preset(Size(32 << 10..=16 << 20), WireConfig::default().write_buffer_bytes_max);
        /// Certificates to trust instead of the system's, PEM.
        ca_file: Option<PathBuf> = optional(File, "/etc/antiphon/ca.crt");
        /// Whether a service on another machine may be used without TLS.
        allow_plain: bool = preset(Flag, false);
        /// When a stream is begun anew.
        retry: Retry = section();
        /// How to reach AutoTranscribe.
        autotranscribe: AutoTranscribe = section();
        /// Phrases.
        vocabulary: Vec<VocabularyEntry> = tables(200);
    }
    check reachable_and_trusted
}

settings! {
    /// A stream that is cut off is begun anew, with pauses that double from one loss to the next.
    pub struct Retry {
        /// After so many losses in a row the stream is given up.
        retries_max: u32 = preset(Count(0..=1_000), RetryConfig::default().retries_max);
        /// After so long without being accepted the stream is given up.
        outage_max: Duration = preset(Period(s(0)..=DAY), RetryConfig::default().outage_max);
        /// A socket that lived so long makes earlier losses forgotten.
        healthy_after: Duration =
            preset(Period(s(0)..=DAY), RetryConfig::default().healthy_after);
        /// The most the first pause lasts.
        backoff_base: Duration =
            preset(Period(ms(1)..=s(60)), RetryConfig::default().backoff_base);
        /// The most any pause lasts.
        backoff_max: Duration =
            preset(Period(ms(1)..=s(600)), RetryConfig::default().backoff_max);
        /// The least any pause lasts.
        backoff_min: Duration =
            preset(Period(ms(1)..=s(60)), RetryConfig::default().backoff_min);
    }
    check not_crossed
}

settings! {
    /// ASAPP AutoTranscribe.
    pub struct AutoTranscribe {
        /// Where the service's API is.
        base_url: Url = required(WebUrl, "https://api.sandbox.asapp.com");
        /// The id that came with the account.
        api_id: Private<String> = required(Secret, "env:ASAPP_API_ID");
        /// The secret that came with the account.
        api_secret: Private<String> = required(Secret, "env:ASAPP_API_SECRET");
        /// How much sound one message carries. ASAPP recommends 20 ms or 100 ms; 20 ms is heard
        /// sooner and costs twice the CPU time.
        chunk: Duration = preset(Period(ms(20)..=s(1)), presets().chunk);
        /// How fast a backlog may be sent, in percent of real time.
        pace_percent: u32 = preset(Count(100..=1_000), presets().pace_percent);
        /// How much sound may be sent at once before that pace counts.
        burst: Duration = preset(Period(s(0)..=s(60)), presets().burst);
        /// How long the service may take to say where a stream shall connect to.
        locate_timeout: Duration = preset(Period(ms(100)..=s(60)), presets().locate_timeout);
        /// A longer answer to that is refused.
        answer_bytes_max: usize = preset(Size(1 << 10..=1 << 20), presets().answer_bytes_max);
        /// How many of those addresses are fetched when a call appears, so that its start is fast.
        /// 0: none.
        urls_per_call: usize = preset(Count(0..=10), presets().urls_per_call);
        /// For how many calls at a time addresses are kept.
        url_calls_max: usize = preset(Count(0..=1_000_000), presets().url_calls_max);
        /// An older address is not used. The service lets them live for 5 minutes.
        url_age_max: Duration = preset(Period(s(1)..=s(300)), presets().url_age_max);
    }
}

settings! {
    /// A phrase to boost in every call, before those that a start names itself.
    pub struct VocabularyEntry {
        /// The phrase as it shall be written.
        phrase: String = required(Text(1..=40), "IEEE");
        /// How it may be pronounced: lower case, numbers and acronyms spelt out.
        sounds_like: Vec<String> = preset(List(Text(1..=40), 5), Vec::new());
        /// What it is.
        category: Option<Category> = optional(word(), "company");
    }
}

impl Upstream {
    /// What the service's client is told.
    pub fn autotranscribe(&self) -> AutoTranscribeConfig {
        let service = &self.autotranscribe;
        AutoTranscribeConfig {
            base_url: service.base_url.clone(),
            api_id: service.api_id.reveal().clone(),
            api_secret: service.api_secret.clone(),
            chunk: service.chunk,
            pace_percent: service.pace_percent,
            burst: service.burst,
            locate_timeout: service.locate_timeout,
            answer_bytes_max: service.answer_bytes_max,
            urls_per_call: service.urls_per_call,
            url_calls_max: service.url_calls_max,
            url_age_max: service.url_age_max,
            allow_plain: self.allow_plain,
        }
    }

    /// How the sound for a stream is cut and kept.
    pub fn line(&self) -> LineConfig {
        let Service::AutoTranscribe = self.service;
        let chunk = self.autotranscribe.chunk;
        let chunks_max = self.backlog_max.as_nanos().div_ceil(chunk.as_nanos());
        LineConfig {
            chunk_samples: audio::samples(chunk) as usize,
            chunks_max: chunks_max as usize,
        }
    }

    /// The deadlines of a stream.
    pub fn stream(&self) -> StreamConfig {
        StreamConfig {
            response_timeout: self.response_timeout,
            stall_timeout: self.stall_timeout,
            drain_timeout: self.drain_timeout,
            ping_interval: self.ping_interval,
            pong_timeout: self.pong_timeout,
            unaccepted_max: self.unaccepted_max,
            retry: RetryConfig {
                retries_max: self.retry.retries_max,
                outage_max: self.retry.outage_max,
                healthy_after: self.retry.healthy_after,
                backoff_base: self.retry.backoff_base,
                backoff_max: self.retry.backoff_max,
                backoff_min: self.retry.backoff_min,
            },
        }
    }

    /// The limits of a socket.
    pub fn wire(&self) -> WireConfig {
        WireConfig {
            connect_timeout: self.connect_timeout,
            close_timeout: self.close_timeout,
            message_bytes_max: self.message_bytes_max,
            read_buffer_bytes: self.read_buffer_bytes,
            write_buffer_bytes_max: self.write_buffer_bytes_max,
            allow_plain: self.allow_plain,
        }
    }

    /// The phrases to boost in every call.
    pub fn vocabulary(&self) -> Vec<Phrase> {
        self.vocabulary.iter().map(Phrase::from).collect()
    }

    fn reachable_and_trusted(&self, s: &mut Section<'_>) {
        let read = self.ca_file.as_deref().map(crate::tls::read_certificates);
        if let Some(Err(error)) = read {
            s.refuse("ca_file", &format!("cannot be used: {error}"));
        }
        if !self.allow_plain && super::is_bare(&self.autotranscribe.base_url) {
            let what = "is false, and upstream.autotranscribe.base_url is http: on another machine";
            s.refuse("allow_plain", what);
        }
    }
}

impl Retry {
    fn not_crossed(&self, s: &mut Section<'_>) {
        if self.backoff_min > self.backoff_max {
            s.refuse("backoff_min", "is more than upstream.retry.backoff_max");
        }
    }
}

impl From<&VocabularyEntry> for Phrase {
    fn from(entry: &VocabularyEntry) -> Self {
        Self {
            phrase: Private::new(entry.phrase.clone()),
            sounds_like: entry
                .sounds_like
                .iter()
                .cloned()
                .map(Private::new)
                .collect(),
            category: entry.category.map(|category| category.word().to_owned()),
        }
    }
}

/// The service's own defaults.
fn presets() -> AutoTranscribeConfig {
    let nowhere = Url::parse("https://nowhere.invalid").expect("a literal that is a URL");
    AutoTranscribeConfig::new(nowhere, String::new(), Private::default())
}
