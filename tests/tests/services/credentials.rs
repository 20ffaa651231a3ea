//! Credentials that are replaced while calls run: SIGHUP reads them again, for the streams that
//! open from then on.

use std::time::Duration;

use rig::apart::Apart;
use rig::config_text;
use rig::served::{extended, name, section};
use rig::shown::until_metric;
use rig::told::of;
use sim::caller::twilio::TwilioCall;
use sim::service::{Protocol, Settings};
use tempfile::TempDir;

use crate::GATEWAY;
use crate::proof::{assert_course, heard, is_tail};
use crate::story::QUICK;

/// A service that is left alone is left alone for longer than a story lasts, unless something new
/// is known of it.
const PATIENT: &str = "[upstream.guard]\nprobe_after_min = \"1h\"\nprobe_after_max = \"1h\"\n";

const REFUSED: &str = "a-key-that-nobody-takes";

/// More than ends an utterance, whatever the size of messages.
const PAUSE: Duration = Duration::from_secs(1);

/// A gateway whose credential is in a file.
struct Rotation {
    protocol: Protocol,
    folder: TempDir,
    gateway: Apart,
    reloads: [u32; 2],
}

impl Rotation {
    async fn of(protocol: Protocol) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = protocol.start(Settings::default()).await.unwrap();
        let (key, good) = credential(protocol);
        std::fs::write(folder.path().join("credential"), good).unwrap();
        let name = name(protocol);
        let own = format!(
            "[upstream]\nservice = \"{name}\"\n\
             [upstream.{name}]\n{key} = \"file:credential\"\n"
        );
        let more = extended(&section(protocol, &service.url()), &own);
        let more = extended(&extended(QUICK, PATIENT), &more);
        let text = config_text(&service.url(), &more);
        let gateway = Apart::of(service, &text, GATEWAY, folder.path()).await;
        Self {
            protocol,
            folder,
            gateway,
            reloads: [0; 2],
        }
    }

    /// Another credential in the file, or no file, and SIGHUP.
    async fn replace(&mut self, credential: Option<&str>) {
        let file = self.folder.path().join("credential");
        match credential {
            Some(credential) => std::fs::write(file, format!("{credential}\n")).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        self.gateway.hang_up();
        let is_taken = usize::from(credential.is_some());
        self.reloads[is_taken] += 1;
        let times = f64::from(self.reloads[is_taken]);
        let outcome = ["refused", "taken"][is_taken];
        let series = format!("antiphon_reloads_total{{outcome=\"{outcome}\"}}");
        until_metric(&self.gateway.world, &series, |count| count == times).await;
    }

    async fn dial(&self) -> TwilioCall {
        let call = self.gateway.world.dial().await;
        self.is_idle(&call).await;
        call
    }

    async fn is_idle(&self, call: &TwilioCall) {
        let world = &self.gateway.world;
        world.until_state(call.call_sid(), "idle").await;
    }

    /// Says a phrase, which is heard.
    async fn say(&self, call: &mut TwilioCall, id: &str) {
        let world = &self.gateway.world;
        world.say(call, id).await;
        call.silence(PAUSE).await.unwrap();
        let is_heard = |told: &[serde_json::Value]| !heard(told, id).is_empty();
        world.until_told(call.call_sid(), is_heard).await;
    }

    async fn breaker(&self) -> f64 {
        let service = name(self.protocol);
        let series = format!("antiphon_upstream_breaker_state{{service=\"{service}\"}}");
        self.gateway.world.metric(&series).await
    }

    /// A start is refused, and the service left alone.
    async fn is_refused(&self, call: &TwilioCall) {
        let start = self.gateway.world.try_start(call.call_sid()).await;
        assert!(!start.is_ok(), "it was started");
        assert_eq!(self.breaker().await, 2.0);
        self.is_idle(call).await;
    }

    /// What is logged of it: each reload in one line, and no credential.
    async fn end(self) {
        let Self {
            protocol,
            folder,
            gateway,
            ..
        } = self;
        let log = gateway.log.clone();
        gateway.end().await;
        let log = std::fs::read_to_string(log).unwrap();
        drop(folder);
        for (words, lines) in [("stay as they were", 1), ("were read again", 2)] {
            assert_eq!(log.matches(words).count(), lines, "{words}:\n{log}");
        }
        let (_, good) = credential(protocol);
        for secret in [good, REFUSED] {
            assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
        }
    }
}

/// The key that has it, and what the service takes.
fn credential(protocol: Protocol) -> (&'static str, &'static str) {
    match protocol {
        Protocol::AutoTranscribe => ("api_secret", "sim-api-secret"),
        _ => ("api_key", "sim-api-key"),
    }
}

/// A call that runs does not notice; the next one is refused with a credential that is no good, and
/// starts as soon as there is a good one, although the service was to be left alone for an hour.
async fn is_replaced(protocol: Protocol) {
    let mut rotation = Rotation::of(protocol).await;
    let mut running = rotation.dial().await;
    rotation.gateway.world.start(&running).await;
    rotation.say(&mut running, "customer-greeting").await;
    let mut next = rotation.dial().await;
    let (_, good) = credential(protocol);

    rotation.replace(Some(REFUSED)).await;
    rotation.is_refused(&next).await;
    rotation.say(&mut running, "agent-greeting").await;
    rotation.replace(None).await;
    rotation.is_refused(&next).await;
    rotation.replace(Some(good)).await;
    assert_eq!(rotation.breaker().await, 0.0);
    rotation.gateway.world.start(&next).await;
    rotation.say(&mut next, "customer-greeting").await;
    rotation.say(&mut running, "customer-goodbye").await;

    let world = &rotation.gateway.world;
    for (call, phrases) in [(running, 3), (next, 1)] {
        let guid = call.call_sid().to_owned();
        world.stop(&call).await;
        call.hang_up().await.unwrap();
        world.until_state(&guid, "gone").await;
        let told = world.told(&guid).await;
        let finals = of(&told, "transcript", "").into_iter();
        let finals = finals.filter(|event| event["isFinal"] == true);
        assert_eq!(finals.count(), phrases, "{guid}");
        let gaps = of(&told, "gap", "");
        assert!(gaps.iter().all(|gap| is_tail(gap)), "{gaps:?}");
        if phrases == 3 {
            for role in ["agent", "customer"] {
                assert_course(&told, role, &["opened", name(protocol), "ended 1000"]);
            }
        }
    }
    rotation.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assemblyai_s_key_is_replaced_while_a_call_runs() {
    is_replaced(Protocol::AssemblyAi).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn autotranscribe_s_secret_is_replaced_while_a_call_runs() {
    is_replaced(Protocol::AutoTranscribe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deepgram_s_key_is_replaced_while_a_call_runs() {
    is_replaced(Protocol::Deepgram).await;
}
