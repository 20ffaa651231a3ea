//! `antiphon-sim long`: calls that outlive their sockets. The service lets a session live for
//! seconds instead of hours, and the gateway goes over to the next one again and again; no word may
//! be lost, none come twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::account::Tally;
use super::caller::Spoken;
use super::phrasebook::Phrasebook;
use super::service::{self, Which};
use super::speaker::Speaker;
use super::stage::Stage;
use super::takes::{Diary, Talk};
use super::verdict::{Verdict, conclude};
use super::witness::{Seen, Witness};
use super::{Platforms, Switches};
use crate::report::{Table, count};
use crate::service::record::Recorded;
use crate::service::{Keep, Settings};
use crate::speech::Script;

/// What a session lives for in life: three hours.
const LIFE_HOURS: f64 = 3.0;

/// Silence that a fresh stream sends before its start.
const LEAD_IN: Duration = Duration::from_millis(300);

/// How long the ends of calls may take.
const OVER: Duration = Duration::from_secs(30);

/// What `long` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    switches: Switches,
    /// Calls at once, two legs each.
    #[arg(long, default_value_t = 4)]
    calls: usize,
    /// Sockets that each leg must have gone through.
    #[arg(long, default_value_t = 11)]
    sockets: u64,
    /// How long the service lets a session live, in seconds. Of it a sixth is left to wait for a
    /// pause, which must be longer than a phrase.
    #[arg(long, default_value_t = 24)]
    life: u64,
    /// Whose calls they are.
    #[arg(long, value_enum, default_value_t = Platforms::Both)]
    platform: Platforms,
    /// What the service speaks: one of those that end a session by its length.
    #[arg(long, value_enum, default_value_t = Which::Autotranscribe)]
    service: Which,
    /// Another seed says something else.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A stream may have only one socket at a time.
    #[arg(long)]
    no_overlap: bool,
}

/// What came out.
#[derive(Debug, Default, Serialize)]
struct Figures {
    calls: usize,
    legs: u64,
    service: String,
    life_seconds: u64,
    seconds: u64,
    /// Sessions that carried sound.
    sessions: u64,
    sockets_wanted: u64,
    /// Sessions by the status code of their end, as the service saw it.
    ends: BTreeMap<String, u64>,
    /// Streams that were cut off, each time.
    interrupted: u64,
    words: Tally,
    mismatches: u64,
    all_ended: bool,
    complaints: Vec<String>,
}

/// Runs it and tells how it went.
///
/// # Errors
/// When it could not be run, or a figure is off.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let limited = matches!(arguments.service, Which::Assemblyai | Which::Autotranscribe);
    ensure!(
        limited,
        "that service does not limit how long a session lives"
    );
    let figures = play(&arguments).await?;
    conclude(&figures, arguments.switches.json.as_deref())
}

async fn play(arguments: &Arguments) -> anyhow::Result<Figures> {
    let life = Duration::from_secs(arguments.life);
    let (running, mut toml) = service::open(arguments.service, settings(), Some(life)).await?;
    if arguments.service == Which::Autotranscribe {
        // The other says it with each session.
        toml.text(
            "upstream.autotranscribe",
            "session_max",
            &format!("{}s", arguments.life),
        );
    }
    toml.raw(
        "upstream",
        "rollover_overlap",
        (!arguments.no_overlap).to_string(),
    );
    let program = &arguments.switches.spawn;
    let (platform, clock) = (arguments.platform, std::time::Instant::now());
    let mut stage = Stage::set(program, &toml, platform, arguments.calls, clock).await?;
    let book = Arc::new(Phrasebook::new(Script::standard()));
    let witness = Witness::of(&stage.gateway, arguments.switches.events.as_deref()).await?;
    let begun = Instant::now();
    // A socket is replaced when five sixths of its life are over at the latest.
    let until = begun + life * u32::try_from(arguments.sockets)? * 5 / 6;
    let mut calls = JoinSet::new();
    for call in 0..arguments.calls {
        let speaker = Speaker::new(&book, call, arguments.seed);
        let caller = stage
            .plot()
            .await?
            .dial(Spoken::Phrases(speaker.clone()))
            .await?;
        let talk = Talk::new(format!("call {call}"), caller, speaker);
        calls.spawn(perform(talk, until));
    }
    let mut diaries = Vec::new();
    while let Some(over) = calls.join_next().await {
        diaries.push(over??);
    }
    let streams: Vec<_> = diaries.iter().flat_map(Diary::streams).collect();
    let all_ended = witness.ended(arguments.calls as u64, &streams, OVER).await;
    Stage::leave(stage.fleet).await?;
    stage.spawned.end().await?;
    let mut figures = running.with_streams(Figures::heard);
    witness.with(|seen| figures.told(&diaries, seen, &book));
    running.stop().await;
    Ok(Figures {
        calls: arguments.calls,
        legs: arguments.calls as u64 * 2,
        service: format!("{:?}", arguments.service).to_lowercase(),
        life_seconds: arguments.life,
        seconds: begun.elapsed().as_secs(),
        sockets_wanted: arguments.sockets,
        all_ended,
        ..figures
    })
}

