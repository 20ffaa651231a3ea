//! One call's talk, take by take: a take is what is said between a start and its stop. Around each
//! command there is a silence, so that every phrase lies wholly within a take or wholly without.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::account::{Page, Planted, Tally, Told};
use super::caller::Caller;
use super::phrasebook::Phrasebook;
use super::speaker::{Mood, Speaker};
use super::witness::Seen;
use crate::control::Answer;
use crate::speech::Role;

/// How long to wait before a start that was refused is sent again.
const AGAIN: Duration = Duration::from_secs(1);

/// One call that talks.
pub(super) struct Talk {
    pub(super) caller: Caller,
    pub(super) speaker: Speaker,
    /// How it is called in complaints.
    pub(super) name: String,
    takes: Vec<Take>,
    pub(super) counts: Counts,
}

/// What was commanded of one call, and with what success.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) starts: u64,
    /// Starts that were not ok, of which each is tried again.
    pub(super) starts_refused: u64,
    pub(super) stops: u64,
    /// Stops that were answered that the service did not acknowledge the end.
    pub(super) stops_unacknowledged: u64,
    pub(super) pauses: u64,
    /// Pauses and resumes that were not ok.
    pub(super) pauses_refused: u64,
    /// Streams that ended although nobody had asked for it.
    pub(super) streams_given_up: u64,
}

/// What was said between a start and its stop.
struct Take {
    /// The customer's stream and the agent's.
    streams: [String; 2],
    /// The caller's clock when the start was sent.
    origin_ms: u64,
    said: [Vec<Planted>; 2],
}

/// What is left of a talk when it is over.
pub(super) struct Diary {
    name: String,
    takes: Vec<Take>,
    pub(super) counts: Counts,
    /// Frames sent on both tracks.
    pub(super) frames: u64,
    pub(super) secret_words: u64,
}

impl Talk {
    /// Of a call that has just been placed.
    pub(super) fn new(name: String, caller: Caller, speaker: Speaker) -> Self {
        Self {
            caller,
            speaker,
            name,
            takes: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Starts the transcription, however often it is refused until then, and talks. False when
    /// that took too long.
    pub(super) async fn start(&mut self, until: Instant) -> anyhow::Result<bool> {
        self.speaker.hush().await;
        loop {
            let origin_ms = self.speaker.now_ms();
            let answer = self.caller.start().await?;
            self.counts.starts += 1;
            if answer.is_ok() {
                self.takes.push(Take {
                    streams: ["customer", "agent"].map(|role| stream_id(&answer, role)),
                    origin_ms,
                    said: Default::default(),
                });
                self.speaker.set(Mood::Talk);
                return Ok(true);
            }
            self.counts.starts_refused += 1;
            // Whatever of it came about is not wanted.
            self.caller.stop().await?;
            sleep(AGAIN).await;
            if Instant::now() > until {
                return Ok(false);
            }
        }
    }

    /// Stops it. What is said then nobody may hear.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        self.end_take().await;
        let answer = self.caller.stop().await?;
        self.counts.stops += 1;
        self.counts.stops_unacknowledged += u64::from(!answer.is_ok());
        Ok(())
    }

    /// Pauses it, says for so long what nobody may hear, and goes on.
    pub(super) async fn pause(&mut self, long: Duration) -> anyhow::Result<()> {
        self.speaker.hush().await;
        let (gateway, guid) = (&self.caller.gateway, &self.caller.guid);
        self.counts.pauses += 1;
        let paused = gateway.pause(guid).await?;
        if paused.is_ok() || paused.status == 200 {
            self.tell_secrets(long).await;
            let resumed = self.caller.gateway.resume(&self.caller.guid).await?;
            self.counts.pauses_refused += u64::from(resumed.status != 200);
        } else {
            self.counts.pauses_refused += 1;
        }
        self.speaker.set(Mood::Talk);
        Ok(())
    }

    /// Says what nobody may hear.
    pub(super) async fn tell_secrets(&self, long: Duration) {
        self.speaker.set(Mood::Secret);
        sleep(long).await;
        self.speaker.hush().await;
    }

    /// Talks on until then, or until a stream of the take has ended by itself: true.
    pub(super) async fn go_on(&self, until: Instant, has_ended: impl Fn(&str) -> bool) -> bool {
        let streams = || self.takes.last().into_iter().flat_map(|take| &take.streams);
        while Instant::now() < until {
            if streams().any(|stream| has_ended(stream)) {
                return true;
            }
            sleep_until(until.min(Instant::now() + AGAIN)).await;
        }
        false
    }

    /// Says the last phrase to its end, and notes what was said in the take.
    pub(super) async fn end_take(&mut self) {
        self.speaker.hush().await;
        let said = self.speaker.take_said();
        if let Some(take) = self.takes.last_mut() {
            for (all, said) in take.said.iter_mut().zip(said) {
                all.extend(said);
            }
        }
    }

    /// Hangs up, with the transcription running or not.
    pub(super) async fn hang_up(mut self) -> anyhow::Result<Diary> {
        self.end_take().await;
        self.caller.hang_up().await?;
        Ok(Diary {
            name: self.name,
            takes: self.takes,
            counts: self.counts,
            frames: self.speaker.frames(),
            secret_words: self.speaker.secret_words(),
        })
    }
}

impl Diary {
    /// What became of all that was said.
    pub(super) fn settle(&self, book: &Phrasebook, seen: &Seen) -> Tally {
        let (mut tally, nothing) = (Tally::default(), Told::default());
        for take in &self.takes {
            let roles = [Role::Customer, Role::Agent];
            for ((role, stream), said) in roles.into_iter().zip(&take.streams).zip(&take.said) {
                let name = format!("{} {role} {stream}", self.name);
                let page = Page {
                    name: &name,
                    role,
                    origin_ms: take.origin_ms,
                    planted: said,
                    told: seen.streams.get(stream).unwrap_or(&nothing),
                };
                tally += page.settle(book);
            }
        }
        tally
    }

    /// All streams there were.
    pub(super) fn streams(&self) -> impl Iterator<Item = &String> {
        self.takes.iter().flat_map(|take| &take.streams)
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.starts += other.starts;
        self.starts_refused += other.starts_refused;
        self.stops += other.stops;
        self.stops_unacknowledged += other.stops_unacknowledged;
        self.pauses += other.pauses;
        self.pauses_refused += other.pauses_refused;
        self.streams_given_up += other.streams_given_up;
    }
}

fn stream_id(answer: &Answer, role: &str) -> String {
    let id = answer.stream(role)["streamId"].as_str();
    id.unwrap_or_default().to_owned()
}
