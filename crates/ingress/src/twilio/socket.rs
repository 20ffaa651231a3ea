//! One socket's task: reads whatever has arrived in one go, tells the session, and closes when that
//! says so.
//!
//! It writes nothing but pongs and a close, so nothing behind it can keep it from reading. One
//! timer a socket, set anew only when it fires or must fire sooner.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use futures_util::StreamExt;
use tokio::task::coop;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::twilio::feeds::{Feeds, Signal};
use crate::twilio::session::{Session, SessionLimits, Verdict};
use crate::twilio::tally::SocketEnd;

/// Ten frames of 20 ms on both tracks. tungstenite's default would zero 128 KiB for each read.
const READ_BUFFER_BYTES: usize = 4096;

/// We send pongs and a close.
const WRITE_BUFFER_BYTES: usize = 1024;

/// What one socket's task owns.
pub(crate) struct SocketTask {
    socket: WebSocket,
    session: Session,
    feeds: Feeds,
    metrics: Arc<Metrics>,
    limits: SessionLimits,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer knows that it is to wake this task.
    is_timer_set: bool,
    span: Span,
    named: bool,
}

/// Bounds a socket's buffers. No subprotocol is chosen and no extension: Twilio offers none.
pub(crate) fn tune(upgrade: WebSocketUpgrade, message_bytes_max: usize) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(4 * WRITE_BUFFER_BYTES)
        .max_message_size(message_bytes_max)
        .max_frame_size(message_bytes_max)
}

impl SocketTask {
    pub(crate) fn new(
        socket: WebSocket,
        limits: SessionLimits,
        intake: Intake,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Self {
        metrics.socket_opened();
        let mut feeds = Feeds::new(intake);
        feeds.watch(shutdown);
        let session = Session::new(Instant::now().into_std(), limits);
        Self {
            socket,
            timer: Box::pin(tokio::time::sleep_until(session.deadline().into())),
            session,
            is_timer_set: false,
            feeds,
            metrics,
            limits,
            span: tracing::info_span!(
                "twilio_socket",
                callSid = tracing::field::Empty,
                streamSid = tracing::field::Empty
            ),
            named: false,
        }
    }

    /// Lives as long as the socket.
    pub(crate) async fn run(self) {
        let span = self.span.clone();
        self.live().instrument(span).await;
    }

    async fn live(mut self) {
        tracing::debug!("A media socket is open.");
        let end = poll_fn(|context| self.poll(context)).await;
        self.session
            .lost(Instant::now().into_std(), &mut self.feeds);
        self.metrics.record(&self.session.take_tally());
        tracing::debug!(reason = end.as_str(), "A media socket ends.");
        if let Some(code) = close_code(end) {
            let closed =
                tokio::time::timeout(self.limits.close_timeout, self.close(code, end)).await;
            if closed.is_err() {
                tracing::debug!("The other side did not take part in the close.");
            }
        }
        self.metrics.socket_ended(end);
    }

    /// Takes all that has arrived, then looks at everything else.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<SocketEnd> {
        let now = Instant::now();
        let mut verdict = Verdict::Go;
        // Ends at the latest when tokio's budget for one poll is used up; then the task comes back.
        while verdict == Verdict::Go {
            match self.socket.poll_next_unpin(context) {
                Poll::Pending => break,
                Poll::Ready(next) => verdict = self.take(now, next),
            }
        }
        while verdict == Verdict::Go
            && let Poll::Ready(signal) = self.feeds.poll_signal(context)
        {
            verdict = self.obey(signal);
        }
        self.session.settle(now.into_std(), &mut self.feeds);
        if verdict == Verdict::Go {
            verdict = self.session.tick(now.into_std(), &mut self.feeds);
        }
        self.set_timer(context);
        self.metrics.record(&self.session.take_tally());
        match verdict {
            Verdict::Close(end) => Poll::Ready(end),
            Verdict::Go => Poll::Pending,
        }
    }

