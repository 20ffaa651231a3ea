//! Whether a call of the demo went well: every phrase, every byte, every millisecond.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::party::Party;
use super::screen::Screen;
use crate::control::sse::Events;
use crate::histogram::Histogram;
use crate::report::Table;
use crate::service::autotranscribe::record::Recorded;
use crate::speech::conversation::{Channel, Conversation};
use crate::speech::{Role, SAMPLES_PER_MS};

/// How much is played before the clock is read again.
const STEP: usize = 160;

/// What is noted of the call until it is judged.
pub(super) struct Verdict {
    conversation: Conversation,
    /// How the call is called in the table.
    platform: &'static str,
    guid: String,
    /// When so many samples of each side had been sent.
    sent_at: Vec<(u64, Instant)>,
    tapes: [Vec<i16>; 2],
    confirmed: [u64; 2],
    counters: [Value; 2],
}

/// The end of the demo, of all calls.
pub(super) struct Judged {
    pub(super) table: Table,
    pub(super) faults: Vec<String>,
}

/// One side's figures.
struct Figures {
    latency: Histogram,
    heard: u64,
    faults: Vec<String>,
}

impl Judged {
    /// No call yet.
    pub(super) fn new() -> Self {
        Self {
            table: Table::new([
                "call",
                "leg",
                "received ms",
                "sent bytes",
                "confirmed",
                "gated ms",
                "lost ms",
                "p50 ms",
                "p99 ms",
            ]),
            faults: Vec::new(),
        }
    }
}

impl Verdict {
    pub(super) fn new(conversation: &Conversation, platform: &'static str) -> Self {
        Self {
            conversation: conversation.clone(),
            platform,
            guid: String::new(),
            sent_at: Vec::new(),
            tapes: [Vec::new(), Vec::new()],
            confirmed: [0; 2],
            counters: [Value::Null, Value::Null],
        }
    }

    /// The call has a name.
    pub(super) fn of(&mut self, guid: &str) {
        guid.clone_into(&mut self.guid);
    }

    /// Plays a part of the call and notes when each frame was sent.
    pub(super) async fn play(
        &mut self,
        party: &mut Party,
        screen: &Screen,
        [customer, agent]: [&[i16]; 2],
    ) -> anyhow::Result<()> {
        for (customer, agent) in customer.chunks(STEP).zip(agent.chunks(STEP)) {
            party.converse(customer, agent).await?;
            self.sent_at.push((party.sent(), Instant::now()));
            screen.played(STEP as u64 / SAMPLES_PER_MS);
        }
        Ok(())
    }

