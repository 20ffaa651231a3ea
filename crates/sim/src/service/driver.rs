//! Drives one stream over its WebSocket, and breaks it when asked to.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::dialect::{Answer, GOOD_END, Lapses, Oddity, Session};
use super::door::Lever;
use super::faults::{Cut, CutAfter, EndFault, Faults};
use super::reception::Reception;

/// How long a client may take to answer a close frame, and the socket to take what is sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers that wait while a fault holds them back; more are lost, and noted.
const OUTBOX_MAX: usize = 10_000;

/// One stream at work.
pub(super) struct Driver {
    line: Line,
    session: Box<dyn Session>,
    /// The words beside a close code.
    reason: fn(u16) -> &'static str,
    reception: Arc<Reception>,
    faults: Faults,
    /// Whether `faults` are those of this stream: they may depend on who speaks.
    judged: bool,
    outbox: VecDeque<Answer>,
    /// Answers wait until then.
    held_until: Option<Instant>,
    /// The newest transcript, if it shall come late once more.
    newest: Option<String>,
}

/// The WebSocket of a stream.
pub(super) struct Line {
    pub(super) socket: WebSocket,
    pub(super) lever: Lever,
    /// It is the n-th that the service was asked for.
    pub(super) nth: u64,
}

/// How a stream is left.
enum Leaving {
    /// Nothing more is said, or read.
    AtOnce,
    /// The close frame is sent; its answer is awaited.
    Closing,
}

/// Opens and closes.
pub(super) async fn close(mut socket: WebSocket, code: u16, reason: &str) {
    send_close(&mut socket, code, reason).await;
    let drained = async { while let Some(Ok(_)) = socket.recv().await {} };
    if tokio::time::timeout(CLOSE_TIMEOUT, drained).await.is_err() {
        tracing::debug!("A client did not answer a close frame.");
    }
}

impl Driver {
    pub(super) fn new(
        line: Line,
        session: Box<dyn Session>,
        reason: fn(u16) -> &'static str,
        reception: Arc<Reception>,
    ) -> Self {
        Self {
            line,
            session,
            reason,
            reception,
            faults: Faults::default(),
            judged: false,
            outbox: VecDeque::new(),
            held_until: None,
            newest: None,
        }
    }

