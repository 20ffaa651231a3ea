//! The world of a story, built in two lines: a speech service that hears, a gateway between, and
//! callers that dial it. All on loopback, all in one process unless a story needs its own.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot build, it cannot test"
)]
#![expect(clippy::missing_panics_doc, reason = "panicking is how a story fails")]

pub mod apart;
pub mod needle;
pub mod placed;
pub mod recording;
pub mod secured;
pub mod served;
pub mod shown;
pub mod told;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use gateway::app::Gateway;
use gateway::config::Config;
use gateway::shutdown::{Shutdown, Trigger};
use serde_json::{Value, json};
use sim::caller::twilio::{Options, Signature, TwilioCall};
use sim::control::{self, Answer, Start};
use sim::service::autotranscribe::record::Recorded;
use sim::service::autotranscribe::{AutoTranscribe, Running};
use sim::speech::{Phrase, Role, Script};
use tokio::task::JoinHandle;

use crate::placed::{Ongoing, Placed, Speaking};

/// The id of the API key that every rig has.
pub const API_ID: &str = "rig";
/// Its secret.
pub const API_SECRET: &str = "rig-api-secret";
/// Twilio's auth token for the rig's account.
pub const AUTH_TOKEN: &str = "12345678901234567890123456789012";
/// What signs the rig's streaming URLs.
pub const TOKEN_SECRET: &str = "rig-token-secret-of-thirty-two-bytes";
/// The public URL of the rig's gateway: what Twilio would call.
pub const PUBLIC_URL: &str = "https://gateway.example.com";

/// The namespace of Twilio's calls.
const TWILIO: &str = "twilio";

/// How long a story waits for anything before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway, its speech service, and the API between them and the story.
pub struct World {
    /// The speech service: what it heard, and what shall go wrong with it.
    pub service: Running,
    /// The control and native API.
    pub api: control::Gateway,
    /// `http://127.0.0.1:port`
    pub base: String,
    /// Where SIP is listened for, in the order of `siprec.listen`.
    pub sip: Vec<SocketAddr>,
    /// How, in the same order: `udp`, `tcp`, `tls`.
    transports: Vec<String>,
    /// Of the calls that the API is asked about.
    namespace: &'static str,
    /// Drains and forces the gateway.
    pub shutdown: Trigger,
    running: JoinHandle<()>,
}

impl World {
    /// A service that hears everything in the script, and a gateway with it as upstream.
    pub async fn new() -> Self {
        Self::with("").await
    }

    /// The same, with more configuration: TOML with whole sections, which replace the rig's.
    pub async fn with(more: &str) -> Self {
        Self::with_service(service_config(), more).await
    }

    /// The same, with a service of the story's own.
    pub async fn with_service(service: sim::service::autotranscribe::Config, more: &str) -> Self {
        install_crypto();
        let service = AutoTranscribe::start(service).await.unwrap();
        let config = config(&service.url(), more);
        Self::of(service, config).await
    }

    /// A gateway with a configuration of the story's own, towards a service that runs already.
    pub async fn of(service: Running, config: Config) -> Self {
        install_crypto();
        let transports = transports(&config);
        let gateway = Gateway::bind(config).await.unwrap();
        let base = format!("http://{}", gateway.addresses().http);
        let sip = gateway.addresses().siprec.clone();
        let (trigger, shutdown) = Shutdown::manual();
        let running = tasks().spawn(async move { gateway.run(shutdown).await.unwrap() });
        let api = control::Gateway::new(&base, API_ID, API_SECRET, None).unwrap();
        api.ready(PATIENCE).await.unwrap();
        Self {
            service,
            api,
            base,
            sip,
            transports,
            namespace: TWILIO,
            shutdown: trigger,
            running,
        }
    }

    /// A caller whose stream is open and announced, with both tracks, as fast as TCP takes it.
    pub async fn dial(&self) -> TwilioCall {
        self.dial_with(|_| {}).await
    }

    /// A caller that differs from the usual one.
    pub async fn dial_with(&self, change: impl FnOnce(&mut Options)) -> TwilioCall {
        let mut options = self.options().await;
        change(&mut options);
        TwilioCall::dial(options).await.unwrap()
    }

