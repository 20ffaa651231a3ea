//! The one door: where an adapter opens legs, and where the gateway hears of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use call::audio::Frame;
use call::ending::{Ending, Fault};
use call::feed::{self, LegControl, LegFeed, MediaClock};
use call::leg::{Gate, LegConfig, LegStats};
use call::name::{CallName, Guid, LegId, Role, Side};
use call::private::Private;
use call::start::Wish;

use crate::admission::{AdmissionControl, LegPlace, Permit};

/// Opens legs. Cheap to clone; every adapter has one.
#[derive(Clone, Debug)]
pub struct Intake {
    config: LegConfig,
    arrivals: mpsc::UnboundedSender<Arrival>,
    next: Arc<AtomicU64>,
    admission: AdmissionControl,
    /// Of the one call whose legs are opened here, if it is one call's.
    permit: Option<Arc<Permit>>,
}

/// What the gateway hears of legs: for each one an opening, then an ending, and between them what
/// comes up.
#[derive(Debug)]
pub enum Arrival {
    /// A leg is over; its feed is gone already, so its stream has been flushed and finished.
    Ended(LegId, Ending),
    /// The platform sends the sound that is wanted ([`Introduction::wanted`]), or is about to.
    Granted(LegId),
    /// More is known of what a call is called, or of who speaks on a leg.
    Learned(Learned),
    /// A leg is there, its gate shut.
    Opened(Opened),
    /// A key was pressed on a leg whose gate was open.
    Pressed(LegId, Pressed),
    /// The platform would not send the sound that was wanted ([`Introduction::wanted`]): why.
    Refused(LegId, String),
}

/// What came to be known of a leg after it was opened.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The leg.
    pub id: LegId,
    /// All of [`Introduction::identifiers`] anew.
    pub identifiers: Vec<(&'static str, String)>,
    /// All of [`Introduction::names`] anew.
    pub names: Vec<Guid>,
    /// [`Introduction::role`] anew.
    pub role: Option<SuggestedRole>,
}

/// A key that was pressed and let go behind an open gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub key: Private<char>,
    /// How long, if the platform says so.
    pub duration: Option<Duration>,
}

/// Who speaks on a leg, as far as the platform knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuggestedRole {
    /// Who.
    pub role: Role,
    /// Why, in words without private ones.
    pub reason: String,
    /// `high`, `medium`, `low`.
    pub confidence: &'static str,
}

/// What an adapter knows of a leg when it opens it.
#[derive(Debug)]
pub struct Introduction {
    /// The call it belongs to.
    pub call: CallName,
    /// Which party it is, as the platform counts.
    pub side: Side,
    /// What else the platform calls it: `streamSid`, `accountSid`.
    pub identifiers: Vec<(&'static str, String)>,
    /// Other guids under which a command may name the call, in normal form.
    pub names: Vec<Guid>,
    /// Who speaks, if the platform says so; a start that names an order overrides it.
    pub role: Option<SuggestedRole>,
    /// To which speech service its sound shall go, where a start does not say. Nobody has looked
    /// yet whether there is such a service.
    pub wish: Wish,
    /// Set to true when the leg's gate opens and to false when it shuts, where the platform has to
    /// be told. Each true is answered by [`Teller::granted`] or [`Teller::refused`]; until then
    /// nobody is told that the leg is heard.
    pub wanted: Option<watch::Sender<bool>>,
}

/// A new leg, as the gateway sees it.
#[derive(Debug)]
pub struct Opened {
    /// Its id.
    pub id: LegId,
    /// What the adapter knows of it.
    pub introduction: Introduction,
    /// Commands its gate.
    pub control: LegControl,
    /// Cancel it to have the leg ended: newer media took its place, or it is not wanted any more.
    pub retire: CancellationToken,
}

/// Tells the gateway of a leg beside its sound. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Teller {
    id: LegId,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

/// The adapter's end of a leg. Dropped without [`Feed::end`] it reports an unknown fault.
#[derive(Debug)]
pub struct Feed {
    id: LegId,
    /// Present until the feed is dropped.
    leg: Option<LegFeed>,
    /// Free when the leg is gone.
    _place: LegPlace,
    ending: Ending,
    retire: CancellationToken,
    arrivals: mpsc::UnboundedSender<Arrival>,
    keys: Keys,
}

/// The keys of a leg that were told in the second that began with the first of them.
#[derive(Clone, Copy, Debug)]
struct Keys {
    since: Instant,
    told: u32,
}

impl Intake {
    /// The door, and what comes through it.
    pub fn new(config: LegConfig) -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        Self::counted(config, AdmissionControl::default())
    }