    /// Runs the stream to its end; it also ends when the service stops.
    pub(super) async fn run(mut self) {
        let place = self.session.ear().place();
        let cuts = self.reception.listen_for_cuts(place);
        let stopping = self.reception.stopping.clone();
        let now = Instant::now();
        let greeting = self.session.open(now);
        self.take(greeting);
        self.begin(now);
        if let Leaving::Closing = self.drive(cuts, &stopping).await
            && tokio::time::timeout(CLOSE_TIMEOUT, self.drain())
                .await
                .is_err()
        {
            self.complain("the close frame was not answered");
        }
        self.reception.forget_cuts(place);
        drop(self.line);
        self.session.ear().close(Instant::now());
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
                    let answers = self.session.stop(Instant::now());
                    self.take(answers);
                    return self.flush().await.unwrap_or(Leaving::AtOnce);
                }
                Some(cut) = cuts.recv() => self.cut(cut, stopping).await,
                message = self.line.socket.recv() => self.receive(message, stopping).await,
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
                self.hold_back(now, &answers);
                self.take(answers);
                self.begin(now);
                if let Some(cut) = self.due() {
                    return self.cut(cut, stopping).await;
                }
            }
            Some(Ok(Message::Text(text))) => {
                self.session
                    .ear()
                    .record(|recorded| recorded.note_said(&text));
                let answers = self.session.text(now, &text);
                self.hold_back(now, &answers);
                self.take(answers);
                self.begin(now);
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
            Some(Err(error)) => {
                self.complain(&format!("the connection broke: {error}"));
                return ControlFlow::Break(Leaving::AtOnce);
            }
            None => return ControlFlow::Break(Leaving::AtOnce),
        }
        ControlFlow::Continue(())
    }

    // The break that enough sound has come for.
    fn due(&mut self) -> Option<Cut> {
        let samples = u128::from(self.session.ear().samples());
        let due = |cut: &mut CutAfter| samples >= cut.audio.as_millis() * 8;
        self.faults.cut.take_if(due).map(|cut| cut.cut)
    }

    // Once the stream has begun, and it is known who speaks if that matters, it is known what goes
    // wrong.
    fn begin(&mut self, now: Instant) {
        if self.judged || !self.session.has_begun() {
            return;
        }
        let role = self.session.ear().role();
        let Some(faults) = self.reception.board.for_stream(self.line.nth, role) else {
            return;
        };
        self.judged = true;
        for fault in faults.names() {
            self.strike(fault);
        }
        self.faults = faults;
        self.session.go_wrong(Lapses {
            bytes_off: self.faults.bytes_off,
            unflagged: self.faults.unflagged,
        });
        if self.faults.start_delay > Duration::ZERO {
            self.held_until = Some(now + self.faults.start_delay);
        }
        if let Some(code) = self.faults.refuse {
            self.outbox.clear();
            let answers = self.session.fail(now, code);
            self.take(answers);
        }
        for (asked, kind) in [
            (self.faults.unknown_message, Oddity::Unknown),
            (self.faults.huge_message, Oddity::Huge),
            (self.faults.warning, Oddity::Warning),
        ] {
            if asked && let Some(text) = self.session.oddity(kind) {
                self.strike(kind.name().to_owned());
                self.outbox.push_back(Answer::Text(text));
            }
        }
    }

    fn hold_back(&mut self, now: Instant, answers: &[Answer]) {
        let finished = answers
            .iter()
            .any(|answer| matches!(answer, Answer::Final(GOOD_END, _)));
        if finished && self.faults.final_delay > Duration::ZERO {
            self.held_until = Some(now + self.faults.final_delay);
        }
    }

    fn take(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            match (answer, self.faults.end) {
                (Answer::Final(..), EndFault::CloseOnly) => {}
                (Answer::Final(..) | Answer::Close(..), EndFault::Silence) => {}
                (Answer::Final(code, text), EndFault::None) => self.take_final(code, text),
                _ if self.outbox.len() >= OUTBOX_MAX => {
                    self.complain("more answers waited than are kept");
                }
                (Answer::Transcript(text), _) => self.take_transcript(text),
                (answer, _) => self.outbox.push_back(answer),
            }
        }
    }

    fn take_final(&mut self, code: u16, text: String) {
        // An error overtakes a good end that is still held back.
        self.outbox
            .retain(|waiting| matches!(waiting, Answer::Text(_) | Answer::Transcript(_)));
        if self.faults.final_twice {
            self.outbox.push_back(Answer::Final(code, text.clone()));
        }
        self.outbox.push_back(Answer::Final(code, text));
        let late = self.newest.take().map(Answer::Transcript);
        self.outbox.extend(late);
    }

    fn take_transcript(&mut self, text: String) {
        if self.faults.transcript_late {
            self.newest = Some(text.clone());
        }
        if self.faults.transcript_twice {
            self.outbox.push_back(Answer::Transcript(text.clone()));
        }
        self.outbox.push_back(Answer::Transcript(text));
    }

    async fn flush(&mut self) -> Option<Leaving> {
        if self.held_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.held_until = None;
        while let Some(answer) = self.outbox.pop_front() {
            let (code, text) = match answer {
                Answer::Close(code, reason) => {
                    send_close(&mut self.line.socket, code, &reason).await;
                    return Some(Leaving::Closing);
                }
                Answer::Final(code, text) => (Some(code), text),
                Answer::Text(text) | Answer::Transcript(text) => (None, text),
            };
            if !send(&mut self.line.socket, text).await {
                return Some(Leaving::AtOnce);
            }
            if let Some(code) = code {
                let ear = self.session.ear();
                ear.record(|recorded| recorded.final_code = Some(code));
            }
        }
        None
    }

    async fn cut(&mut self, cut: Cut, stopping: &CancellationToken) -> ControlFlow<Leaving> {
        self.strike(cut.to_string());
        match cut {
            Cut::BlackHole => {
                self.line.lever.black_hole();
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = self.drain() => {}
                }
                ControlFlow::Break(Leaving::AtOnce)
            }
            Cut::Close(code) => {
                send_close(&mut self.line.socket, code, (self.reason)(code)).await;
                ControlFlow::Break(Leaving::Closing)
            }
            Cut::Drop => ControlFlow::Break(Leaving::AtOnce),
            Cut::Final(code) => {
                let answers = self.session.fail(Instant::now(), code);
                self.take(answers);
                ControlFlow::Continue(())
            }
            Cut::Reset => {
                self.line.lever.reset();
                ControlFlow::Break(Leaving::AtOnce)
            }
            Cut::Stall(long) => {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = tokio::time::sleep(long) => {}
                }
                ControlFlow::Continue(())
            }
            Cut::Tear => {
                self.line.lever.tear();
                let text = self.session.oddity(Oddity::Unknown).unwrap_or_default();
                send(&mut self.line.socket, text).await;
                ControlFlow::Break(Leaving::AtOnce)
            }
        }
    }

    fn complain(&self, complaint: &str) {
        self.session.ear().complain(complaint.to_owned());
    }

    fn strike(&self, fault: String) {
        self.session.ear().record(|recorded| recorded.strike(fault));
    }

    // What still comes after the end is noted and not answered.
    async fn drain(&mut self) {
        while let Some(Ok(message)) = self.line.socket.recv().await {
            match message {
                Message::Text(text) => drop(self.session.text(Instant::now(), &text)),
                Message::Binary(bytes) => drop(self.session.binary(Instant::now(), &bytes)),
                _ => {}
            }
        }
    }
}

async fn send_close(socket: &mut WebSocket, code: u16, reason: &str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    // A client that is gone does not need it.
    send_message(socket, Message::Close(Some(frame))).await;
}

/// Sends a text message; false if nobody took it in time.
pub(super) async fn send(socket: &mut WebSocket, text: String) -> bool {
    send_message(socket, Message::Text(text.into())).await
}

async fn send_message(socket: &mut WebSocket, message: Message) -> bool {
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
