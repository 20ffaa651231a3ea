//! A Twilio Media Streams client that behaves as Twilio's does: its upgrade, its counters, its
//! start-up burst, its pace. It never reads a WebSocket message for meaning: a fork only listens.

mod command;
mod ending;
mod message;
mod options;
mod play;
mod signature;
mod upgrade;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

pub use self::command::{Arguments, run};
pub use self::ending::{CallError, Closed, Silent};
pub use self::message::{CONNECTED, Counters, Media, Side, Sids, Writer};
pub use self::options::{Greeting, Options};
pub use self::signature::Signature;
pub use self::upgrade::{DialError, Refusal, Upgrade};

use super::pace::Pace;
use super::transport::Transport;
use super::{SAMPLE_RATE, ulaw};
use crate::histogram::Histogram;

/// One stream of one call, from the upgrade to its end.
///
/// Dropping it ends TCP without a close frame, as a crashed host would.
#[derive(Debug)]
pub struct TwilioCall {
    options: Options,
    socket: WebSocketStream<Transport>,
    writer: Writer,
    pace: Pace,
    /// The media clock: samples since the first frame.
    position: u64,
    sequence: u64,
    sent: [Sent; 2],
    lateness: Histogram,
    closed: Option<Closed>,
    heard: u64,
}

/// What one side has sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// `media` messages.
    pub frames: u64,
    /// Samples in them.
    pub samples: u64,
    /// Every code in sending order, when [`Options::tape`] is on.
    pub tape: Vec<u8>,
}

/// A frame whose every field is the test's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMedia {
    /// Its direction.
    pub side: Side,
    /// `media.timestamp` in milliseconds.
    pub timestamp_ms: u64,
    /// The next number when `None`.
    pub sequence: Option<u64>,
    /// The next number of the track when `None`.
    pub chunk: Option<u64>,
    /// μ-law codes, any number of them.
    pub payload: Vec<u8>,
}

