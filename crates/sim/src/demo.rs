//! The main job on one screen: a Twilio call and a SIPREC call side by side through a real gateway
//! to a service that hears, each with a card number in the middle that nobody may hear.
//!
//! Gateway and service run in this process and are reached over loopback only, as strangers would.

mod party;
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

use self::party::Party;
use self::screen::{Column, Screen};
use self::verdict::{Judged, Verdict};
use crate::caller::siprec::Target;
use crate::caller::tls;
use crate::control::{self, Start};
use crate::hearing::Lexicon;
use crate::service::autotranscribe::{self, AutoTranscribe, Running};
use crate::speech::conversation::{Channel, Conversation};
use crate::speech::{SAMPLES_PER_MS, Script};

const API_ID: &str = "demo";
const API_SECRET: &str = "demo-secret";
/// How long the last transcripts and closings may take.
const OVER: Duration = Duration::from_secs(20);
const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// `antiphon-sim demo`
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Port of the gateway; 0 takes any.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// End when the calls are over, also on a terminal.
    #[arg(long)]
    no_stay: bool,
}

/// What the demo is made of.
struct World {
    service: Running,
    api: control::Gateway,
    base: String,
    siprec: Target,
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
    let apis = [world.api.clone(), world.api.on("siprec")];
    let [left, right] = Screen::both([&apis[0], &apis[1]], conversation.duration_ms());
    left.say(&format!(
        "Gateway   {} and {}  (antiphon, the real one)",
        world.base, world.siprec
    ));
    left.say(&format!(
        "Service   {}  (a simulated AutoTranscribe that hears)",
        world.service.url()
    ));
    let mut verdicts =
        [Column::Left, Column::Right].map(|column| Verdict::new(&conversation, column.platform()));
    let [twilio, siprec] = &mut verdicts;
    let (first, second) = tokio::join!(
        world.call(&conversation, &left, twilio),
        world.call(&conversation, &right, siprec),
    );
    first.and(second)?;
    world.closed().await?;
    left.finish().await;
    right.finish().await;
    let (mut judged, streams) = (Judged::new(), world.service.streams());
    for verdict in &verdicts {
        verdict.judge(&streams, &mut judged);
    }
    println!("\n{}", judged.table);
    for fault in &judged.faults {
        println!("FAULT  {fault}");
    }
    if judged.faults.is_empty() {
        println!(
            "Every phrase of both calls was heard, no card digit was, and not one byte differs."
        );
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
        let siprec = gateway.addresses().siprec.first().copied();
        let siprec = Target::udp(siprec.context("the gateway has no SIP listener")?);
        let (trigger, shutdown) = Shutdown::manual();
        let tasks = TaskTracker::new();
        tasks.spawn(gateway.run(shutdown));
        let api = control::Gateway::new(&base, API_ID, API_SECRET, None)?;
        api.ready(Duration::from_secs(10)).await?;
        Ok(Self {
            service,
            api,
            base,
            siprec,
            shutdown: trigger,
            tasks,
        })
    }

    /// A whole call, in real time.
    async fn call(
        &self,
        conversation: &Conversation,
        screen: &Screen,
        verdict: &mut Verdict,
    ) -> anyhow::Result<()> {
        let parts = Parts::of(conversation)?;
        let mut party = self.dial(screen).await?;
        let (api, guid) = (screen.api(), party.guid());
        verdict.of(&guid);
        screen.tell(&party.introduction());
        screen.tell(&format!("guid {guid}"));
        screen.watch(&guid);
        let mut events = api.call_events(&guid, None).await?;

        start(&mut party, screen).await?;
        let (before, after) = (parts.secret.start, parts.secret.end);
        verdict
            .play(&mut party, screen, parts.cut(0..before))
            .await?;
        screen.tell("POST stop-streaming    the card number is next");
        let stopped = party.silence_while(api.stop(&guid)).await??;
        ensure!(
            stopped.is_ok(),
            "the stop was refused: {}",
            stopped.complaint()
        );
        verdict
            .play(&mut party, screen, parts.cut(before..after))
            .await?;
        start(&mut party, screen).await?;
        verdict
            .play(&mut party, screen, parts.cut(after..parts.sound[0].len()))
            .await?;
        verdict.hang_up(&party);
        party.hang_up().await?;
        screen.tell("hung up");
        tokio::time::timeout(OVER, verdict.listen(&mut events))
            .await
            .context("the call did not end")?
    }

    async fn dial(&self, screen: &Screen) -> anyhow::Result<Party> {
        let tls = tls::client_config(None)?;
        match screen.column() {
            Column::Left => {
                screen.tell("GET  twilio-media-stream-url");
                Party::twilio(&self.api, &self.base, tls, AUTH_TOKEN).await
            }
            Column::Right => Party::siprec(self.siprec.clone(), tls).await,
        }
    }

    /// The service's streams are over.
    async fn closed(&self) -> anyhow::Result<()> {
        let all_closed = self
            .service
            .wait_for(|streams| streams.iter().all(|s| s.is_closed()));
        tokio::time::timeout(OVER, all_closed)
            .await
            .context("the streams did not end")
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

async fn start(party: &mut Party, screen: &Screen) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (api, start) = (screen.api(), Start::of(&party.guid()));
    let started = party.silence_while(api.start(&start)).await??;
    ensure!(
        started.is_ok(),
        "the start was refused: {}",
        started.complaint()
    );
    let took = begun.elapsed().as_millis();
    screen.tell(&format!("POST start-streaming   200 after {took} ms"));
    Ok(())
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
         [store]\nenabled = false\n\
         [siprec]\nlisten = [\"udp:127.0.0.1:0\"]\n\
         [[siprec.trunks]]\nname = \"demo\"\nsources = [\"127.0.0.0/8\"]\n\
         [upstream.autotranscribe]\nbase_url = \"{}\"\napi_id = \"{}\"\napi_secret = \"{}\"\n",
        service.url(),
        known.api_id,
        known.api_secret,
    );
    Ok(Config::parse(Path::new("demo.toml"), &text, [])?)
}
