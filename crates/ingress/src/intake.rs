//! The one door: where an adapter opens legs, and where the gateway hears of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use call::audio::Frame;
use call::ending::{Ending, Fault};
use call::feed::{self, LegControl, LegFeed, MediaClock};
use call::leg::{Gate, LegConfig, LegStats};
use call::name::{CallName, LegId, Side};

/// Opens legs. Cheap to clone; every adapter has one.
#[derive(Clone, Debug)]
pub struct Intake {
    config: LegConfig,
    arrivals: mpsc::UnboundedSender<Arrival>,
    next: Arc<AtomicU64>,
}

/// What the gateway hears of legs: for each one an opening, then an ending.
#[derive(Debug)]
pub enum Arrival {
    /// A leg is over; its feed is gone already, so its stream has been flushed and finished.
    Ended(LegId, Ending),
    /// A leg is there, its gate shut.
    Opened(Opened),
}

/// A new leg, as the gateway sees it.
#[derive(Debug)]
pub struct Opened {
    /// Its id.
    pub id: LegId,
    /// The call it belongs to.
    pub call: CallName,
    /// Which party it is.
    pub side: Side,
    /// Commands its gate.
    pub control: LegControl,
    /// Cancel it to have the leg ended: newer media took its place, or it is not wanted any more.
    pub retire: CancellationToken,
    /// What else the platform calls it: `streamSid`, `accountSid`.
    pub identifiers: Vec<(&'static str, String)>,
}

/// The adapter's end of a leg. Dropped without [`Feed::end`] it reports an unknown fault.
#[derive(Debug)]
pub struct Feed {
    id: LegId,
    /// Present until the feed is dropped.
    leg: Option<LegFeed>,
    ending: Ending,
    retire: CancellationToken,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

impl Intake {
    /// The door, and what comes through it.
    #[expect(
        clippy::disallowed_methods,
        reason = "a leg arrives twice; the adapters' limits on sockets bound the legs"
    )]
    pub fn new(config: LegConfig) -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        (
            Self {
                config,
                arrivals,
                next: Arc::default(),
            },
            receiver,
        )
    }

    /// Opens a leg with its gate shut. Legs of one media session share one clock.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a leg is cannot be said in fewer"
    )]
    pub fn open(
        &self,
        now: Instant,
        call: CallName,
        side: Side,
        clock: &MediaClock,
        identifiers: Vec<(&'static str, String)>,
    ) -> Feed {
        let id = LegId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let (leg, control) = feed::leg(now, self.config, clock.clone());
        let retire = CancellationToken::new();
        let opened = Opened {
            id,
            call,
            side,
            control,
            retire: retire.clone(),
            identifiers,
        };
        tell(&self.arrivals, Arrival::Opened(opened));
        let ending = Ending::new(Fault::Unknown, "dropped");
        Feed {
            id,
            leg: Some(leg),
            ending,
            retire,
            arrivals: self.arrivals.clone(),
        }
    }
}

impl Feed {
    /// The leg's id.
    pub fn id(&self) -> LegId {
        self.id
    }

    /// The gate, to be asked before a frame is unpacked.
    pub fn gate(&self) -> Gate {
        self.leg().gate()
    }

    /// Brings one frame. Never waits.
    pub fn push(&self, now: Instant, frame: Frame<'_>) {
        self.leg().push(now, frame);
    }

    /// Brings the length of a frame that was not unpacked, because the gate was not open.
    pub fn withhold(&self, now: Instant, position: u64, samples: u64) {
        self.leg().withhold(now, position, samples);
    }

    /// Tells the leg that the session's clock went on without it.
    pub fn catch_up(&self, now: Instant) {
        self.leg().catch_up(now);
    }

    /// What the leg has seen.
    pub fn stats(&self) -> LegStats {
        self.leg().stats()
    }

    /// Cancelled when the gateway wants the leg ended, and when the leg is over.
    pub fn retired(&self) -> CancellationToken {
        self.retire.clone()
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
mod tests {
    use call::audio::Codec;
    use call::backlog::Taken;
    use call::feed::LineConfig;
    use call::name::{Guid, Namespace};

    use super::*;

    fn call() -> CallName {
        CallName {
            namespace: Namespace::Twilio,
            guid: Guid::parse("CA1").unwrap(),
        }
    }

    #[test]
    fn a_leg_is_announced_fed_and_its_end_reported_after_its_stream_was_finished() {
        let (intake, mut arrivals) = Intake::new(LegConfig::default());
        let now = Instant::now();
        let clock = MediaClock::default();
        let feed = intake.open(
            now,
            call(),
            Side::Second,
            &clock,
            vec![("streamSid", "MZ1".into())],
        );
        let Ok(Arrival::Opened(opened)) = arrivals.try_recv() else {
            panic!("no leg")
        };
        assert_eq!(
            (opened.id, opened.side, opened.call),
            (feed.id(), Side::Second, call())
        );
        assert_eq!(opened.identifiers, [("streamSid", "MZ1".to_owned())]);
        let line = LineConfig {
            chunk_samples: 160,
            chunks_max: 10,
        };
        let mut source = opened.control.open(0, line).unwrap();
        feed.push(
            now,
            Frame {
                position: 0,
                codec: Codec::Pcmu,
                payload: &[0; 200],
            },
        );
        assert_eq!(feed.stats().passed, 200);
        feed.end(Ending::new(Fault::Nobody, "stopped"));
        let Ok(Arrival::Ended(id, ending)) = arrivals.try_recv() else {
            panic!("no end")
        };
        assert_eq!((id, ending.reason), (opened.id, "stopped"));
        assert!(source.is_ended());
        let context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut taken = 0;
        while let std::task::Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context) {
            taken += chunk.len();
        }
        assert_eq!(taken, 200);
    }

    #[test]
    fn a_feed_that_is_just_dropped_says_that_nobody_knows_why() {
        let (intake, mut arrivals) = Intake::new(LegConfig::default());
        drop(intake.open(
            Instant::now(),
            call(),
            Side::First,
            &MediaClock::default(),
            Vec::new(),
        ));
        assert!(matches!(arrivals.try_recv(), Ok(Arrival::Opened(_))));
        let Ok(Arrival::Ended(_, ending)) = arrivals.try_recv() else {
            panic!("no end")
        };
        assert_eq!(ending, Ending::new(Fault::Unknown, "dropped"));
    }

    #[test]
    fn ids_are_never_used_twice_and_retiring_is_heard() {
        let (intake, _arrivals) = Intake::new(LegConfig::default());
        let clock = MediaClock::default();
        let first = intake.open(Instant::now(), call(), Side::First, &clock, Vec::new());
        let second = intake
            .clone()
            .open(Instant::now(), call(), Side::First, &clock, Vec::new());
        assert_ne!(first.id(), second.id());
        let retired = first.retired();
        assert!(!retired.is_cancelled());
        drop(first);
        assert!(retired.is_cancelled() && !second.retired().is_cancelled());
    }
}