impl TwilioCall {
    /// Connects, upgrades and, unless the options say otherwise, sends `connected` and `start`.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(options: Options) -> Result<Self, DialError> {
        let limit = options.dial_timeout;
        let dialled = timeout(limit, options.upgrade().dial()).await;
        let (transport, rest) = dialled.map_err(|_| DialError::Timeout(limit))??;
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let socket =
            WebSocketStream::from_partially_read(transport, rest, Role::Client, Some(config)).await;
        let mut call = Self {
            pace: Pace::new(Instant::now(), options.burst, options.speed),
            writer: Writer::new(options.sids.clone(), options.counters),
            position: 0,
            sequence: 0,
            sent: Default::default(),
            lateness: Histogram::default(),
            closed: None,
            heard: 0,
            socket,
            options,
        };
        call.greet()
            .await
            .map_err(|error| DialError::Handshake(error.to_string()))?;
        Ok(call)
    }

    /// The guid for the control API.
    pub fn call_sid(&self) -> &str {
        &self.writer.sids().call
    }

    /// The stream's id, new with every socket.
    pub fn stream_sid(&self) -> &str {
        &self.writer.sids().stream
    }

    /// What a side has sent so far.
    pub fn sent(&self, side: Side) -> &Sent {
        &self.sent[side as usize]
    }

    /// `media` messages sent on both tracks.
    pub fn frames_sent(&self) -> u64 {
        self.sent.iter().map(|sent| sent.frames).sum()
    }

    /// The media clock: how much sound has passed since the first frame, lost sound included.
    pub fn media_time(&self) -> Duration {
        Duration::from_micros(self.position * 1_000_000 / u64::from(SAMPLE_RATE))
    }

    /// How late frames were sent, in microseconds.
    pub fn lateness(&self) -> &Histogram {
        &self.lateness
    }

    /// Data messages that the gateway sent; a listener must send none.
    pub fn messages_heard(&self) -> u64 {
        self.heard
    }

    /// Which tracks are sent from now on; `start` has already announced those of the options.
    pub fn set_sides(&mut self, sides: &[Side]) {
        self.options.sides = sides.to_vec();
    }

    /// One party speaks; the other track carries silence meanwhile.
    ///
    /// # Errors
    /// See [`CallError`]; so with all that follow.
    pub async fn say(&mut self, side: Side, samples: &[i16]) -> Result<(), CallError> {
        match side {
            Side::Inbound => self.converse(samples, &[]).await,
            Side::Outbound => self.converse(&[], samples).await,
        }
    }

    /// Both parties speak at once; the last frame is filled up with silence.
    pub async fn converse(&mut self, inbound: &[i16], outbound: &[i16]) -> Result<(), CallError> {
        let size = self.options.frame_samples;
        for start in (0..inbound.len().max(outbound.len())).step_by(size) {
            self.frame_pair([cut(inbound, start, size), cut(outbound, start, size)])
                .await?;
        }
        Ok(())
    }

    /// Nobody speaks; frames of silence go on.
    pub async fn silence(&mut self, length: Duration) -> Result<(), CallError> {
        let size = self.options.frame_samples;
        let samples = super::samples(length.as_millis() as u64) as usize;
        for _ in 0..samples.div_ceil(size) {
            self.frame_pair([&[], &[]]).await?;
        }
        Ok(())
    }

    /// Nobody speaks until something has happened; in real time even at speed nought.
    pub async fn silence_while<T>(
        &mut self,
        event: impl Future<Output = T>,
    ) -> Result<T, CallError> {
        let mut event = pin!(event);
        let frame = Duration::from_millis(super::millis(self.options.frame_samples as u64));
        loop {
            if self.options.speed > 0.0 {
                self.frame_pair([&[], &[]]).await?;
                if let Some(done) = event.as_mut().now_or_never() {
                    return Ok(done);
                }
            } else {
                if let Ok(done) = timeout(frame, event.as_mut()).await {
                    return Ok(done);
                }
                self.frame_pair([&[], &[]]).await?;
            }
        }
    }

    /// Sound is lost before it reaches the socket: the media clock goes on, no frame is sent.
    pub fn skip(&mut self, length: Duration) {
        self.position += super::samples(length.as_millis() as u64);
    }

    /// One frame of the test's own making, at once; the media clock does not move.
    pub async fn media(&mut self, raw: RawMedia) -> Result<(), CallError> {
        let side = raw.side as usize;
        let sequence = raw.sequence.unwrap_or(self.sequence + 1);
        self.sequence = sequence;
        let chunk = raw.chunk.unwrap_or(self.sent[side].frames + 1);
        let media = Media {
            side: raw.side,
            sequence,
            chunk,
            timestamp_ms: raw.timestamp_ms,
            payload: &raw.payload,
        };
        let mut text = String::with_capacity(160 + raw.payload.len() * 4 / 3);
        self.writer.media(&media, &mut text);
        let sent = &mut self.sent[side];
        sent.frames += 1;
        sent.samples += raw.payload.len() as u64;
        if self.options.tape {
            sent.tape.extend_from_slice(&raw.payload);
        }
        self.send_text(text).await
    }

    /// A key was pressed.
    pub async fn dtmf(&mut self, digit: char) -> Result<(), CallError> {
        let sequence = self.next_sequence();
        self.send_text(self.writer.dtmf(sequence, digit)).await
    }

    /// A mark comes back; forks never see one.
    pub async fn mark(&mut self, name: &str) -> Result<(), CallError> {
        let sequence = self.next_sequence();
        self.send_text(self.writer.mark(sequence, name)).await
    }

    /// `connected`.
    pub async fn send_connected(&mut self) -> Result<(), CallError> {
        self.send_text(CONNECTED.to_owned()).await
    }

    /// `start`.
    pub async fn send_start(&mut self) -> Result<(), CallError> {
        let sequence = self.next_sequence();
        let options = &self.options;
        let start = self
            .writer
            .start(sequence, &options.sides, &options.parameters);
        self.send_text(start).await
    }

    /// `stop`; the socket stays open.
    pub async fn stop(&mut self) -> Result<(), CallError> {
        let sequence = self.next_sequence();
        self.send_text(self.writer.stop(sequence)).await
    }

    /// Any text message.
    pub async fn send_text(&mut self, text: String) -> Result<(), CallError> {
        self.send(Message::text(text)).await
    }

    /// Any binary message.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) -> Result<(), CallError> {
        self.send(Message::binary(bytes)).await
    }

    /// Bytes below the WebSocket: broken frames, half frames.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        let transport = self.socket.get_mut();
        transport.write_all(bytes).await.map_err(SocketError::Io)?;
        transport.flush().await.map_err(SocketError::Io)?;
        Ok(())
    }

    async fn greet(&mut self) -> Result<(), CallError> {
        match self.options.greeting {
            Greeting::Full => {
                self.send_connected().await?;
                self.send_start().await
            }
            Greeting::None => Ok(()),
            Greeting::StartOnly => self.send_start().await,
        }
    }

    /// The frames of one instant, at their time.
    async fn frame_pair(&mut self, voices: [&[i16]; 2]) -> Result<(), CallError> {
        let late = self.pace.wait(self.media_time()).await;
        self.lateness.record(late);
        let size = self.options.frame_samples;
        let timestamp_ms = self.options.first_timestamp_ms + super::millis(self.position);
        for side in self.options.sides.clone() {
            let mut payload = ulaw::encode_all(voices[side as usize]);
            payload.resize(size, ulaw::SILENCE);
            self.media(RawMedia {
                side,
                timestamp_ms,
                sequence: None,
                chunk: None,
                payload,
            })
            .await?;
        }
        self.position += size as u64;
        self.listen()
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    async fn send(&mut self, message: Message) -> Result<(), CallError> {
        match self.socket.send(message).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.why(error).await),
        }
    }
}

fn cut(samples: &[i16], start: usize, size: usize) -> &[i16] {
    let start = start.min(samples.len());
    &samples[start..samples.len().min(start + size)]
}

#[cfg(test)]
mod tests;
