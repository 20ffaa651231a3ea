//! What goes over a call's media lines: voices, silence, keys, packets of a test's own making.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use super::agent::lock;
use super::codec::Codec;
use super::rtp::{Header, Source, event, event_payload};
use super::session::Route;
use super::{CallError, Side, SiprecCall, rtcp};
use crate::caller::{millis, samples};

/// A packet whose every field may be the test's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawPacket {
    /// Whose line it goes over.
    pub side: Side,
    /// The next number when `None`; else the nearest rollover of it.
    pub sequence: Option<u16>,
    /// The media clock's now when `None`.
    pub timestamp: Option<u32>,
    /// The line's own when `None`.
    pub ssrc: Option<u32>,
    /// What the line's sound has when `None`.
    pub payload_type: Option<u8>,
    /// The marker bit.
    pub marker: bool,
    /// Any bytes.
    pub payload: Vec<u8>,
}

/// A key that is down: instead of the side's voice.
#[derive(Clone, Copy, Debug)]
struct Key {
    line: usize,
    event: u8,
    number: u8,
    begun: u64,
    /// The last packet of it.
    last: bool,
}

impl SiprecCall {
    /// One party speaks; the other lines carry silence meanwhile.
    ///
    /// # Errors
    /// See [`CallError`]; so with all that follow.
    pub async fn say(&mut self, side: Side, samples: &[i16]) -> Result<(), CallError> {
        let mut voices = [&[][..]; 3];
        voices[side as usize] = samples;
        self.voices(voices).await
    }

    /// Both parties speak at once; the last packet is filled up with silence.
    pub async fn converse(&mut self, customer: &[i16], agent: &[i16]) -> Result<(), CallError> {
        self.voices([customer, agent, &[]]).await
    }

    /// All three speak at once.
    pub async fn voices(&mut self, voices: [&[i16]; 3]) -> Result<(), CallError> {
        let size = self.options.packet_samples();
        let length = voices.iter().map(|voice| voice.len()).max().unwrap_or(0);
        for start in (0..length).step_by(size) {
            self.frame(voices.map(|voice| cut(voice, start, size)), None)
                .await?;
        }
        Ok(())
    }

    /// Nobody speaks; packets of silence go on where sound is wanted.
    pub async fn silence(&mut self, length: Duration) -> Result<(), CallError> {
        let size = self.options.packet_samples();
        let wanted = samples(length.as_millis() as u64) as usize;
        for _ in 0..wanted.div_ceil(size) {
            self.frame([&[]; 3], None).await?;
        }
        Ok(())
    }

    /// Nobody speaks until something has happened; in real time even at speed nought.
    pub async fn silence_while<T>(
        &mut self,
        event: impl Future<Output = T>,
    ) -> Result<T, CallError> {
        let mut event = pin!(event);
        loop {
            if self.options.speed > 0.0 {
                self.frame([&[]; 3], None).await?;
                if let Some(done) = event.as_mut().now_or_never() {
                    return Ok(done);
                }
            } else {
                if let Ok(done) = timeout(self.options.packet, event.as_mut()).await {
                    return Ok(done);
                }
                self.frame([&[]; 3], None).await?;
            }
        }
    }

    /// The media clock goes on and no packet is sent, as between talk spurts; the next one has its
    /// marker set.
    pub fn skip(&mut self, length: Duration) {
        self.position += samples(length.as_millis() as u64);
        for outlet in &mut self.outlets {
            outlet.source.marker = true;
        }
    }

    /// One packet of codes on one side's line, at its time; the others carry silence. The clock
    /// moves by the codes' length.
    pub async fn send(&mut self, side: Side, codes: &[u8]) -> Result<(), CallError> {
        let line = self.line_of(side);
        self.until(self.position).await?;
        let moved = match self
            .route(line)
            .and_then(|route| Some((route.codec?, route)))
        {
            Some(((codec, number), _)) => {
                self.sound(line, codec, number, codes).await?;
                codes.len() / codec.bytes()
            }
            None => codes.len(),
        };
        self.position += moved as u64;
        self.listen()
    }

    /// A key goes down for 100 ms: event packets instead of the side's voice, the last one three
    /// times. RFC 4733 §2.5.1.
    pub async fn dtmf(&mut self, side: Side, key: char) -> Result<(), CallError> {
        const HELD: Duration = Duration::from_millis(100);
        let line = self.line_of(side);
        let number = self.route(line).and_then(|route| route.events);
        let number = number.ok_or(CallError::NotTaken("telephone-event"))?;
        let event = event(key).ok_or(CallError::NotTaken("this key"))?;
        let count = HELD.div_duration_f64(self.options.packet).ceil() as usize;
        let begun = self.position;
        self.outlets[line].source.marker = true;
        for index in 0..count.max(1) {
            let key = Key {
                line,
                event,
                number,
                begun,
                last: index + 1 >= count,
            };
            self.frame([&[]; 3], Some(key)).await?;
        }
        self.outlets[line].source.marker = true;
        Ok(())
    }

