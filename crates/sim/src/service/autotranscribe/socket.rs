//! Drives one stream over its WebSocket, and breaks it when asked to.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::doors::Doors;
use super::faults::{Cut, CutAfter, EndFault, Faults};
use super::line::Lever;
use super::session::{Answer, Session};
use super::{message, status};

/// How long a client may take to answer a close frame, and the socket to take what is sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers that wait while a fault holds them back; then the stream ends with 5000.
const OUTBOX_MAX: usize = 10_000;

/// One stream at work.
pub(super) struct Driver {
    socket: WebSocket,
    session: Session,
    lever: Lever,
    doors: Arc<Doors>,
    place: usize,
    faults: Faults,
    /// Whether `faults` are those of this stream's role.
    started: bool,
    outbox: VecDeque<Answer>,
    /// Answers wait until then.
    held_until: Option<Instant>,
}

/// How a stream is left.
enum Leaving {
    /// Nothing more is said, or read.
    AtOnce,
    /// The close frame is sent; its answer is awaited.
    Closing,
}

/// Opens and closes.
pub(super) async fn close(mut socket: WebSocket, code: u16) {
    send_close(&mut socket, code).await;
    let drained = async { while let Some(Ok(_)) = socket.recv().await {} };
    if tokio::time::timeout(CLOSE_TIMEOUT, drained).await.is_err() {
        tracing::debug!("A client did not answer a close frame.");
    }
}

impl Driver {
    pub(super) fn new(
        socket: WebSocket,
        (place, session): (usize, Session),
        lever: Lever,
        doors: Arc<Doors>,
    ) -> Self {
        Self {
            socket,
            session,
            lever,
            doors,
            place,
            faults: Faults::default(),
            started: false,
            outbox: VecDeque::new(),
            held_until: None,
        }
    }