    /// What the usual caller is like.
    pub async fn options(&self) -> Options {
        let url = self.api.twilio_url().await.unwrap();
        let tls = sim::caller::tls::client_config(None).unwrap();
        let mut options = Options::new(url, tls);
        options.via = Some(self.base.replace("http://", "ws://"));
        options.signature = Signature::AuthToken(AUTH_TOKEN.to_owned());
        options.speed = 0.0;
        options
    }

    /// Starts the transcription of a call and expects it to be running.
    pub async fn start(&self, mut call: impl Ongoing) -> Answer {
        let guid = call.guid();
        let answer = call.meanwhile(self.try_start(&guid)).await;
        assert!(
            answer.is_ok(),
            "the start was refused: {}",
            answer.complaint()
        );
        answer
    }

    /// Starts the transcription of a call.
    pub async fn try_start(&self, guid: &str) -> Answer {
        self.api.start(&Start::of(guid)).await.unwrap()
    }

    /// Stops the transcription of a call and expects both sides' summaries.
    pub async fn stop(&self, mut call: impl Ongoing) -> Answer {
        let guid = call.guid();
        let answer = call.meanwhile(self.try_stop(&guid)).await;
        assert!(
            answer.is_ok(),
            "the stop was refused: {}",
            answer.complaint()
        );
        answer
    }

    /// Stops the transcription of a call.
    pub async fn try_stop(&self, guid: &str) -> Answer {
        self.api.stop(guid).await.unwrap()
    }

    /// Pauses a call and expects it to be paused.
    pub async fn pause(&self, mut call: impl Ongoing) {
        let guid = call.guid();
        let answer = call.meanwhile(self.api.pause(&guid)).await.unwrap();
        assert!(answer.is_ok(), "no pause: {}", answer.complaint());
    }

    /// Resumes a call and expects it to run again.
    pub async fn resume(&self, mut call: impl Ongoing) {
        let guid = call.guid();
        let answer = call.meanwhile(self.api.resume(&guid)).await.unwrap();
        assert!(answer.is_ok(), "no resumption: {}", answer.complaint());
    }

    /// A call as the native API shows it; null if it knows none.
    pub async fn call(&self, guid: &str) -> Value {
        let answer = self.api.call(guid).await.unwrap();
        if answer.status == 200 {
            answer.body
        } else {
            Value::Null
        }
    }

    /// Waits until the native API shows a call as wanted.
    pub async fn until_call(&self, guid: &str, so: impl Fn(&Value) -> bool) -> Value {
        let mut events = self.api.events(None).await.unwrap();
        eventually("the call to be as wanted", async {
            loop {
                let call = self.call(guid).await;
                if so(&call) {
                    return call;
                }
                // Looks again at every event, and now and then for what is not told as one.
                let next = events.next();
                drop(tokio::time::timeout(Duration::from_millis(50), next).await);
            }
        })
        .await
    }

    /// Waits until the call is in this state; `gone` is none.
    pub async fn until_state(&self, guid: &str, state: &str) {
        let so = |call: &Value| match state {
            "gone" => call.is_null(),
            state => call["state"] == state,
        };
        self.until_call(guid, so).await;
    }

    /// Says a phrase of the script on the side of its speaker, with the pause that ends an
    /// utterance, and waits until all of it has arrived.
    pub async fn say<C: Placed>(&self, mut call: &mut C, id: &str)
    where
        for<'a> &'a mut C: Speaking,
    {
        call.speak(phrase(id)).await;
        self.arrived(&*call).await;
    }

    /// Waits until the gateway has read all that was sent on a call. Of a bad network's packets,
    /// those that were flushed.
    pub async fn arrived(&self, call: &impl Placed) {
        let all = |shown: &Value| {
            let legs = shown["legs"].as_array();
            legs.is_some_and(|legs| call.has_arrived(legs))
        };
        self.until_call(&call.guid(), all).await;
    }

