//! `[upstream.…]`, one section a speech service: where it is, who we are to it, what is asked of
//! it.

use std::time::Duration;

use call::private::Private;
use upstream::assemblyai::{self, AssemblyAiConfig, TokenConfig};
use upstream::autotranscribe::AutoTranscribeConfig;
use upstream::deepgram::{self, DeepgramConfig};
use upstream::guard::GuardConfig;
use upstream::vosk::VoskConfig;
use url::Url;

use super::{DAY, ms, s};
use crate::config::kind::urls::{SocketUrl, WebUrl};
use crate::config::kind::{Count, Flag, Period, Secret, Size, Text, word};
use crate::config::parameters::{ParameterTable, Parameters};
use crate::config::section::{Field, Section, Settings, preset, required};
use crate::config::words::{Service, Words as _};

settings! {
    /// AssemblyAI Streaming v3. Read if it is there or another key names it.
    pub struct AssemblyAi {
        /// Where the service is. This is the region that is nearest;
        /// `wss://streaming.eu.assemblyai.com` and `wss://streaming.us.assemblyai.com` keep all
        /// sound there, and a self-hosted one is wherever it is.
        base_url: Url = preset(SocketUrl, assembly().base_url);
        /// The account's key.
        api_key: Private<String> = required(Secret, "env:ASSEMBLYAI_API_KEY");
        /// How the key is shown: in a `header` with each socket, or in exchange for a `token` that
        /// is fetched for each socket and stands in its address.
        auth: assemblyai::Auth = preset(word(), assembly().auth);
        /// How long fetching a token may take.
        token_timeout: Duration = preset(Period(ms(100)..=s(60)), assembly().token.timeout);
        /// A longer answer to that is refused.
        token_bytes_max: usize =
            preset(Size(1 << 10..=1 << 20), assembly().token.answer_bytes_max);
        /// How long a token may wait to be used.
        token_lifetime: Duration = preset(Period(s(1)..=s(600)), assembly().token.lifetime);
        /// How sound goes over the wire: 16-bit linear, or μ-law with half the bytes.
        encoding: assemblyai::Encoding = preset(word(), assembly().encoding);
        /// How much sound one message carries.
        chunk: Duration = preset(Period(ms(50)..=s(1)), assembly().chunk);
        /// How fast a backlog may be sent, in percent of real time.
        pace_percent: u32 = preset(Count(100..=1_000), assembly().pace_percent);
        /// How much sound may be sent at once before that pace counts.
        burst: Duration = preset(Period(s(0)..=s(60)), assembly().burst);
        /// A socket that had no sound for so long is kept alive.
        idle: Duration = preset(Period(s(1)..=s(3_600)), assembly().idle);
        /// How long the service lets a socket live, where it does not say so itself.
        session_max: Duration = preset(Period(s(1)..=s(10_800)), assembly().session_max);
        /// Whether guesses are told before a turn is over. Where text is redacted there are none.
        partials: bool = preset(Flag, assembly().partials);
        /// The service's own parameters, by its own names, such as `speech_model`, `format_turns`,
        /// `max_turn_silence` or `keyterms_prompt`. A start's go before them.
        parameters: Parameters = preset(ParameterTable, Parameters::default());
        /// How much of a socket's address phrases to boost may take, encoded; those that do not fit
        /// are left out.
        vocabulary_bytes_max: usize =
            preset(Size(1 << 10..=32 << 10), assembly().vocabulary_bytes_max);
        /// How many sockets may be opened at once before the next key counts.
        opens_burst: u32 = preset(Count(1..=1_000_000), opens(Service::AssemblyAi).opens_burst);
        /// How many sockets may be opened a minute. 0: any number. Accounts are allowed 100, or
        /// what was agreed; free ones 5.
        opens_per_minute: u32 =
            preset(Count(0..=1_000_000), opens(Service::AssemblyAi).opens_per_minute);
    }
    check usable
}

