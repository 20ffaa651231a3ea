//! The main job on one screen: a two-party Twilio call through a real gateway to a service that
//! hears, with a card number in the middle that nobody may hear.
//!
//! Gateway and service run in this process and are reached over loopback only, as strangers would.

mod screen;
mod verdict;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use gateway::app::Gateway;
use gateway::config::Config;
use gateway::shutdown::{Shutdown, Trigger};
use tokio_util::task::TaskTracker;

use self::screen::Screen;
use self::verdict::Verdict;
use crate::caller::tls;
use crate::caller::twilio::{Options, Signature, TwilioCall};
use crate::control::{self, Start};
use crate::hearing::Lexicon;
use crate::service::autotranscribe::{self, AutoTranscribe, Running};
use crate::speech::conversation::{Channel, Conversation};
use crate::speech::{SAMPLES_PER_MS, Script};

const API_ID: &str = "demo";
const API_SECRET: &str = "demo-secret";
const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// `antiphon-sim demo`
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Port of the gateway; 0 takes any.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// End when the call is over, also on a terminal.
    #[arg(long)]
    no_stay: bool,
}

/// What the demo is made of.
struct World {
    service: Running,
    api: control::Gateway,
    base: String,
    shutdown: Trigger,
    tasks: TaskTracker,
}

/// The parts of the conversation around what is secret, in samples.
struct Parts {
    sound: [Vec<i16>; 2],
    secret: std::ops::Range<usize>,
}

/// Runs the demo.
///
/// # Errors
/// A phrase was not heard, a secret one was, or a byte differs; or the demo could not run.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let conversation = Script::standard()
        .payment_call()
        .context("the script has no payment call")?;
    let world = World::build(arguments.port).await?;
    let screen = Screen::new(&world.api, conversation.duration_ms());
    screen.say(&format!(
        "Gateway   {}  (antiphon, the real one)",
        world.base
    ));
    screen.say(&format!(
        "Service   {}  (a simulated AutoTranscribe that hears)",
        world.service.url()
    ));
    let mut verdict = Verdict::new(&conversation);
    world.call(&conversation, &screen, &mut verdict).await?;
    screen.finish().await;
    let judged = verdict.judge(&world.service.streams());
    println!("\n{}", judged.table);
    for fault in &judged.faults {
        println!("FAULT  {fault}");
    }
    if judged.faults.is_empty() {
        println!("Every phrase was heard, no card digit was, and not one byte differs.");
    }
    world.hints();
    if !arguments.no_stay && std::io::stdout().is_terminal() && judged.faults.is_empty() {
        println!("\nThe gateway stays up for you; Ctrl-C ends it.");
        tokio::signal::ctrl_c().await?;
    }
    world.end().await;
    ensure!(
        judged.faults.is_empty(),
        "the demo failed: {} faults",
        judged.faults.len()
    );
    Ok(())
}

impl World {
    async fn build(port: u16) -> anyhow::Result<Self> {
        let lexicon = Arc::new(Lexicon::new(Script::standard().phrases())?);
        let service = autotranscribe::Config {
            lexicon: Some(lexicon),
            ..Default::default()
        };
        let service = AutoTranscribe::start(service).await?;
        let gateway = match Gateway::bind(config(port, &service)?).await {
            Err(_) if port != 0 => Gateway::bind(config(0, &service)?).await?,
            bound => bound?,
        };
        let base = format!("http://{}", gateway.addresses().http);
        let (trigger, shutdown) = Shutdown::manual();
        let tasks = TaskTracker::new();
        tasks.spawn(gateway.run(shutdown));
        let api = control::Gateway::new(&base, API_ID, API_SECRET, None)?;
        api.ready(Duration::from_secs(10)).await?;
        Ok(Self {
            service,
            api,
            base,
            shutdown: trigger,
            tasks,
        })
    }