    fn take(&mut self, now: Instant, next: Option<Result<Message, axum::Error>>) -> Verdict {
        let now = now.into_std();
        match next {
            Some(Ok(Message::Text(text))) => {
                let verdict = self.session.text(now, text.as_str(), &mut self.feeds);
                self.name();
                verdict
            }
            Some(Ok(Message::Binary(_))) => self.session.binary(now, &mut self.feeds),
            Some(Ok(Message::Close(_))) => {
                // The answer to it goes out with the next read.
                self.session.lost(now, &mut self.feeds);
                Verdict::Go
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Verdict::Go,
            Some(Err(error)) => match unreadable(&error) {
                SocketEnd::Peer => Verdict::Close(SocketEnd::Peer),
                end => self.session.refuse(end, &mut self.feeds),
            },
            None => Verdict::Close(SocketEnd::Peer),
        }
    }

    /// Names the span once the session is bound.
    fn name(&mut self) {
        if self.named {
            return;
        }
        if let Some(binding) = self.session.binding() {
            self.named = true;
            self.span.record("callSid", binding.call.guid.as_str());
            if let Some((_, sid)) = binding
                .identifiers
                .iter()
                .find(|(name, _)| *name == "streamSid")
            {
                self.span.record("streamSid", sid.as_str());
            }
            for parameter in &binding.parameters.ignored {
                tracing::warn!(parameter, "A parameter of the stream cannot be used.");
            }
            tracing::debug!("A media stream begins.");
        }
    }

    fn obey(&mut self, signal: Signal) -> Verdict {
        match signal {
            Signal::Retired(side, _) => {
                tracing::debug!(%side, "A leg is retired; its socket is drained.");
                self.session.retire(side, &mut self.feeds);
                Verdict::Go
            }
            Signal::ShutDown => self.session.shut_down(&mut self.feeds),
        }
    }

    /// The deadline moves with every frame, the timer only when it has fired or must fire sooner.
    fn set_timer(&mut self, context: &mut Context<'_>) {
        let deadline = Instant::from_std(self.session.deadline());
        if self.timer.is_elapsed() || deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
            self.is_timer_set = false;
        }
        if !self.is_timer_set {
            // Without budget the timer looks at nothing; tokio then polls this task once more.
            self.is_timer_set = coop::has_budget_remaining();
            if self.timer.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
    }

    async fn close(&mut self, code: u16, end: SocketEnd) {
        let frame = CloseFrame {
            code,
            reason: end.as_str().into(),
        };
        if self.socket.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        while let Some(Ok(_)) = self.socket.recv().await {}
        if matches!(end, SocketEnd::Protocol | SocketEnd::TooLarge) {
            // What was not read makes the kernel reset the connection, which can overtake the
            // close.
            std::future::pending::<()>().await;
        }
    }
}

/// RFC 6455, section 7.4.1; `None` when the other side is gone.
fn close_code(end: SocketEnd) -> Option<u16> {
    match end {
        SocketEnd::Peer => None,
        SocketEnd::Stopped => Some(1000),
        SocketEnd::Idle | SocketEnd::ShutDown => Some(1001),
        SocketEnd::Protocol => Some(1002),
        SocketEnd::Unsupported => Some(1003),
        SocketEnd::Nonsense => Some(1007),
        SocketEnd::NoStart | SocketEnd::SecondCall | SocketEnd::Unnamed => Some(1008),
        SocketEnd::TooLarge => Some(1009),
    }
}

fn unreadable(error: &axum::Error) -> SocketEnd {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<tungstenite::Error>()) {
        Some(tungstenite::Error::Capacity(_)) => SocketEnd::TooLarge,
        Some(tungstenite::Error::Utf8(_)) => SocketEnd::Nonsense,
        Some(tungstenite::Error::Protocol(violation)) => match violation {
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake => SocketEnd::Peer,
            _ => SocketEnd::Protocol,
        },
        _ => SocketEnd::Peer,
    }
}