settings! {
    /// ASAPP AutoTranscribe. Read if it is there or another key names it.
    pub struct AutoTranscribe {
        /// Where the service's API is.
        base_url: Url = required(WebUrl, "https://api.sandbox.asapp.com");
        /// The id that came with the account.
        api_id: Private<String> = required(Secret, "env:ASAPP_API_ID");
        /// The secret that came with the account.
        api_secret: Private<String> = required(Secret, "env:ASAPP_API_SECRET");
        /// How much sound one message carries. ASAPP recommends 20 ms or 100 ms; 20 ms is heard
        /// sooner and costs twice the CPU time.
        chunk: Duration = preset(Period(ms(20)..=s(1)), asapp().chunk);
        /// How fast a backlog may be sent, in percent of real time.
        pace_percent: u32 = preset(Count(100..=1_000), asapp().pace_percent);
        /// How much sound may be sent at once before that pace counts.
        burst: Duration = preset(Period(s(0)..=s(60)), asapp().burst);
        /// A socket that had no sound for so long is sent silence; the service ends it after 60 s.
        idle: Duration = preset(Period(s(1)..=s(59)), asapp().idle);
        /// How long the service lets a socket live.
        session_max: Duration = preset(Period(s(1)..=DAY), asapp().session_max);
        /// How long the service may take to say where a stream shall connect to.
        locate_timeout: Duration = preset(Period(ms(100)..=s(60)), asapp().locate_timeout);
        /// A longer answer to that is refused.
        answer_bytes_max: usize = preset(Size(1 << 10..=1 << 20), asapp().answer_bytes_max);
        /// How many of those addresses are fetched when a call appears, so that its start is fast.
        /// 0: none.
        urls_per_call: usize = preset(Count(0..=10), asapp().urls_per_call);
        /// For how many calls at a time addresses are kept.
        url_calls_max: usize = preset(Count(0..=1_000_000), asapp().url_calls_max);
        /// An older address is not used. The service lets them live for 5 minutes.
        url_age_max: Duration = preset(Period(s(1)..=s(300)), asapp().url_age_max);
        /// How many sockets may be opened at once before the next key counts.
        opens_burst: u32 =
            preset(Count(1..=1_000_000), opens(Service::AutoTranscribe).opens_burst);
        /// How many sockets may be opened a minute. 0: any number.
        opens_per_minute: u32 =
            preset(Count(0..=1_000_000), opens(Service::AutoTranscribe).opens_per_minute);
    }
}

settings! {
    /// Deepgram's live transcription. Read if it is there or another key names it.
    pub struct Deepgram {
        /// Where the service is; `wss://api.eu.deepgram.com` keeps all sound in the EU, and an
        /// engine of one's own is wherever it is.
        base_url: Url = preset(SocketUrl, deep().base_url);
        /// The account's key; an engine of one's own takes anything.
        api_key: Private<String> = required(Secret, "env:DEEPGRAM_API_KEY");
        /// What that is: an API key, sent as `Token`, or a temporary token, sent as `Bearer`.
        auth: deepgram::Auth = preset(word(), deep().auth);
        /// How sound goes over the wire: 16-bit linear, or μ-law with half the bytes.
        encoding: deepgram::Encoding = preset(word(), deep().encoding);
        /// Which model listens.
        model: String = preset(Text(1..=64), deep().model);
        /// Whether guesses are told before a phrase is final.
        partials: bool = preset(Flag, deep().partials);
        /// Final pieces are joined until one is so long or the speaker pauses. 0s: each is told by
        /// itself.
        utterance_max: Duration = preset(Period(s(0)..=s(600)), deep().utterance_max);
        /// How many phrases to boost are sent at most.
        vocabulary_max: usize = preset(Count(0..=200), deep().vocabulary_max);
        /// How much sound one message carries.
        chunk: Duration = preset(Period(ms(20)..=ms(250)), deep().chunk);
        /// How fast a backlog may be sent, in percent of real time.
        pace_percent: u32 = preset(Count(100..=125), deep().pace_percent);
        /// How much sound may be sent at once before that pace counts.
        burst: Duration = preset(Period(s(0)..=s(60)), deep().burst);
        /// A socket that had no sound for so long is kept alive; the service ends it after 10 s.
        idle: Duration = preset(Period(s(1)..=s(8)), deep().idle);
        /// The service's own parameters, by its own names, such as `smart_format`, `endpointing` or
        /// `redact`. A start's go before them.
        parameters: Parameters = preset(ParameterTable, Parameters::default());
        /// How many sockets may be opened at once before the next key counts.
        opens_burst: u32 = preset(Count(1..=1_000_000), opens(Service::Deepgram).opens_burst);
        /// How many sockets may be opened a minute. 0: any number.
        opens_per_minute: u32 =
            preset(Count(0..=1_000_000), opens(Service::Deepgram).opens_per_minute);
    }
    check parameters_are_known
}

