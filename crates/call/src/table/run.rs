//! The running start: what it asked for, and what has become of its streams.

use crate::name::{LegId, Side, StreamId};
use crate::start::{Grounds, Report, Start, Status, StreamSpec};
use crate::switchboard::{NewLeg, Outcome, StreamView};
use crate::table::desk::Desk;

/// One start that was accepted, until its stop or the end of its media.
#[derive(Debug)]
pub(crate) struct Run {
    start: Box<Start>,
    parts: Vec<Part>,
    /// Whether a leg had to be ended because it did not confirm, since the last answer.
    is_deaf: bool,
}

/// One side's part in it. A side has at most one: newer media on it waits for the next start.
#[derive(Debug)]
pub(crate) struct Part {
    side: Side,
    pub(crate) spec: StreamSpec,
    /// Why it has its role.
    grounds: Grounds,
    /// Whose sound it is, until that leg ends or is replaced.
    pub(crate) leg: Option<LegId>,
    pub(crate) stage: Stage,
}

/// A stream that was given up before the service accepted it.
#[derive(Debug)]
pub(crate) struct Undone {
    pub(crate) stream: StreamId,
    /// The leg whose gate leads to it.
    pub(crate) leg: Option<LegId>,
}

/// What an answer says of a stream.
enum Told<'a> {
    /// 1000.
    Ok,
    /// 5000, in our words.
    Ours(&'static str),
    /// As it was reported.
    Theirs(&'a Report),
}

/// How a stream stands.
#[derive(Debug)]
pub(crate) enum Stage {
    /// `startResponse` is awaited.
    Opening,
    /// Accepted by the service.
    Ready,
    /// No more sound will come; the final is awaited.
    Finishing,
    /// Over, as it should be.
    Finished(Report),
    /// Given up, by the service or by us.
    Failed(Report),
}

impl Run {
    pub(crate) fn new(start: Box<Start>) -> Self {
        Self {
            start,
            parts: Vec::new(),
            is_deaf: false,
        }
    }

    /// Its streams, as the native API sees them.
    pub(crate) fn views(&self) -> Vec<StreamView> {
        let view = |part: &Part| StreamView {
            id: part.spec.id.clone(),
            role: part.spec.role,
            leg: part.leg,
            state: part.stage.as_str(),
        };
        self.parts.iter().map(view).collect()
    }

    pub(crate) fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// Whether a side has had media since the start.
    pub(crate) fn has_heard(&self, side: Side) -> bool {
        self.parts.iter().any(|part| part.side == side)
    }

    /// Whether any stream still hears a leg.
    pub(crate) fn is_up(&self) -> bool {
        self.parts.iter().any(Part::is_up)
    }

    /// Whether any leg's stream is neither ready nor failed.
    pub(crate) fn is_opening(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.leg.is_some() && matches!(part.stage, Stage::Opening))
    }

    /// Whether every stream has come to its end.
    pub(crate) fn is_finished(&self) -> bool {
        self.parts.iter().all(|part| part.stage.is_over())
    }

    /// The legs that are heard, by which stream, and why it has its role.
    pub(crate) fn heard(&self) -> impl Iterator<Item = (LegId, &StreamSpec, Grounds)> {
        let up = self.parts.iter().filter(|part| part.is_up());
        up.filter_map(|part| Some((part.leg?, &part.spec, part.grounds)))
    }

    /// A side's first media since the start: which stream it gets. The other side, if it takes
    /// part, has another.
    pub(crate) fn join(&mut self, _desk: &Desk<'_>, leg: NewLeg) -> (StreamSpec, Grounds) {
        let taken = self.parts.first().map(|part| &part.spec.id);
        let taken = taken.filter(|_| !planted!(_desk, StreamShared));
        let suggested = leg
            .suggested
            .filter(|_| !planted!(_desk, SuggestionIgnored));
        let (spec, grounds) = self.start.cast(leg.side, suggested, taken);
        self.parts.push(Part {
            side: leg.side,
            spec: spec.clone(),
            grounds,
            leg: Some(leg.id),
            stage: Stage::Opening,
        });
        (spec, grounds)
    }

    /// A leg has ended or was replaced: its stream drains.
    pub(crate) fn lose(&mut self, leg: LegId) {
        for part in self.parts.iter_mut().filter(|part| part.leg == Some(leg)) {
            part.leg = None;
            if matches!(part.stage, Stage::Ready) {
                part.stage = Stage::Finishing;
            }
        }
    }

    /// A leg had to be ended because it did not confirm.
    pub(crate) fn deafen(&mut self, leg: LegId) {
        self.lose(leg);
        self.is_deaf = true;
    }

    /// The service has accepted a stream.
    pub(crate) fn ready(&mut self, id: &StreamId) {
        if let Some(part) = self.find(id)
            && matches!(part.stage, Stage::Opening)
        {
            part.stage = if part.leg.is_some() {
                Stage::Ready
            } else {
                Stage::Finishing
            };
        }
    }

    /// A stream has come to its end. What was decided before stands.
    pub(crate) fn finish(&mut self, report: Report) {
        self.end(report, Stage::Finished);
    }

    /// A stream has been given up. What was decided before stands, and is `None`.
    pub(crate) fn fail(&mut self, report: Report) -> Option<&Part> {
        self.end(report, Stage::Failed)
    }

    /// A stop: every stream has heard its last. Returns those that were never ready; they have
    /// failed.
    pub(crate) fn stop(&mut self) -> Vec<Undone> {
        for part in &mut self.parts {
            part.leg = None;
            if matches!(part.stage, Stage::Ready) {
                part.stage = Stage::Finishing;
            }
        }
        self.give_up(
            "the stream was stopped before the service accepted it",
            |_| true,
        )
    }

    /// `start_timeout` is over. Returns the streams a leg still waits for; they have failed.
    pub(crate) fn time_out(&mut self) -> Vec<Undone> {
        self.give_up("startResponse did not come in time", |part| {
            part.leg.is_some()
        })
    }

    /// What a start answers: a status a role.
    pub(crate) fn started(&mut self) -> Outcome {
        self.outcome(|part| match &part.stage {
            Stage::Finished(report) | Stage::Failed(report) => Told::Theirs(report),
            _ if part.leg.is_none() => Told::Ours("the media ended before the start was answered"),
            Stage::Opening | Stage::Ready | Stage::Finishing => Told::Ok,
        })
    }

    /// What a pause answers: it has no reports.
    pub(crate) fn held(&mut self) -> Outcome {
        Outcome {
            error: self.take_deaf(),
            reports: Vec::new(),
        }
    }

    /// What a stop answers: a status and a summary a role.
    pub(crate) fn stopped(&mut self) -> Outcome {
        self.outcome(|part| match &part.stage {
            Stage::Finished(report) | Stage::Failed(report) => Told::Theirs(report),
            Stage::Opening | Stage::Ready | Stage::Finishing => {
                Told::Ours("finalResponse did not come in time")
            }
        })
    }

    fn find(&mut self, id: &StreamId) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.spec.id == *id)
    }

    fn end(&mut self, report: Report, stage: fn(Report) -> Stage) -> Option<&Part> {
        let part = self.find(&report.id).filter(|part| !part.stage.is_over())?;
        part.stage = stage(report);
        Some(part)
    }

    fn give_up(&mut self, why: &str, whom: fn(&Part) -> bool) -> Vec<Undone> {
        let mut undone = Vec::new();
        for part in self.parts.iter_mut().filter(|part| whom(part)) {
            if matches!(part.stage, Stage::Opening) {
                let report = report(&part.spec, Status::internal(why));
                undone.push(Undone {
                    stream: report.id.clone(),
                    leg: part.leg,
                });
                part.stage = Stage::Failed(report);
            }
        }
        undone
    }

    fn take_deaf(&mut self) -> Option<String> {
        let is_deaf = std::mem::take(&mut self.is_deaf);
        is_deaf.then(|| "a leg did not confirm that its gate is shut and was ended".to_owned())
    }

    fn outcome(&mut self, told: impl Fn(&Part) -> Told<'_>) -> Outcome {
        let deaf = self.take_deaf();
        let tell = |part: &Part| match told(part) {
            Told::Ok => report(&part.spec, Status::ok()),
            Told::Ours(why) => report(&part.spec, Status::internal(why)),
            Told::Theirs(report) => report.clone(),
        };
        let reports: Vec<_> = self.parts.iter().map(tell).collect();
        let bad = reports.iter().filter(|report| !report.status.is_ok());
        let bad = bad.map(|report| format!("{}: {}", report.role, report.status.description));
        let errors: Vec<_> = deaf.into_iter().chain(bad).collect();
        Outcome {
            error: (!errors.is_empty()).then(|| errors.join("; ")),
            reports,
        }
    }
}

impl Part {
    fn is_up(&self) -> bool {
        self.leg.is_some() && !matches!(self.stage, Stage::Failed(_))
    }
}

impl Stage {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Finished(_) | Self::Failed(_))
    }

    /// As the native API spells it.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Ready => "ready",
            Self::Finishing => "finishing",
            Self::Finished(_) => "finished",
            Self::Failed(_) => "failed",
        }
    }
}

fn report(spec: &StreamSpec, status: Status) -> Report {
    Report {
        id: spec.id.clone(),
        role: spec.role,
        status,
        summary: None,
    }
}