    /// The same, and its legs and their calls are counted.
    #[expect(
        clippy::disallowed_methods,
        reason = "a leg arrives twice, and its keys are limited; limits on sockets bound the legs"
    )]
    pub fn counted(
        config: LegConfig,
        admission: AdmissionControl,
    ) -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        (
            Self {
                config,
                arrivals,
                next: Arc::default(),
                admission,
                permit: None,
            },
            receiver,
        )
    }

    /// Who says whether another call may come.
    pub fn admission(&self) -> &AdmissionControl {
        &self.admission
    }

    /// The door for one call that was admitted, which is in until the last clone of this is gone.
    pub fn admitted(&self, permit: Permit) -> Self {
        Self {
            permit: Some(Arc::new(permit)),
            ..self.clone()
        }
    }

    /// Opens a leg with its gate shut. Legs of one media session share one clock.
    pub fn open(&self, now: Instant, clock: &MediaClock, introduction: Introduction) -> Feed {
        self.open_with(now, clock, introduction, self.config)
    }

    /// As [`Intake::open`], with limits of its own.
    pub fn open_with(
        &self,
        now: Instant,
        clock: &MediaClock,
        introduction: Introduction,
        config: LegConfig,
    ) -> Feed {
        let id = LegId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let (leg, control) = feed::leg(now, config, clock.clone());
        let retire = CancellationToken::new();
        let opened = Opened {
            id,
            introduction,
            control,
            retire: retire.clone(),
        };
        let place = self.admission.leg();
        if let Some(permit) = &self.permit {
            permit.legs_are_there();
        }
        tell(&self.arrivals, Arrival::Opened(opened));
        let ending = Ending::new(Fault::Unknown, "dropped");
        Feed {
            id,
            leg: Some(leg),
            _place: place,
            ending,
            retire,
            arrivals: self.arrivals.clone(),
            keys: Keys {
                since: now,
                told: 0,
            },
        }
    }
}

impl Introduction {
    /// Of a platform that says no more than this.
    pub fn new(call: CallName, side: Side, identifiers: Vec<(&'static str, String)>) -> Self {
        Self {
            call,
            side,
            identifiers,
            names: Vec::new(),
            role: None,
            wish: Wish::default(),
            wanted: None,
        }
    }
}

impl Teller {
    /// The leg's id.
    pub fn id(&self) -> LegId {
        self.id
    }

    /// More is known of the leg; `learned.id` is set here.
    pub fn learned(&self, learned: Learned) {
        let learned = Learned {
            id: self.id,
            ..learned
        };
        tell(&self.arrivals, Arrival::Learned(learned));
    }

    /// The platform sends the sound that is wanted, or is about to.
    pub fn granted(&self) {
        tell(&self.arrivals, Arrival::Granted(self.id));
    }

    /// The platform would not send the sound that was wanted.
    pub fn refused(&self, why: String) {
        tell(&self.arrivals, Arrival::Refused(self.id, why));
    }
}

impl Feed {
    /// How many keys of a leg are told in a second. Q.24 has a key last 40 ms and the pause behind
    /// it as long, so a dialler presses twelve; what comes faster is no key.
    pub const KEYS_PER_SECOND_MAX: u32 = 25;

    /// The leg's id.
    pub fn id(&self) -> LegId {
        self.id
    }

    /// As [`LegFeed::prefetch`].
    pub fn prefetch(&self) -> u64 {
        self.leg().prefetch()
    }

    /// The gate, to be asked before a frame is unpacked.
    pub fn gate(&self) -> Gate {
        self.leg().gate()
    }

    /// The present opening of the gate: another number each time it opens. `None` while it is not
    /// open.
    pub fn opening(&self) -> Option<u64> {
        self.leg().opening()
    }

    /// As [`Feed::opening`]; and the task is woken when the gate opens next.
    pub fn watch_opening(&self, context: &Context<'_>) -> Option<u64> {
        self.leg().watch_opening(context)
    }

    /// Brings one frame. Never waits.
    pub fn push(&self, now: Instant, frame: Frame<'_>) {
        self.leg().push(now, frame);
    }

    /// Brings the length of a frame that was not unpacked, because the gate was not open.
    pub fn withhold(&self, now: Instant, position: u64, samples: u64) {
        self.leg().withhold(now, position, samples);
    }

    /// Tells the leg that the platform had nothing to send before `position`.
    pub fn quiet_until(&self, now: Instant, position: u64) {
        self.leg().quiet_until(now, position);
    }

    /// Tells the leg that the session's clock went on without it.
    pub fn catch_up(&self, now: Instant) {
        self.leg().catch_up(now);
    }

    /// Tells the gateway of a key that was pressed. False if it was not told: the gate is not open,
    /// or there were more than [`Feed::KEYS_PER_SECOND_MAX`].
    #[must_use]
    pub fn press(&mut self, now: Instant, pressed: Pressed) -> bool {
        let is_told = self.gate() == Gate::Open && self.keys.admit(now);
        if is_told {
            tell(&self.arrivals, Arrival::Pressed(self.id, pressed));
        }
        is_told
    }

    /// What the leg has seen.
    pub fn stats(&self) -> LegStats {
        self.leg().stats()
    }

    /// Cancelled when the gateway wants the leg ended, and when the leg is over.
    pub fn retired(&self) -> CancellationToken {
        self.retire.clone()
    }

    /// Tells the gateway of this leg, from wherever.
    pub fn teller(&self) -> Teller {
        Teller {
            id: self.id,
            arrivals: self.arrivals.clone(),
        }
    }

    /// Ends the leg.
    pub fn end(mut self, ending: Ending) {
        self.ending = ending;
    }

    fn leg(&self) -> &LegFeed {
        self.leg
            .as_ref()
            .expect("a feed has its leg until it is dropped")
    }
}

impl Keys {
    fn admit(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self {
                since: now,
                told: 0,
            };
        }
        self.told += 1;
        self.told <= Feed::KEYS_PER_SECOND_MAX
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // The gate must be shut and the stream finished before anybody hears that the leg is over.
        drop(self.leg.take());
        tell(&self.arrivals, Arrival::Ended(self.id, self.ending));
        self.retire.cancel();
    }
}

fn tell(arrivals: &mpsc::UnboundedSender<Arrival>, arrival: Arrival) {
    if arrivals.send(arrival).is_err() {
        tracing::debug!("Nobody hears of legs any more.");
    }
}

#[cfg(test)]
mod tests;
