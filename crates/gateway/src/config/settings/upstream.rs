//! `[upstream]`: the speech services, which of them streams go to, and the streams themselves.

use std::path::PathBuf;
use std::time::Duration;

use call::private::Private;
use call::start::Phrase;
use upstream::assemblyai::AssemblyAiConfig;
use upstream::autotranscribe::AutoTranscribeConfig;
use upstream::deepgram::DeepgramConfig;
use upstream::guard::GuardConfig;
use upstream::routes::Plan;
use upstream::stream::StreamConfig;
use upstream::vosk::VoskConfig;
use upstream::wire::WireConfig;

use super::{DAY, ms, s};
use crate::config::kind::{File, Flag, List, OffOr, Period, Size, Text, word};
use crate::config::section::{
    Field, Section, Settings, if_named, naming, optional, preset, required, section, tables,
};
use crate::config::words::{Category, Service, Words};
use crate::services;

mod care;
mod sections;
mod words;

pub use care::{Guard, Retry};
pub use sections::{AssemblyAi, AutoTranscribe, Deepgram, Vosk};

use sections::Basics;

settings! {
    /// The speech services, and the streams towards them. A start may name another service than
    /// these keys do, and so may a SIPREC trunk and a Twilio `<Parameter>`, as long as it has a
    /// section here. The services' keys and secrets are read again on SIGHUP.
    pub struct Upstream {
        /// Which service streams go to.
        service: Service = naming(preset(word(), Service::AutoTranscribe));
        /// Which services they turn to while that one fails or takes no more, the best first.
        fallback: Vec<Service> = naming(preset(List(word(), 3), Vec::new()));
        /// Whether a stream for which another service was asked turns to these as well when that
        /// one fails.
        wished_falls_back: bool = preset(Flag, plan().wished_falls_back);
        /// How long a stream waits for its turn at a service while there is another to turn to.
        switch_after: Duration = preset(Period(s(0)..=s(60)), plan().switch_after);
        /// Whether a stream that was accepted by one service may turn to another, when it loses its
        /// socket. If not, only new streams do.
        fail_over_running: bool = preset(Flag, presets().fail_over_running);
        /// How much sound a leg keeps while its stream cannot send; then the oldest is dropped,
        /// counted, and told as a gap.
        backlog_max: Duration = preset(Period(s(1)..=s(600)), s(30));
        /// How much sound is sent, and kept to be sent again, before the service accepts a stream.
        unaccepted_max: Duration = preset(Period(s(0)..=s(600)), presets().unaccepted_max);
        /// How much sound that was sent, and of which the service has not told yet what it heard,
        /// is kept to be sent again when the socket is lost. What is lost beyond it is told as a
        /// gap. `off`: none, so that the service never hears anything twice.
        replay: Duration = preset(OffOr(ms(100)..=s(120)), presets().replay);
        /// So long before a service ends a socket by its rules, another is opened.
        rollover_lead: Duration = preset(Period(ms(100)..=s(3_600)), presets().rollover_lead);
        /// How long a pause in the talk is then waited for, to change over in it.
        rollover_window: Duration = preset(Period(s(0)..=s(3_600)), presets().rollover_window);
        /// Whether a stream may have two sockets while it changes over. If not, or if the service
        /// refuses the second, the first is finished before the second is opened.
        rollover_overlap: bool = preset(Flag, presets().overlap);
        /// How often a stream is tried again that no service has had for longer than
        /// `upstream.retry` allows.
        probe_interval: Duration = preset(Period(ms(100)..=s(3_600)), presets().probe_interval);
        /// How long connecting may take: name, TCP, TLS and the WebSocket's handshake together.
        connect_timeout: Duration = preset(Period(ms(100)..=s(60)), wire().connect_timeout);
        /// How long the service may take to accept a stream once connected.
        response_timeout: Duration = preset(Period(ms(100)..=s(60)), presets().response_timeout);
        /// A service that takes no bytes for so long is given up, and the stream begun anew.
        stall_timeout: Duration = preset(Period(ms(100)..=s(60)), presets().stall_timeout);
        /// How long a finished stream may take over its last transcripts.
        drain_timeout: Duration = preset(Period(ms(100)..=s(600)), presets().drain_timeout);
        /// How long the closing handshake may take.
        close_timeout: Duration = preset(Period(ms(10)..=s(60)), wire().close_timeout);
        /// A service that says nothing for so long is pinged.
        ping_interval: Duration = preset(Period(s(1)..=s(3_600)), presets().ping_interval);
        /// A service that shows no sign of life for so long after that is given up.
        pong_timeout: Duration = preset(Period(ms(100)..=s(600)), presets().pong_timeout);
        /// A longer message of the service ends its socket.
        message_bytes_max: usize = preset(Size(4 << 10..=16 << 20), wire().message_bytes_max);
        /// Each socket's buffer for what comes.
        read_buffer_bytes: usize = preset(Size(1 << 10..=128 << 10), wire().read_buffer_bytes);
        /// What may wait on each socket to be written.
        write_buffer_bytes_max: usize =
            preset(Size(32 << 10..=16 << 20), wire().write_buffer_bytes_max);
        /// Certificates to trust instead of the system's, PEM.
        ca_file: Option<PathBuf> = optional(File, "/etc/antiphon/ca.crt");
        /// Whether a service on another machine may be used without TLS.
        allow_plain: bool = preset(Flag, false);
        /// Where streams of the customer go, if elsewhere.
        customer: PartyServices = section();
        /// Where streams of the agent go, if elsewhere.
        agent: PartyServices = section();
        /// When a stream is begun anew.
        retry: Retry = section();
        /// What all streams together may ask of a service.
        guard: Guard = section();
        /// AutoTranscribe.
        autotranscribe: Option<AutoTranscribe> = if_named();
        /// AssemblyAI.
        assemblyai: Option<AssemblyAi> = if_named();
        /// Deepgram.
        deepgram: Option<Deepgram> = if_named();
        /// Vosk.
        vosk: Option<Vosk> = if_named();
        /// Phrases.
        vocabulary: Vec<VocabularyEntry> = tables(200);
    }
    check reachable_and_trusted
}