    /// Waits until the service's streams are as wanted.
    pub async fn until_heard(&self, so: impl FnMut(&[Recorded]) -> bool) {
        eventually("the service to hear as wanted", self.service.wait_for(so)).await;
    }

    /// The phrases the service heard of one role, over all its streams, in order.
    pub fn heard(&self, role: Role) -> Vec<String> {
        self.service.with_streams(|streams| {
            let of_role = streams.iter().filter(|stream| stream.role() == Some(role));
            of_role
                .flat_map(|stream| stream.heard())
                .map(str::to_owned)
                .collect()
        })
    }

    /// One number out of `/metrics`, by its name and labels as they are printed; 0 if absent.
    pub async fn metric(&self, series: &str) -> f64 {
        self.try_metric(series).await.unwrap()
    }

    /// The same of a gateway that may have no room for one more connection.
    pub async fn try_metric(&self, series: &str) -> anyhow::Result<f64> {
        let text = self.api.text("/metrics").await?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(Ok(0.0), |value| Ok(value.trim().parse()?))
    }

    /// Ends the gateway as SIGTERM does, and waits for it.
    pub async fn end(self) {
        self.shutdown.drain();
        eventually("the gateway to end", self.running)
            .await
            .unwrap();
    }

    /// Waits until the gateway's process would have ended.
    pub async fn ended(&mut self) {
        eventually("the gateway to end", &mut self.running)
            .await
            .unwrap();
    }
}

/// A service on a free port that hears the whole script.
pub fn service_config() -> sim::service::autotranscribe::Config {
    // To learn the script takes longer than most stories.
    static SERVICE: LazyLock<sim::service::autotranscribe::Config> =
        LazyLock::new(sim::service::autotranscribe::Config::default);
    SERVICE.clone()
}

/// The rig's configuration, with more TOML whose sections replace or extend it.
pub fn config(service_url: &str, more: &str) -> Config {
    let text = config_text(service_url, more);
    Config::parse(Path::new("rig.toml"), &text, []).unwrap_or_else(|error| panic!("{error}"))
}

/// The same as the text of a file. A machine that runs all stories at once is no overload.
pub fn config_text(service_url: &str, more: &str) -> String {
    let mut base: toml::Table = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\npublic_url = \"{PUBLIC_URL}\"\n\
         [[api_keys]]\nid = \"{API_ID}\"\nsecret = \"{API_SECRET}\"\n\
         [twilio]\nauth_tokens = [\"{AUTH_TOKEN}\"]\ntoken_secret = \"{TOKEN_SECRET}\"\n\
         [upstream.autotranscribe]\nbase_url = \"{service_url}\"\napi_id = \"{}\"\napi_secret = \"{}\"\nburst = \"60s\"\n\
         [store]\nenabled = false\n\
         [limits]\nrequests_per_second = 100000\nrequests_burst = 100000\n\
         [overload]\nlag_max = \"0s\"\n",
        service_config().api_id,
        service_config().api_secret,
    )
    .parse()
    .unwrap();
    merge(&mut base, more.parse().unwrap());
    toml::to_string(&base).unwrap()
}

/// A phrase of the standard script.
pub fn phrase(id: &str) -> &'static Phrase {
    Script::standard()
        .phrase(id)
        .unwrap_or_else(|| panic!("no phrase {id}"))
}

/// Fails a story that waits for too long.
pub async fn eventually<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(done) => done,
        Err(_) => panic!("waited {} s for {what}", PATIENCE.as_secs()),
    }
}

/// A command's body, for stories that write their own.
pub fn command(guid: &str) -> Value {
    json!({"namespace": "twilio", "guid": guid, "customerId": "customer-1", "agentId": "agent-1"})
}

/// Where a story's tasks run.
pub fn tasks() -> tokio_util::task::TaskTracker {
    tokio_util::task::TaskTracker::new()
}

/// How the gateway listens for SIP.
fn transports(config: &Config) -> Vec<String> {
    let listen = config.siprec.listen.iter().map(ToString::to_string);
    let transport = |listen: String| listen.split(':').next().unwrap_or_default().to_owned();
    listen.map(transport).collect()
}

fn install_crypto() {
    // Whoever was first has installed the same one.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}