settings! {
    /// A server that speaks the protocol of vosk-server, which anyone can run. Read if it is there
    /// or another key names it.
    pub struct Vosk {
        /// Where the server is.
        base_url: Url = preset(SocketUrl, vosk().base_url);
        /// Whether each word is told with its time. Without them the times of utterances are only
        /// as exact as messages of sound are long.
        words: bool = preset(Flag, vosk().words);
        /// Whether guesses are told before an utterance is over.
        partials: bool = preset(Flag, vosk().partials);
        /// Whether the phrases of a vocabulary are all that can be heard. Needs a model that can do
        /// it.
        phrase_list: bool = preset(Flag, vosk().phrase_list);
        /// How much sound one message carries.
        chunk: Duration = preset(Period(ms(20)..=s(1)), vosk().chunk);
        /// How fast a backlog may be sent, in percent of real time.
        pace_percent: u32 = preset(Count(100..=1_000), vosk().pace_percent);
        /// How much sound may be sent at once before that pace counts.
        burst: Duration = preset(Period(s(0)..=s(60)), vosk().burst);
        /// A socket that had no sound for so long is sent silence, which ends a phrase.
        idle: Duration = preset(Period(s(1)..=s(60)), vosk().idle);
        /// How many sockets may be opened at once before the next key counts.
        opens_burst: u32 = preset(Count(1..=1_000_000), opens(Service::Vosk).opens_burst);
        /// How many sockets may be opened a minute. 0: any number.
        opens_per_minute: u32 =
            preset(Count(0..=1_000_000), opens(Service::Vosk).opens_per_minute);
    }
}

/// What the sections of all services have.
pub(super) struct Basics<'u> {
    pub(super) base_url: &'u Url,
    /// Whether there is a credential, if it needs one.
    pub(super) is_whole: bool,
    /// How many sockets may be opened at once, and how many a minute.
    pub(super) opens: (u32, u32),
}

impl AssemblyAi {
    pub(super) fn client(&self, allow_plain: bool) -> AssemblyAiConfig {
        AssemblyAiConfig {
            base_url: self.base_url.clone(),
            api_key: self.api_key.clone(),
            auth: self.auth,
            token: TokenConfig {
                timeout: self.token_timeout,
                answer_bytes_max: self.token_bytes_max,
                lifetime: self.token_lifetime,
            },
            encoding: self.encoding,
            chunk: self.chunk,
            pace_percent: self.pace_percent,
            burst: self.burst,
            idle: self.idle,
            session_max: self.session_max,
            partials: self.partials,
            // One that is wrong was told when it was read.
            parameters: assemblyai::read_parameters(self.parameters.pairs()).unwrap_or_default(),
            vocabulary_bytes_max: self.vocabulary_bytes_max,
            allow_plain,
        }
    }

    pub(super) fn basics(&self) -> Basics<'_> {
        Basics {
            base_url: &self.base_url,
            is_whole: !self.api_key.reveal().is_empty(),
            opens: (self.opens_burst, self.opens_per_minute),
        }
    }

    pub(super) fn adopt_credential(&mut self, other: &Self) -> bool {
        let auth = std::mem::replace(&mut self.auth, other.auth);
        adopt(&mut self.api_key, &other.api_key) || auth != other.auth
    }

    fn usable(&self, s: &mut Section<'_>) {
        self.parameters.check(Service::AssemblyAi, "parameters", s);
        if self.auth == assemblyai::Auth::Token && self.session_max < super::s(60) {
            s.refuse("session_max", "is less than 60s, which no token allows");
        }
    }
}