settings! {
    /// Where the streams of one party go, if not where all others do.
    pub struct PartyServices {
        /// As `upstream.service`.
        service: Option<Service> = naming(optional(word(), "deepgram"));
        /// As `upstream.fallback`.
        fallback: Option<Vec<Service>> = naming(optional(List(word(), 3), "[\"vosk\"]"));
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
    /// What AssemblyAI's client is told, if there is to be one.
    pub fn assemblyai(&self) -> Option<AssemblyAiConfig> {
        let service = self.assemblyai.as_ref();
        service.map(|service| service.client(self.allow_plain))
    }

    /// What AutoTranscribe's client is told, if there is to be one.
    pub fn autotranscribe(&self) -> Option<AutoTranscribeConfig> {
        let service = self.autotranscribe.as_ref();
        service.map(|service| service.client(self.allow_plain))
    }

    /// What Deepgram's client is told, if there is to be one.
    pub fn deepgram(&self) -> Option<DeepgramConfig> {
        let service = self.deepgram.as_ref();
        service.map(|service| service.client(self.allow_plain))
    }

    /// What Vosk's client is told, if there is to be one.
    pub fn vosk(&self) -> Option<VoskConfig> {
        let service = self.vosk.as_ref();
        service.map(|service| service.client(self.allow_plain))
    }

    /// Which service streams turn to, and in which order.
    pub fn plan(&self) -> Plan {
        let names = |first: Service, others: &[Service]| {
            let all = std::iter::once(&first).chain(others);
            all.map(|service| service.word().to_owned()).collect()
        };
        let party = |party: &PartyServices| match (&party.service, &party.fallback) {
            (None, None) => Vec::new(),
            (service, fallback) => names(
                service.unwrap_or(self.service),
                fallback.as_ref().unwrap_or(&self.fallback),
            ),
        };
        Plan {
            agent: party(&self.agent),
            customer: party(&self.customer),
            any: names(self.service, &self.fallback),
            wished_falls_back: self.wished_falls_back,
            switch_after: self.switch_after,
        }
    }

    /// What all streams together may ask of a service.
    pub fn guard(&self, service: Service) -> GuardConfig {
        let opens = self.basics(service).map(|own| own.opens);
        self.guard.of(service, opens)
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
            replay: self.replay,
            rollover_lead: self.rollover_lead,
            rollover_window: self.rollover_window,
            overlap: self.rollover_overlap,
            fail_over_running: self.fail_over_running,
            probe_interval: self.probe_interval,
            retry: self.retry.of_a_stream(),
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
        let is_trusted = !matches!(read, Some(Err(_)));
        if let Some(Err(error)) = read {
            s.refuse("ca_file", &format!("cannot be used: {error}"));
        }
        let address = |service| Some((service, self.basics(service)?.base_url));
        let plain = self.services().filter_map(address);
        let plain: Vec<_> = plain.filter(|(_, url)| super::is_bare(url)).collect();
        for (service, url) in plain.iter().filter(|_| !self.allow_plain) {
            let (service, scheme) = (service.word(), url.scheme());
            let what = format!(
                "is false, and upstream.{service}.base_url is {scheme}: on another machine"
            );
            s.refuse("allow_plain", &what);
        }
        self.refuse_twice(s);
        if is_trusted && (plain.is_empty() || self.allow_plain) {
            self.refuse_unusable(s);
        }
    }

    /// Takes over the credentials that another configuration has of the same services, and how they
    /// are shown. Tells of which services they are others.
    pub fn adopt_credentials(&mut self, other: &Self) -> Vec<Service> {
        let assemblyai = self.assemblyai.as_mut().zip(other.assemblyai.as_ref());
        let autotranscribe = self.autotranscribe.as_mut();
        let autotranscribe = autotranscribe.zip(other.autotranscribe.as_ref());
        let deepgram = self.deepgram.as_mut().zip(other.deepgram.as_ref());
        let adopted = [
            (
                Service::AssemblyAi,
                assemblyai.is_some_and(|(own, other)| own.adopt_credential(other)),
            ),
            (
                Service::AutoTranscribe,
                autotranscribe.is_some_and(|(own, other)| own.adopt_credential(other)),
            ),
            (
                Service::Deepgram,
                deepgram.is_some_and(|(own, other)| own.adopt_credential(other)),
            ),
        ];
        let others = adopted.into_iter().filter(|(_, is_other)| *is_other);
        others.map(|(service, _)| service).collect()
    }

    /// The services that are configured.
    pub fn services(&self) -> impl Iterator<Item = Service> {
        let all = Service::ALL.iter().map(|(service, _)| *service);
        all.filter(|service| self.basics(*service).is_some())
    }

    /// Whether a service has what it cannot be used without.
    pub(crate) fn is_whole(&self, service: Service) -> bool {
        self.basics(service).is_some_and(|own| own.is_whole)
    }

    fn basics(&self, service: Service) -> Option<Basics<'_>> {
        match service {
            Service::AssemblyAi => self.assemblyai.as_ref().map(AssemblyAi::basics),
            Service::AutoTranscribe => self.autotranscribe.as_ref().map(AutoTranscribe::basics),
            Service::Deepgram => self.deepgram.as_ref().map(Deepgram::basics),
            Service::Vosk => self.vosk.as_ref().map(Vosk::basics),
        }
    }

    /// Nobody falls back to the service that failed.
    fn refuse_twice(&self, s: &mut Section<'_>) {
        let plan = self.plan();
        let routes = [
            ("fallback", plan.any),
            ("customer.fallback", plan.customer),
            ("agent.fallback", plan.agent),
        ];
        for (key, names) in routes {
            let is_twice = |(at, name): &(usize, &String)| names[..*at].contains(name);
            if let Some((_, name)) = names.iter().enumerate().find(is_twice) {
                s.refuse(key, &format!("would turn to {name:?} twice"));
            }
        }
    }

    /// What the services' clients have to say of their sections: it begins with a key.
    fn refuse_unusable(&self, s: &mut Section<'_>) {
        for (service, error) in services::unusable(self) {
            let error = error.replacen("parameters: ", "parameters.", 1);
            let (key, what) = error.split_once(' ').unwrap_or((&error, ""));
            s.refuse(&format!("{}.{key}", service.word()), what);
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

// The defaults of what is told this.

fn presets() -> StreamConfig {
    StreamConfig::default()
}

fn wire() -> WireConfig {
    WireConfig::default()
}

fn plan() -> Plan {
    Plan::default()
}