    /// Reads what the gateway tells of the call until it is over: what its legs saw, and what the
    /// service confirmed.
    pub(super) async fn listen(&mut self, events: &mut Events) -> anyhow::Result<()> {
        while let Some(event) = events.next().await? {
            let event = event.json();
            match event["type"].as_str() {
                Some("callEnded") => break,
                Some("legEnded") => {
                    self.counters[usize::from(event["side"] == "second")] =
                        event["counters"].clone();
                }
                Some("streamEnded") => {
                    let bytes = event["summary"]["totalAudioBytes"].as_u64().unwrap_or(0);
                    self.confirmed[usize::from(event["role"] == "agent")] += bytes;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What was sent, sample by sample.
    pub(super) fn hang_up(&mut self, party: &Party) {
        self.tapes = party.tapes();
    }

    /// Adds this call's legs to the table, and its faults.
    pub(super) fn judge(&self, all: &[Recorded], judged: &mut Judged) {
        let own = |stream: &&Recorded| stream.external_id.as_deref() == Some(&*self.guid);
        let streams: Vec<Recorded> = all.iter().filter(own).cloned().collect();
        let mut faults = self.judge_words(&streams);
        for (side, role) in [(0, Role::Customer), (1, Role::Agent)] {
            let figures = self.judge_sound(&streams, side, role);
            let passed = ["passed", "filled", "quiet", "paused"];
            let sent = 2 * passed
                .iter()
                .map(|name| self.counter(side, name))
                .sum::<u64>();
            let (confirmed, heard) = (self.confirmed[side], figures.heard);
            if confirmed != sent || heard != sent {
                let role = role.as_str();
                faults.push(format!(
                    "{role}: {sent} bytes sent, {heard} heard, {confirmed} confirmed"
                ));
            }
            faults.extend(figures.faults);
            let ms = |name: &str| self.counter(side, name) / SAMPLES_PER_MS;
            let millis = |us: u64| format!("{:.1}", us as f64 / 1000.0);
            judged.table.row([
                self.platform.to_owned(),
                role.as_str().to_owned(),
                ms("received").to_string(),
                sent.to_string(),
                confirmed.to_string(),
                ms("gated").to_string(),
                ms("filled").to_string(),
                millis(figures.latency.quantile_us(0.5)),
                millis(figures.latency.quantile_us(0.99)),
            ]);
        }
        let told = faults.into_iter();
        let told = told.map(|fault| format!("{} {fault}", self.platform));
        judged.faults.extend(told);
    }

    /// Each phrase that is not secret was heard once, in order, of its speaker, and no other.
    fn judge_words(&self, streams: &[Recorded]) -> Vec<String> {
        let mut faults = Vec::new();
        for role in [Role::Customer, Role::Agent] {
            let said = self.conversation.segments().iter();
            let said = said.filter(|segment| segment.channel == Channel::of(role));
            let wanted: Vec<&str> = said
                .filter(|segment| !segment.phrase.secret)
                .map(|segment| &*segment.phrase.id)
                .collect();
            let heard: Vec<&str> = streams_of(streams, role)
                .flat_map(|stream| stream.heard())
                .collect();
            if heard != wanted {
                faults.push(format!(
                    "{}: heard {heard:?}, wanted {wanted:?}",
                    role.as_str()
                ));
            }
            let secret = said_in_secret(&self.conversation);
            if heard.iter().any(|id| secret.contains(id)) {
                faults.push(format!("{}: a card number was heard", role.as_str()));
            }
        }
        faults
    }

    /// What each stream received is, sample by sample, a stretch of what was sent.
    fn judge_sound(&self, streams: &[Recorded], side: usize, role: Role) -> Figures {
        let mut figures = Figures {
            latency: Histogram::default(),
            heard: 0,
            faults: Vec::new(),
        };
        let tape = &self.tapes[side];
        let mut from = 0;
        for stream in streams_of(streams, role) {
            figures.heard += stream.samples.len() as u64 * 2;
            match find(tape, &stream.samples, from) {
                Some(offset) => {
                    self.measure(stream, offset as u64, &mut figures.latency);
                    from = offset + stream.samples.len();
                }
                None => figures
                    .faults
                    .push(format!("{}: a byte differs", role.as_str())),
            }
        }
        figures
    }

    /// From the sending of a chunk's last frame to its arrival at the service.
    fn measure(&self, stream: &Recorded, offset: u64, latency: &mut Histogram) {
        for (arrived, samples) in &stream.arrivals {
            let end = offset + samples;
            let sent = self.sent_at.partition_point(|(sent, _)| *sent < end);
            if let Some((sent, at)) = self.sent_at.get(sent)
                && sent - end < STEP as u64
            {
                latency.record(
                    arrived
                        .checked_duration_since(*at)
                        .unwrap_or(Duration::ZERO),
                );
            }
        }
    }

    fn counter(&self, side: usize, name: &str) -> u64 {
        self.counters[side][name].as_u64().unwrap_or(0)
    }
}

fn said_in_secret(conversation: &Conversation) -> Vec<&str> {
    let secret = conversation
        .segments()
        .iter()
        .filter(|segment| segment.phrase.secret);
    secret.map(|segment| &*segment.phrase.id).collect()
}

fn streams_of(streams: &[Recorded], role: Role) -> impl Iterator<Item = &Recorded> {
    streams
        .iter()
        .filter(move |stream| stream.role() == Some(role))
}

/// Where a stretch of sound begins on the tape, from `from` on: at a frame's border as a rule, but
/// RTP lines are cut where the session's clock was when the gate opened.
fn find(tape: &[i16], sound: &[i16], from: usize) -> Option<usize> {
    let last = tape.len().checked_sub(sound.len())?;
    let begins = |at: &usize| tape[*at..].starts_with(sound);
    let mut borders = (from..=last).step_by(STEP);
    borders.find(begins).or_else(|| (from..=last).find(begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_found_at_borders_between_them_and_nowhere() {
        let tape: Vec<i16> = (0..2_000).collect();
        assert_eq!(find(&tape, &tape[320..900], 0), Some(320));
        assert_eq!(find(&tape, &tape[321..900], 160), Some(321));
        assert_eq!(find(&tape, &tape[321..900], 480), None);
        assert_eq!(find(&tape, &[7, 9], 0), None);
    }
}