    /// The whole call, in real time.
    async fn call(
        &self,
        conversation: &Conversation,
        screen: &Screen,
        verdict: &mut Verdict,
    ) -> anyhow::Result<()> {
        let parts = Parts::of(conversation)?;
        let url = self.api.twilio_url().await?;
        screen.say("GET  /mg-autotranscribe/v1/twilio-media-stream-url");
        let mut options = Options::new(url, tls::client_config(None)?);
        options.via = Some(self.base.replace("http://", "ws://"));
        options.signature = Signature::AuthToken(AUTH_TOKEN.to_owned());
        let mut call = TwilioCall::dial(options).await?;
        let guid = call.call_sid().to_owned();
        screen.watch(&guid);
        let mut events = self.api.call_events(&guid, None).await?;
        screen.say(&format!(
            "Twilio    <Stream track=\"both_tracks\">, call {guid}"
        ));

        self.start(&mut call, screen).await?;
        let (before, after) = (parts.secret.start, parts.secret.end);
        verdict
            .play(&mut call, screen, parts.cut(0..before))
            .await?;
        screen.say("POST stop-streaming    the card number is next");
        let stopped = call.silence_while(self.api.stop(&guid)).await??;
        ensure!(
            stopped.is_ok(),
            "the stop was refused: {}",
            stopped.complaint()
        );
        verdict
            .play(&mut call, screen, parts.cut(before..after))
            .await?;
        self.start(&mut call, screen).await?;
        verdict
            .play(&mut call, screen, parts.cut(after..parts.sound[0].len()))
            .await?;
        verdict.hang_up(&call);
        call.hang_up().await?;
        screen.say("Twilio    stop");
        let over = Duration::from_secs(20);
        tokio::time::timeout(over, verdict.listen(&mut events))
            .await
            .context("the call did not end")??;
        let all_closed = self
            .service
            .wait_for(|streams| streams.iter().all(|s| s.is_closed()));
        tokio::time::timeout(over, all_closed)
            .await
            .context("the streams did not end")
    }

    async fn start(&self, call: &mut TwilioCall, screen: &Screen) -> anyhow::Result<()> {
        let begun = Instant::now();
        let start = Start::of(call.call_sid());
        let started = call.silence_while(self.api.start(&start)).await??;
        ensure!(
            started.is_ok(),
            "the start was refused: {}",
            started.complaint()
        );
        let took = begun.elapsed().as_millis();
        screen.say(&format!("POST start-streaming   200 after {took} ms"));
        Ok(())
    }

    fn hints(&self) {
        let base = &self.base;
        let key = format!("-H 'asapp-api-id: {API_ID}' -H 'asapp-api-secret: {API_SECRET}'");
        println!("\nTry by hand:");
        println!("  {base}/docs                 the API, rendered");
        println!("  {base}/metrics              what Prometheus reads");
        println!("  curl {key} {base}/mg-autotranscribe/v1/twilio-media-stream-url");
        println!("  curl -N {key} {base}/v1/events");
        println!("  antiphon-sim watch --api {base} --api-id {API_ID} --api-secret {API_SECRET}");
    }

    async fn end(self) {
        self.shutdown.drain();
        self.tasks.close();
        self.tasks.wait().await;
        self.service.stop().await;
    }
}

impl Parts {
    /// The stop comes a second before the first secret word, the start a second after the last.
    fn of(conversation: &Conversation) -> anyhow::Result<Self> {
        const ROOM_MS: u64 = 1000;
        let span = conversation
            .secret_span_ms()
            .context("the conversation has no secret")?;
        let sample = |ms: u64| (ms * SAMPLES_PER_MS).next_multiple_of(160) as usize;
        let secret = sample(span.start - ROOM_MS)..sample(span.end + ROOM_MS / 2);
        let sound = [Channel::Inbound, Channel::Outbound].map(|side| conversation.channel(side));
        Ok(Self { sound, secret })
    }

    fn cut(&self, range: std::ops::Range<usize>) -> [&[i16]; 2] {
        [&self.sound[0][range.clone()], &self.sound[1][range]]
    }
}

fn config(port: u16, service: &Running) -> anyhow::Result<Config> {
    let known = autotranscribe::Config::default();
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://localhost:{port}\"\n\
         [[api_keys]]\nid = \"{API_ID}\"\nsecret = \"{API_SECRET}\"\n\
         [twilio]\nauth_tokens = [\"{AUTH_TOKEN}\"]\n\
         token_secret = \"a secret of the demo, of more than 32 bytes\"\n\
         [upstream.autotranscribe]\nbase_url = \"{}\"\napi_id = \"{}\"\napi_secret = \"{}\"\n",
        service.url(),
        known.api_id,
        known.api_secret,
    );
    Ok(Config::parse(Path::new("demo.toml"), &text, [])?)
}
