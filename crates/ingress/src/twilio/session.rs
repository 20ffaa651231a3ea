//! What one socket of Twilio's means: a machine that is given texts and the time and feeds legs. It
//! waits for nothing, sends nothing but a reason to close, and never closes a socket because its
//! sound is not wanted: a `<Connect>` stream that is closed hangs up the call.

use std::time::{Duration, Instant};

use call::audio::{Codec, Frame};
use call::ending::Ending;
use call::leg::Gate;
use call::name::Side;
use call::private::Private;

use crate::twilio::binding::{BadStart, Binding};
use crate::twilio::key::Dtmf;
use crate::twilio::message::{Event, Media, Message, Start, Text, Track};
use crate::twilio::payload::{self, Scratch};
use crate::twilio::tally::{Bad, GapCause, Ignored, LegEnd, SocketEnd, Tally};
use crate::twilio::timeline::{Sequence, Step, Timeline};

/// One socket's life: `start` binds it to a call and opens its legs, `media` feeds them, `stop`
/// ends them.
#[derive(Debug)]
pub struct Session {
    limits: SessionLimits,
    state: State,
    tracks: [TrackState; 2],
    timeline: Timeline,
    sequence: Sequence,
    /// When sound for a live leg last came.
    sounded: Instant,
    /// When anything last came.
    touched: Instant,
    /// By side: whether it was fed since the last [`Session::settle`].
    fed: [bool; 2],
    bad_in_a_row: u32,
    scratch: Scratch,
    tally: Tally,
}

/// How long a session waits, and how much nonsense it bears.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// From the socket's opening to `start`.
    pub start_timeout: Duration,
    /// Without sound for so long, the legs end.
    pub media_timeout: Duration,
    /// Without any message for so long, a socket without live legs is closed.
    pub socket_timeout: Duration,
    /// From `stop` to the other side's close.
    pub close_timeout: Duration,
    /// This many bad messages in a row close the socket.
    pub bad_messages_max: u32,
}

/// What a session does to its legs. One at most a side is live.
pub trait Legs {
    /// Opens a side's leg, its gate shut.
    fn open(&mut self, now: Instant, side: Side, binding: &Binding);
    /// The gate of a live leg.
    fn gate(&self, side: Side) -> Gate;
    /// Brings a frame to a live leg.
    fn push(&mut self, now: Instant, side: Side, frame: Frame<'_>);
    /// Brings a frame's length to a live leg.
    fn withhold(&mut self, now: Instant, side: Side, position: u64, samples: u64);
    /// Tells of a key on a live leg whose gate is open; false if there were too many.
    fn press(&mut self, now: Instant, side: Side, key: Private<char>) -> bool;
    /// Tells a live leg that the session's clock went on.
    fn catch_up(&mut self, now: Instant, side: Side);
    /// Ends a live leg.
    fn end(&mut self, side: Side, ending: Ending);
}

/// What is to become of the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Close it; the legs have been ended.
    Close(SocketEnd),
    /// Go on reading.
    Go,
}