impl AutoTranscribe {
    pub(super) fn client(&self, allow_plain: bool) -> AutoTranscribeConfig {
        AutoTranscribeConfig {
            base_url: self.base_url.clone(),
            api_id: self.api_id.reveal().clone(),
            api_secret: self.api_secret.clone(),
            chunk: self.chunk,
            pace_percent: self.pace_percent,
            burst: self.burst,
            locate_timeout: self.locate_timeout,
            answer_bytes_max: self.answer_bytes_max,
            urls_per_call: self.urls_per_call,
            url_calls_max: self.url_calls_max,
            url_age_max: self.url_age_max,
            idle: self.idle,
            session_max: self.session_max,
            allow_plain,
        }
    }

    pub(super) fn basics(&self) -> Basics<'_> {
        Basics {
            base_url: &self.base_url,
            is_whole: !self.api_secret.reveal().is_empty(),
            opens: (self.opens_burst, self.opens_per_minute),
        }
    }

    pub(super) fn adopt_credential(&mut self, other: &Self) -> bool {
        let is_other_id = adopt(&mut self.api_id, &other.api_id);
        adopt(&mut self.api_secret, &other.api_secret) || is_other_id
    }
}

impl Deepgram {
    pub(super) fn client(&self, allow_plain: bool) -> DeepgramConfig {
        DeepgramConfig {
            base_url: self.base_url.clone(),
            api_key: self.api_key.clone(),
            auth: self.auth,
            encoding: self.encoding,
            model: self.model.clone(),
            // One that is wrong was told when it was read.
            parameters: deepgram::read_parameters(self.parameters.pairs()).unwrap_or_default(),
            partials: self.partials,
            utterance_max: self.utterance_max,
            vocabulary_max: self.vocabulary_max,
            chunk: self.chunk,
            pace_percent: self.pace_percent,
            burst: self.burst,
            idle: self.idle,
            allow_plain,
        }
    }

    pub(super) fn basics(&self) -> Basics<'_> {
        Basics {
            base_url: &self.base_url,
            is_whole: !self.api_key.reveal().is_empty(),
            opens: (self.opens_burst, self.opens_per_minute),
        }
    }

    pub(super) fn adopt_credential(&mut self, other: &Self) -> bool {
        let auth = std::mem::replace(&mut self.auth, other.auth);
        adopt(&mut self.api_key, &other.api_key) || auth != other.auth
    }

    fn parameters_are_known(&self, s: &mut Section<'_>) {
        self.parameters.check(Service::Deepgram, "parameters", s);
    }
}

impl Vosk {
    pub(super) fn client(&self, allow_plain: bool) -> VoskConfig {
        VoskConfig {
            base_url: self.base_url.clone(),
            words: self.words,
            partials: self.partials,
            phrase_list: self.phrase_list,
            chunk: self.chunk,
            pace_percent: self.pace_percent,
            burst: self.burst,
            idle: self.idle,
            allow_plain,
        }
    }

    pub(super) fn basics(&self) -> Basics<'_> {
        Basics {
            base_url: &self.base_url,
            is_whole: true,
            opens: (self.opens_burst, self.opens_per_minute),
        }
    }
}

/// Whether it is another.
fn adopt(secret: &mut Private<String>, other: &Private<String>) -> bool {
    let is_other = secret != other;
    secret.clone_from(other);
    is_other
}

// The services' own defaults.

fn assembly() -> AssemblyAiConfig {
    AssemblyAiConfig::new(Private::default())
}

fn asapp() -> AutoTranscribeConfig {
    AutoTranscribeConfig::new(
        url("https://nowhere.invalid"),
        String::new(),
        Private::default(),
    )
}

fn deep() -> DeepgramConfig {
    DeepgramConfig::new(Private::default())
}

fn vosk() -> VoskConfig {
    VoskConfig::default()
}

fn opens(service: Service) -> GuardConfig {
    GuardConfig::of(service.word())
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a literal that is a URL")
}
