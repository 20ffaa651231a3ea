//! One connection's bytes: cut into messages on the way in, written in order on the way out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use siprec::framing::{Broken, Framed, Framer, MessageLimits};
use siprec::transaction::Flow;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::siprec::signal::Signal;
use crate::siprec::tally::ConnectionEnd;

/// The last answer on a connection that cannot be followed is given so long to be written.
const GOODBYE: Duration = Duration::from_millis(200);

const READ_BYTES: usize = 8 * 1024;

/// RFC 5626 §4.4.1: the answer to a double CRLF.
const PONG: &[u8] = b"\r\n";

/// The signalling task's end of a connection. Dropped, the connection ends after what is queued was
/// written.
#[derive(Debug)]
pub(crate) struct Pipe {
    queue: mpsc::Sender<Vec<u8>>,
    slow: CancellationToken,
}

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Wire {
    queue: mpsc::Receiver<Vec<u8>>,
    answers: mpsc::WeakSender<Vec<u8>>,
    slow: CancellationToken,
}

/// A connection's end with what its tasks need.
#[derive(Debug)]
pub(crate) struct WireTask {
    wire: Wire,
    limits: MessageLimits,
    idle_timeout: Duration,
    signals: mpsc::Sender<Signal>,
    metrics: Arc<Metrics>,
}

impl Pipe {
    /// Both ends, with room for so many messages.
    pub(crate) fn new(queue_max: usize) -> (Self, Wire) {
        let (sender, receiver) = mpsc::channel(queue_max);
        let slow = CancellationToken::new();
        let wire = Wire {
            queue: receiver,
            answers: sender.downgrade(),
            slow: slow.clone(),
        };
        let queue = sender;
        (Self { queue, slow }, wire)
    }

    /// Never waits: a peer that does not read loses its connection.
    pub(crate) fn write(&self, bytes: Vec<u8>) {
        if self.queue.try_send(bytes).is_err() {
            self.slow.cancel();
        }
    }
}

impl Wire {
    pub(crate) fn with(
        self,
        (limits, idle_timeout): (MessageLimits, Duration),
        signals: mpsc::Sender<Signal>,
        metrics: Arc<Metrics>,
    ) -> WireTask {
        WireTask {
            wire: self,
            limits,
            idle_timeout,
            signals,
            metrics,
        }
    }
}

impl WireTask {
    /// Reads and writes until one of both is over.
    pub(crate) async fn run<S>(
        self,
        stream: S,
        flow: Flow,
        tls_names: Arc<[String]>,
    ) -> ConnectionEnd
    where
        S: AsyncRead + AsyncWrite,
    {
        let (reader, writer) = tokio::io::split(stream);
        let Self {
            wire,
            limits,
            idle_timeout,
            signals,
            metrics,
        } = self;
        let Wire {
            queue,
            answers,
            slow,
        } = wire;
        let reading = Reading {
            framer: Framer::new(limits),
            idle_timeout,
            flow,
            tls_names,
            answers,
            signals,
            metrics,
        };
        let mut writing = pin!(write(writer, queue));
        tokio::select! {
            end = reading.run(reader) => {
                if end == ConnectionEnd::Protocol {
                    // What was wrong is said before the connection is closed.
                    drop(timeout(GOODBYE, writing).await);
                }
                end
            }
            end = &mut writing => end,
            () = slow.cancelled() => ConnectionEnd::Slow,
        }
    }
}

struct Reading {
    framer: Framer,
    idle_timeout: Duration,
    flow: Flow,
    tls_names: Arc<[String]>,
    answers: mpsc::WeakSender<Vec<u8>>,
    signals: mpsc::Sender<Signal>,
    metrics: Arc<Metrics>,
}

impl Reading {
    async fn run(mut self, mut reader: impl AsyncRead + Unpin) -> ConnectionEnd {
        let mut bytes = [0; READ_BYTES];
        loop {
            match timeout(self.idle_timeout, reader.read(&mut bytes)).await {
                Err(_) => return ConnectionEnd::Idle,
                Ok(Err(_) | Ok(0)) => return ConnectionEnd::Peer,
                Ok(Ok(length)) => self.framer.push(&bytes[..length]),
            }
            if let Some(end) = self.take_messages().await {
                return end;
            }
        }
    }

    /// Waits for room at the signalling task; meanwhile the peer's bytes wait in the kernel.
    async fn take_messages(&mut self) -> Option<ConnectionEnd> {
        loop {
            match self.framer.poll() {
                Ok(None) => return None,
                Ok(Some(Framed::KeepAlive)) => self.answer(PONG.to_vec()),
                Ok(Some(Framed::Message(message))) => {
                    let signal = Signal::Message {
                        flow: self.flow.clone(),
                        message,
                        tls_names: Arc::clone(&self.tls_names),
                    };
                    if self.signals.send(signal).await.is_err() {
                        return Some(ConnectionEnd::Closed);
                    }
                }
                Ok(Some(Framed::Bad(broken))) => self.refuse(broken),
                Err(broken) => {
                    self.refuse(broken);
                    return Some(ConnectionEnd::Protocol);
                }
            }
        }
    }

    fn refuse(&self, broken: Broken) {
        self.metrics.siprec().bad_message(&broken.why);
        if let Some(answer) = broken.answer {
            self.answer(answer);
        }
    }

    /// A full queue is the writer's business; what is answered here may be lost.
    fn answer(&self, bytes: Vec<u8>) {
        if let Some(queue) = self.answers.upgrade()
            && queue.try_send(bytes).is_err()
        {
            tracing::debug!("An answer found no room.");
        }
    }
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
) -> ConnectionEnd {
    while let Some(bytes) = queue.recv().await {
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if written.await.is_err() {
            return ConnectionEnd::Peer;
        }
    }
    // All is said; a peer that is gone does not mind.
    drop(writer.shutdown().await);
    ConnectionEnd::Closed
}

#[cfg(test)]
mod tests;