    /// A comfort noise packet with that level (dB below overload, without its sign); the clock does
    /// not move. RFC 3389.
    pub async fn comfort_noise(&mut self, side: Side, level: u8) -> Result<(), CallError> {
        let noise = self.route(self.line_of(side)).and_then(|route| route.noise);
        self.packet(RawPacket {
            side,
            sequence: None,
            timestamp: None,
            ssrc: None,
            // 13 is comfort noise without being said. RFC 3551 §6.
            payload_type: Some(noise.unwrap_or(13)),
            marker: false,
            payload: vec![level],
        })
        .await
    }

    /// One packet of the test's own making, at once; the clock does not move, the tape has nothing.
    pub async fn packet(&mut self, raw: RawPacket) -> Result<(), CallError> {
        let line = self.line_of(raw.side);
        let Some(route) = self.route(line) else {
            return Err(CallError::NotTaken("this line"));
        };
        let outlet = &mut self.outlets[line];
        let source = &mut outlet.source;
        let number = route.codec.map_or(0, |(_, number)| number);
        let index = match raw.sequence {
            Some(sequence) => source.index_of(sequence),
            None => source.next(0, 0).index,
        };
        let header = Header {
            payload_type: raw.payload_type.unwrap_or(number),
            marker: raw.marker,
            index,
            timestamp: raw
                .timestamp
                .unwrap_or_else(|| source.timestamp(self.position)),
            ssrc: raw.ssrc.unwrap_or(source.ssrc),
        };
        source.count(raw.payload.len());
        outlet.sent.packets += 1;
        let packet = header.packet(&raw.payload, outlet.keys.as_ref());
        self.post(line, packet).await.map(|_| ())
    }

    /// Any bytes from a line's RTP socket to where its RTP goes.
    pub async fn stray(&mut self, side: Side, bytes: &[u8]) -> Result<(), CallError> {
        let line = self.line_of(side);
        let route = self.route(line).ok_or(CallError::NotTaken("this line"))?;
        let socket = &self.outlets[line].sockets.rtp;
        socket.send_to(bytes, route.rtp).await?;
        Ok(())
    }

    /// A sender report now.
    pub async fn report(&mut self, side: Side) -> Result<(), CallError> {
        let line = self.line_of(side);
        let route = self.route(line).ok_or(CallError::NotTaken("this line"))?;
        let packet = self.control_packet(line, rtcp::sender_report);
        Ok(self.outlets[line].control(packet, route.rtcp).await?)
    }

    /// What the network still holds arrives now.
    pub async fn flush(&mut self) -> Result<(), CallError> {
        self.deliver(u64::MAX).await
    }

    /// The packets of one instant, at their time.
    async fn frame(&mut self, voices: [&[i16]; 3], key: Option<Key>) -> Result<(), CallError> {
        let size = self.options.packet_samples();
        self.until(self.position).await?;
        for line in 0..self.outlets.len() {
            let Some(route) = self.route(line) else {
                continue;
            };
            match key.filter(|key| key.line == line) {
                Some(key) => self.key(key, size).await?,
                None => self.voice(line, &route, voices).await?,
            }
            self.report_when_due(line, &route).await?;
        }
        self.position += size as u64;
        self.listen()
    }

    async fn voice(
        &mut self,
        line: usize,
        route: &Route,
        voices: [&[i16]; 3],
    ) -> Result<(), CallError> {
        let outlet = &self.outlets[line];
        let speaks = outlet.sides.iter().any(|side| self.sides.contains(side));
        let open = route.open || !self.options.obedient;
        let Some((codec, number)) = route.codec.filter(|_| open && speaks) else {
            self.outlets[line].source.marker = true;
            return Ok(());
        };
        let mut mixed = vec![0_i16; self.options.packet_samples()];
        for side in outlet.sides.iter().filter(|side| self.sides.contains(side)) {
            for (sample, voice) in mixed.iter_mut().zip(voices[*side as usize]) {
                *sample = sample.saturating_add(*voice);
            }
        }
        self.sound(line, codec, number, &codec.encode(&mixed)).await
    }

