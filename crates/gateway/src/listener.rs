//! What streams tell: events for who reads them, reports for the switchboard.

use std::sync::Arc;

use call::audio::millis;
use call::start::StreamSpec;
use tokio::sync::mpsc;
use upstream::stream::{Listener, News};

use crate::events::{Bus, Event};
use crate::exchange::StreamReport;

/// The listener of all streams. Never blocks.
#[derive(Debug)]
pub(crate) struct Switching {
    bus: Arc<Bus>,
    reports: mpsc::UnboundedSender<StreamReport>,
}

impl Switching {
    #[expect(
        clippy::disallowed_methods,
        reason = "a stream reports itself ready once a socket and over once; sockets are bounded"
    )]
    pub(crate) fn new(bus: Arc<Bus>) -> (Self, mpsc::UnboundedReceiver<StreamReport>) {
        let (reports, receiver) = mpsc::unbounded_channel();
        (Self { bus, reports }, receiver)
    }

    // The exchange outlives all streams but in the last moment of the process.
    fn report(&self, report: StreamReport) {
        drop(self.reports.send(report));
    }
}

impl Listener for Switching {
    fn tell(&self, spec: &StreamSpec, news: News) {
        let (stream, role) = (spec.id.clone(), spec.role);
        let event = match news {
            News::Degraded { why } => Event::StreamDegraded { stream, role, why },
            News::Failed(report) => {
                self.report(StreamReport::Failed(report.clone()));
                Event::StreamEnded(report)
            }
            News::Finished(report) => {
                self.report(StreamReport::Finished(report.clone()));
                Event::StreamEnded(report)
            }
            News::Gap(gap) => {
                let (from_ms, to_ms) = (millis(gap.from), millis(gap.to));
                Event::Gap {
                    stream,
                    role,
                    from_ms,
                    to_ms,
                    reason: gap.reason,
                }
            }
            News::Interrupted { attempt, why } => Event::StreamInterrupted {
                stream,
                role,
                attempt,
                why,
            },
            News::Mismatch {
                sent_bytes,
                confirmed_bytes,
            } => Event::BytesMismatch {
                stream,
                role,
                sent_bytes,
                confirmed_bytes,
            },
            News::Ready { service } => {
                self.report(StreamReport::Ready(stream.clone(), service));
                Event::StreamReady {
                    stream,
                    role,
                    service,
                }
            }
            News::Utterance(utterance) => Event::Transcript(utterance),
        };
        self.bus.publish(&spec.call, event);
    }
}