async fn perform(mut talk: Talk, until: Instant) -> anyhow::Result<Diary> {
    sleep(LEAD_IN).await;
    let started = talk.start(until).await?;
    ensure!(started, "{}: no start in time", talk.name);
    talk.go_on(until, |_| false).await;
    talk.stop().await.context("the stop")?;
    talk.hang_up().await
}

fn settings() -> Settings {
    Settings {
        keep: Keep {
            samples_max: 0,
            arrivals_max: 0,
            ..Keep::default()
        },
        ..Settings::default()
    }
}

impl Figures {
    /// What the service saw.
    fn heard(streams: &[Recorded]) -> Self {
        let mut figures = Self::default();
        for stream in streams {
            figures.sessions += u64::from(stream.audio_samples > 0);
            let end = stream.final_code;
            let end = end.map_or_else(|| "none".to_owned(), |code| code.to_string());
            *figures.ends.entry(end).or_default() += 1;
            let complaints = stream.complaints.iter().cloned();
            figures.complaints.extend(complaints);
        }
        figures.complaints.truncate(20);
        figures
    }

    /// What was said, and what the gateway told.
    fn told(&mut self, diaries: &[Diary], seen: &Seen, book: &Phrasebook) {
        for diary in diaries {
            self.words += diary.settle(book, seen);
        }
        self.interrupted = seen.interrupted;
        self.mismatches = seen.mismatches;
        self.complaints
            .extend(self.words.complaints.iter().cloned());
    }

    /// Sessions that a leg has gone through on average.
    fn sockets(&self) -> f64 {
        self.sessions as f64 / self.legs.max(1) as f64
    }

    fn cut_off(&self) -> u64 {
        let good = self.ends.get("1000").copied().unwrap_or(0);
        self.ends.values().sum::<u64>() - good
    }
}

impl Verdict for Figures {
    fn table(&self) -> Table {
        let words = &self.words;
        let mut table = Table::new(["figure", "value", "what it is"]);
        let gaps: Vec<String> = words
            .gap_ms
            .iter()
            .map(|(reason, ms)| format!("{reason} {ms} ms"))
            .collect();
        let scale = format!(
            "{:.1} h if a session lived for {LIFE_HOURS} h",
            self.hours()
        );
        let rows = [
            ("seconds", self.seconds, scale),
            (
                "sessions",
                self.sessions,
                format!("{:.1} a leg", self.sockets()),
            ),
            ("cut off", self.cut_off(), format!("{:?}", self.ends)),
            ("interruptions", self.interrupted, String::new()),
            ("words planted", words.planted, String::new()),
            ("heard", words.heard, String::new()),
            ("told as lost", words.told, gaps.join(", ")),
            ("neither", words.missing, String::new()),
            ("heard twice", words.twice, String::new()),
            ("out of place", words.misplaced, String::new()),
            ("pieces of phrases", words.nonsense, String::new()),
        ];
        for (name, number, what) in rows {
            table.row([name.to_owned(), count(number), what]);
        }
        table
    }

    fn closing(&self) -> String {
        let words = &self.words;
        format!(
            "long: {} legs, {}, {} s with sessions of {} s: {:.1} sockets a leg, {} cut off; \
             {} words planted, {} heard, {} told as lost, {} missing, {} twice",
            self.legs,
            self.service,
            self.seconds,
            self.life_seconds,
            self.sockets(),
            self.cut_off(),
            words.planted,
            words.heard,
            words.told,
            words.missing,
            words.twice,
        )
    }

    fn faults(&self) -> Vec<String> {
        let wanted = self.sockets_wanted * self.legs;
        let counted = [
            (self.words.told, "words were told as lost"),
            (self.cut_off(), "sessions were cut off by the service"),
            (self.interrupted, "interruptions"),
            (self.mismatches, "streams have sums that differ"),
            (wanted.saturating_sub(self.sessions), "sessions too few"),
            (
                u64::from(!self.all_ended),
                "wait for the calls' ends was in vain",
            ),
        ];
        let counted = counted.into_iter().filter(|(number, _)| *number > 0);
        let mut faults = self.words.faults();
        faults.extend(counted.map(|(number, what)| format!("{number} {what}")));
        faults
    }

    fn complaints(&self) -> &[String] {
        &self.complaints
    }
}

impl Figures {
    fn hours(&self) -> f64 {
        self.seconds as f64 / self.life_seconds.max(1) as f64 * LIFE_HOURS
    }
}