#[derive(Debug)]
enum State {
    Bound(Binding),
    Expecting(Instant),
    Stopped(Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrackState {
    Absent,
    Live,
    Retired,
}

impl Session {
    /// A session whose socket was opened at `now`.
    pub fn new(now: Instant, limits: SessionLimits) -> Self {
        Self {
            limits,
            state: State::Expecting(now),
            tracks: [TrackState::Absent; 2],
            timeline: Timeline::default(),
            sequence: Sequence::default(),
            sounded: now,
            touched: now,
            fed: [false; 2],
            bad_in_a_row: 0,
            scratch: Scratch::default(),
            tally: Tally::default(),
        }
    }

    /// Takes a text frame.
    pub fn text(&mut self, now: Instant, text: &str, legs: &mut impl Legs) -> Verdict {
        self.touched = now;
        let taken = Message::parse(text).and_then(|message| {
            self.tally.messages[message.event.name() as usize] += 1;
            if let Some(number) = message.sequence {
                self.count(number);
            }
            match message.event {
                Event::Dtmf(dtmf) => {
                    self.dtmf(now, dtmf, legs);
                    Ok(Verdict::Go)
                }
                Event::Media(media) => self.media(now, &media, legs).map(|()| Verdict::Go),
                Event::Start(start) => Ok(self.start(now, &start, &message.stream_sid, legs)),
                Event::Stop => {
                    self.stop(now, LegEnd::Stopped, legs);
                    Ok(Verdict::Go)
                }
                Event::Connected | Event::Mark | Event::Unknown => Ok(Verdict::Go),
            }
        });
        match taken {
            Ok(verdict) => {
                self.bad_in_a_row = 0;
                verdict
            }
            Err(bad) => self.skip(bad, legs),
        }
    }

    /// Takes a binary frame, of which there should be none.
    pub fn binary(&mut self, now: Instant, legs: &mut impl Legs) -> Verdict {
        self.touched = now;
        self.skip(Bad::Binary, legs)
    }

    /// To be called when all that had arrived was taken: a side that was not fed learns how far the
    /// clock is. Not after each frame, for in a burst one side's frames may come before the
    /// other's.
    pub fn settle(&mut self, now: Instant, legs: &mut impl Legs) {
        let fed = std::mem::take(&mut self.fed);
        if fed == [false; 2] {
            return;
        }
        for side in Side::BOTH {
            if self.is_live(side) && !fed[side as usize] {
                legs.catch_up(now, side);
            }
        }
    }

    /// A leg's place was taken by newer media: the socket goes on, its sound goes nowhere.
    pub fn retire(&mut self, side: Side, legs: &mut impl Legs) {
        self.end(side, LegEnd::Retired, TrackState::Retired, legs);
    }

    /// The other side closed the socket, or it broke.
    pub fn lost(&mut self, now: Instant, legs: &mut impl Legs) {
        self.stop(now, LegEnd::SocketLost, legs);
    }

    /// The gateway shuts down.
    pub fn shut_down(&mut self, legs: &mut impl Legs) -> Verdict {
        self.close(SocketEnd::ShutDown, LegEnd::ShutDown, legs)
    }

    /// The socket cannot be read any more.
    pub fn refuse(&mut self, end: SocketEnd, legs: &mut impl Legs) -> Verdict {
        self.close(end, LegEnd::Refused, legs)
    }

    /// When to call [`Session::tick`] at the latest.
    pub fn deadline(&self) -> Instant {
        match self.state {
            State::Bound(_) if self.has_live() => self.sounded + self.limits.media_timeout,
            State::Bound(_) => self.touched + self.limits.socket_timeout,
            State::Expecting(since) => since + self.limits.start_timeout,
            State::Stopped(since) => since + self.limits.close_timeout,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant, legs: &mut impl Legs) -> Verdict {
        if now < self.deadline() {
            return Verdict::Go;
        }
        match self.state {
            // The socket stays: a track that has nothing to say may send nothing, and may begin
            // again.
            State::Bound(_) if self.has_live() => {
                self.end_all(LegEnd::MediaTimeout, legs);
                Verdict::Go
            }
            State::Bound(_) => Verdict::Close(SocketEnd::Idle),
            State::Expecting(_) => Verdict::Close(SocketEnd::NoStart),
            State::Stopped(_) => Verdict::Close(SocketEnd::Stopped),
        }
    }

    /// What `start` said, once it has.
    pub fn binding(&self) -> Option<&Binding> {
        match &self.state {
            State::Bound(binding) => Some(binding),
            State::Expecting(_) | State::Stopped(_) => None,
        }
    }

    /// What was counted since this was last called.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn count(&mut self, number: u64) {
        match self.sequence.step(number) {
            Step::Backward => self.tally.sequence_backward += 1,
            Step::Missing(missing) => self.tally.sequence_missing += missing,
            Step::Next => {}
        }
    }

    fn skip(&mut self, bad: Bad, legs: &mut impl Legs) -> Verdict {
        self.tally.bad[bad as usize] += 1;
        self.bad_in_a_row += 1;
        if self.bad_in_a_row < self.limits.bad_messages_max {
            return Verdict::Go;
        }
        self.close(SocketEnd::Nonsense, LegEnd::Refused, legs)
    }

    fn start(
        &mut self,
        now: Instant,
        start: &Start<'_>,
        stream_sid: &Text<'_>,
        legs: &mut impl Legs,
    ) -> Verdict {
        let end = match (Binding::new(start, stream_sid), &self.state) {
            (Ok(binding), State::Expecting(_)) => {
                self.bind(now, binding, start, legs);
                return Verdict::Go;
            }
            // What sounds after it could be credited to the wrong call.
            (Ok(binding), State::Bound(bound)) if binding.call != bound.call => {
                SocketEnd::SecondCall
            }
            (Ok(_), State::Bound(_) | State::Stopped(_)) => {
                self.tally.starts_repeated += 1;
                return Verdict::Go;
            }
            (Err(BadStart::Unnamed), _) => SocketEnd::Unnamed,
            (Err(BadStart::Unsupported(part)), _) => {
                self.tally.unsupported[part as usize] += 1;
                SocketEnd::Unsupported
            }
        };
        self.close(end, LegEnd::Refused, legs)
    }

    fn bind(&mut self, now: Instant, binding: Binding, start: &Start<'_>, legs: &mut impl Legs) {
        self.sounded = now;
        self.tally.parameters_ignored += binding.parameters.ignored_count;
        for side in Side::BOTH {
            if start
                .tracks
                .iter()
                .flatten()
                .any(|track| side_of(*track) == Some(side))
            {
                self.open(now, side, &binding, legs);
            }
        }
        self.state = State::Bound(binding);
    }

    /// Brings a frame to its leg. The gate is asked before the payload is decoded.
    fn media(&mut self, now: Instant, media: &Media<'_>, legs: &mut impl Legs) -> Result<(), Bad> {
        let Some((side, codec)) = self.admit(now, media.track, legs)? else {
            return Ok(());
        };
        let text = media.payload.as_str();
        let samples = codec.samples(payload::decoded_len(text).ok_or(Bad::Base64)?);
        self.sounded = now;
        if samples == 0 {
            return Ok(());
        }
        let gate = legs.gate(side);
        let payload = match gate {
            Gate::Open => Some(self.scratch.decode(text).ok_or(Bad::Base64)?),
            Gate::Paused | Gate::Shut => {
                self.scratch.wipe();
                None
            }
        };
        self.tally.frame(gate);
        let place = self.timeline.place(side, media.timestamp.0, samples);
        let was_broken = self.sequence.was_broken(side);
        let cause = if was_broken {
            GapCause::Lost
        } else {
            GapCause::Unsent
        };
        self.tally.gap_samples[cause as usize] += place.gap;
        self.tally.clock_restarts += u64::from(place.restarted);
        self.tally.untimed += u64::from(media.timestamp.0.is_none());
        self.fed[side as usize] = true;
        let position = place.position;
        match payload {
            Some(payload) => legs.push(
                now,
                side,
                Frame {
                    position,
                    codec,
                    payload,
                },
            ),
            None => legs.withhold(now, side, position, samples),
        }
        Ok(())
    }

    /// Brings a key to its leg, if there is one. The gate is asked before the key is read.
    fn dtmf(&mut self, now: Instant, dtmf: Dtmf<'_>, legs: &mut impl Legs) {
        let Ok(side) = self.side_of(dtmf.track()) else {
            return;
        };
        if !self.is_live(side) || legs.gate(side) != Gate::Open {
            return;
        }
        if let Some(key) = dtmf.key() {
            self.tally.keys += 1;
            self.tally.keys_untold += u64::from(!legs.press(now, side, key));
        }
    }

    /// The live leg that a frame is for, opened if it must be; `None` if there is none.
    fn admit(
        &mut self,
        now: Instant,
        track: Track,
        legs: &mut impl Legs,
    ) -> Result<Option<(Side, Codec)>, Bad> {
        let ignored = match &self.state {
            State::Bound(binding) => {
                let codec = binding.codec;
                let side = self.side_of(track)?;
                match self.tracks[side as usize] {
                    TrackState::Absent => {
                        self.open_late(now, side, legs);
                        return Ok(Some((side, codec)));
                    }
                    TrackState::Live => return Ok(Some((side, codec))),
                    TrackState::Retired => Ignored::Retired,
                }
            }
            State::Expecting(_) => Ignored::BeforeStart,
            State::Stopped(_) => Ignored::AfterStop,
        };
        self.tally.ignored[ignored as usize] += 1;
        Ok(None)
    }

    /// What has no track belongs to the only one there is, or else to the first.
    fn side_of(&self, track: Track) -> Result<Side, Bad> {
        match track {
            Track::Untold if self.tracks == [TrackState::Absent, TrackState::Live] => {
                Ok(Side::Second)
            }
            Track::Untold => Ok(Side::First),
            track => side_of(track).ok_or(Bad::Track),
        }
    }

    fn open(&mut self, now: Instant, side: Side, binding: &Binding, legs: &mut impl Legs) {
        legs.open(now, side, binding);
        self.tracks[side as usize] = TrackState::Live;
        self.tally.legs_opened += 1;
    }

    fn open_late(&mut self, now: Instant, side: Side, legs: &mut impl Legs) {
        let Some(binding) = self.binding().cloned() else {
            return;
        };
        self.tally.unlisted_tracks += 1;
        self.open(now, side, &binding, legs);
    }

    fn stop(&mut self, now: Instant, end: LegEnd, legs: &mut impl Legs) {
        self.end_all(end, legs);
        if !matches!(self.state, State::Stopped(_)) {
            self.state = State::Stopped(now);
        }
    }

    fn close(&mut self, socket: SocketEnd, leg: LegEnd, legs: &mut impl Legs) -> Verdict {
        self.end_all(leg, legs);
        Verdict::Close(socket)
    }

    fn end_all(&mut self, end: LegEnd, legs: &mut impl Legs) {
        for side in Side::BOTH {
            self.end(side, end, TrackState::Absent, legs);
        }
        self.scratch.wipe();
    }

    fn end(&mut self, side: Side, end: LegEnd, then: TrackState, legs: &mut impl Legs) {
        if self.is_live(side) {
            legs.end(side, end.ending());
            self.tracks[side as usize] = then;
            self.tally.legs_ended[end as usize] += 1;
        }
    }

    fn is_live(&self, side: Side) -> bool {
        self.tracks[side as usize] == TrackState::Live
    }

    fn has_live(&self) -> bool {
        self.tracks.contains(&TrackState::Live)
    }
}

fn side_of(track: Track) -> Option<Side> {
    match track {
        Track::Inbound => Some(Side::First),
        Track::Outbound => Some(Side::Second),
        Track::Untold | Track::Unknown => None,
    }
}

#[cfg(test)]
mod tests;