    /// One packet of sound at the media clock's now, on tape.
    async fn sound(
        &mut self,
        line: usize,
        codec: Codec,
        number: u8,
        codes: &[u8],
    ) -> Result<(), CallError> {
        let (position, tape) = (self.position, self.options.tape);
        let outlet = &mut self.outlets[line];
        let header = outlet.source.next(number, position);
        outlet.source.count(codes.len());
        let packet = header.packet(codes, outlet.keys.as_ref());
        let sent = &mut outlet.sent;
        let begun = sent.samples;
        sent.packets += 1;
        sent.samples += (codes.len() / codec.bytes()) as u64;
        sent.codec = Some(codec);
        if tape {
            sent.tape.extend_from_slice(codes);
            sent.positions.push(position);
        }
        let arrivals = self.post(line, packet).await?;
        let sent = &mut self.outlets[line].sent;
        match arrivals {
            0 => sent.lost.push(begun..sent.samples),
            1 => {}
            more => sent.duplicates += more as u64 - 1,
        }
        Ok(())
    }

    async fn key(&mut self, key: Key, size: usize) -> Result<(), CallError> {
        let duration = (self.position - key.begun) as u16 + size as u16;
        for _ in 0..if key.last { 3 } else { 1 } {
            let outlet = &mut self.outlets[key.line];
            let header = outlet.source.next(key.number, key.begun);
            let payload = event_payload(key.event, key.last, duration);
            outlet.source.count(payload.len());
            outlet.sent.packets += 1;
            let packet = header.packet(&payload, outlet.keys.as_ref());
            self.post(key.line, packet).await?;
        }
        Ok(())
    }

    /// Gives a packet to the network; tells how often it will arrive.
    async fn post(&mut self, line: usize, packet: Vec<u8>) -> Result<usize, CallError> {
        let now = millis(self.position);
        let arrivals = self.outlets[line].network.copies(now);
        for &at in &arrivals {
            self.posted += 1;
            self.outbox
                .insert((at, self.posted), (line, packet.clone()));
        }
        self.deliver(now).await?;
        Ok(arrivals.len())
    }

    /// Waits for a position of the media clock, and lets arrive what arrives until then.
    async fn until(&mut self, position: u64) -> Result<(), CallError> {
        let now = millis(position);
        while let Some((&(at, _), _)) = self.outbox.first_key_value()
            && at <= now
        {
            self.pace.wait(Duration::from_millis(at)).await;
            self.deliver(at).await?;
        }
        let late = self.pace.wait(self.media_time()).await;
        self.lateness.record(late);
        Ok(())
    }

    async fn deliver(&mut self, until: u64) -> Result<(), CallError> {
        while let Some(first) = self.outbox.first_entry()
            && first.key().0 <= until
        {
            let (line, packet) = first.remove();
            if let Some(route) = self.route(line) {
                let socket = &self.outlets[line].sockets.rtp;
                socket.send_to(&packet, route.rtp).await?;
            }
        }
        Ok(())
    }

    async fn report_when_due(&mut self, line: usize, route: &Route) -> Result<(), CallError> {
        let Some(interval) = self.options.reports else {
            return Ok(());
        };
        if self.position >= self.outlets[line].report_at {
            let packet = self.control_packet(line, rtcp::sender_report);
            let outlet = &mut self.outlets[line];
            outlet.report_at = self.position + samples(interval.as_millis() as u64);
            outlet.control(packet, route.rtcp).await?;
        }
        Ok(())
    }

    pub(super) fn control_packet(
        &self,
        line: usize,
        write: fn(&Source, u64, std::time::SystemTime, &str) -> Vec<u8>,
    ) -> Vec<u8> {
        let outlet = &self.outlets[line];
        let at = self.begun + self.media_time();
        let name = format!("line{line}@{}", self.agent.local().ip());
        write(&outlet.source, self.position, at, &name)
    }

    /// Takes what has come in, without waiting.
    fn listen(&mut self) -> Result<(), CallError> {
        for line in 0..self.outlets.len() {
            self.listen_to(line);
        }
        if self.is_over() {
            return Err(CallError::Ended);
        }
        Ok(())
    }

    pub(super) fn listen_to(&mut self, line: usize) {
        let key = self.route(line).and_then(|route| route.crypto);
        self.outlets[line].listen(key.as_ref());
    }

    pub(super) fn route(&self, line: usize) -> Option<Route> {
        let (dialog, index) = self.outlets[line].place;
        lock(&self.dialogs[dialog].0).session.route(index)
    }
}

fn cut(samples: &[i16], start: usize, size: usize) -> &[i16] {
    let start = start.min(samples.len());
    &samples[start..samples.len().min(start + size)]
}