    /// Runs the stream to its end. `stopping` ends it with 5001.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let cuts = self.doors.listen_for_cuts(self.place);
        if let Leaving::Closing = self.drive(cuts, &stopping).await
            && tokio::time::timeout(CLOSE_TIMEOUT, self.drain())
                .await
                .is_err()
        {
            self.session
                .complain("the close frame was not answered".to_owned());
        }
        self.doors.forget_cuts(self.place);
        drop(self.socket);
        self.session.closed(Instant::now());
    }

    async fn drive(
        &mut self,
        mut cuts: mpsc::Receiver<Cut>,
        stopping: &CancellationToken,
    ) -> Leaving {
        loop {
            if let Some(leaving) = self.flush().await {
                return leaving;
            }
            let wake = self
                .session
                .deadline()
                .into_iter()
                .chain(self.held_until)
                .min();
            let flow = tokio::select! {
                biased;
                () = stopping.cancelled() => {
                    self.held_until = None;
                    let answers = self.session.fail(Instant::now(), status::SHUTTING_DOWN);
                    self.take(answers);
                    return self.flush().await.unwrap_or(Leaving::AtOnce);
                }
                Some(cut) = cuts.recv() => self.cut(cut, stopping).await,
                message = self.socket.recv() => self.receive(message, stopping).await,
                () = at(wake) => {
                    let answers = self.session.tick(Instant::now());
                    self.take(answers);
                    ControlFlow::Continue(())
                }
            };
            if let ControlFlow::Break(leaving) = flow {
                return leaving;
            }
        }
    }

    async fn receive(
        &mut self,
        message: Option<Result<Message, axum::Error>>,
        stopping: &CancellationToken,
    ) -> ControlFlow<Leaving> {
        let now = Instant::now();
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                let answers = self.session.binary(now, &bytes);
                self.take(answers);
                let due = |cut: &CutAfter| {
                    u128::from(self.session.audio_bytes()) >= cut.audio.as_millis() * 16
                };
                if self.faults.cut.as_ref().is_some_and(due)
                    && let Some(cut) = self.faults.cut.take()
                {
                    return self.cut(cut.cut, stopping).await;
                }
            }
            Some(Ok(Message::Text(text))) => {
                let answers = self.session.text(now, &text);
                self.hold_back(now, &answers);
                self.take(answers);
                self.begin(now);
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
            Some(Err(error)) => {
                self.session
                    .complain(format!("the connection broke: {error}"));
                return ControlFlow::Break(Leaving::AtOnce);
            }
            None => return ControlFlow::Break(Leaving::AtOnce),
        }
        ControlFlow::Continue(())
    }

    // Now that it is known who speaks, it is known what goes wrong.
    fn begin(&mut self, now: Instant) {
        let Some(role) = self.session.role().filter(|_| !self.started) else {
            return;
        };
        self.started = true;
        self.faults = self.doors.board.for_stream(role);
        self.session.bytes_off = self.faults.bytes_off;
        if self.faults.start_delay > Duration::ZERO {
            self.held_until = Some(now + self.faults.start_delay);
        }
        if let Some(code) = self.faults.refuse {
            self.outbox.clear();
            let answers = self.session.fail(now, code);
            self.take(answers);
        }
        if self.faults.unknown_message {
            self.outbox.push_back(Answer::Text(message::unknown()));
        }
        if self.faults.huge_message {
            self.outbox.push_back(Answer::Text(message::huge()));
        }
    }

    fn hold_back(&mut self, now: Instant, answers: &[Answer]) {
        let finished = answers
            .iter()
            .any(|answer| matches!(answer, Answer::Final(status::OK, _)));
        if finished && self.faults.final_delay > Duration::ZERO {
            self.held_until = Some(now + self.faults.final_delay);
        }
    }

    fn take(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            match (&answer, self.faults.end) {
                (Answer::Final(..), EndFault::CloseOnly) => {}
                (Answer::Final(..) | Answer::Close, EndFault::Silence) => {}
                (Answer::Final(..), EndFault::None) => {
                    // An error overtakes a good end that is still held back.
                    self.outbox
                        .retain(|waiting| matches!(waiting, Answer::Text(_)));
                    if self.faults.final_twice {
                        self.outbox.push_back(answer.clone());
                    }
                    self.outbox.push_back(answer);
                }
                _ if self.outbox.len() < OUTBOX_MAX => self.outbox.push_back(answer),
                _ => self
                    .session
                    .complain("more answers waited than are kept".to_owned()),
            }
        }
    }

    async fn flush(&mut self) -> Option<Leaving> {
        if self.held_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.held_until = None;
        while let Some(answer) = self.outbox.pop_front() {
            let (code, text) = match answer {
                Answer::Close => {
                    send_close(&mut self.socket, 1000).await;
                    return Some(Leaving::Closing);
                }
                Answer::Final(code, text) => (Some(code), text),
                Answer::Text(text) => (None, text),
            };
            if !send(&mut self.socket, Message::Text(text.into())).await {
                return Some(Leaving::AtOnce);
            }
            if let Some(code) = code {
                self.session.ended(code);
            }
        }
        None
    }

    async fn cut(&mut self, cut: Cut, stopping: &CancellationToken) -> ControlFlow<Leaving> {
        match cut {
            Cut::BlackHole => {
                self.lever.black_hole();
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = self.drain() => {}
                }
                ControlFlow::Break(Leaving::AtOnce)
            }
            Cut::Close(code) => {
                send_close(&mut self.socket, code).await;
                ControlFlow::Break(Leaving::Closing)
            }
            Cut::Drop => ControlFlow::Break(Leaving::AtOnce),
            Cut::Final(code) => {
                let answers = self.session.fail(Instant::now(), code);
                self.take(answers);
                ControlFlow::Continue(())
            }
            Cut::Reset => {
                self.lever.reset();
                ControlFlow::Break(Leaving::AtOnce)
            }
            Cut::Stall(long) => {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = tokio::time::sleep(long) => {}
                }
                ControlFlow::Continue(())
            }
        }
    }

    // What still comes after the end is noted and not answered.
    async fn drain(&mut self) {
        while let Some(Ok(message)) = self.socket.recv().await {
            match message {
                Message::Text(text) => drop(self.session.text(Instant::now(), &text)),
                Message::Binary(bytes) => drop(self.session.binary(Instant::now(), &bytes)),
                _ => {}
            }
        }
    }
}

async fn send_close(socket: &mut WebSocket, code: u16) {
    let reason = if code == 1008 {
        status::description(code)
    } else {
        ""
    };
    // A client that is gone does not need it.
    let _gone = send(
        socket,
        Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })),
    )
    .await;
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(
        tokio::time::timeout(CLOSE_TIMEOUT, socket.send(message)).await,
        Ok(Ok(()))
    )
}

async fn at(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
