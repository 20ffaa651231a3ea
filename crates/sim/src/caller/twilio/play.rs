//! Plays a recorded call over a stream, through a network that loses, delays and reorders.

use std::time::Duration;

use super::{CallError, RawMedia, Side, TwilioCall};
use crate::caller::wav::Recording;
use crate::caller::{millis, ulaw};
use crate::network::Network;

/// One frame of the recording, numbered as Twilio would have numbered it.
struct Frame {
    side: Side,
    start: usize,
    sequence: u64,
    chunk: u64,
}

impl TwilioCall {
    /// Plays the whole recording. What the network loses Twilio never had: it takes no number, only
    /// the timestamps jump. What is overtaken keeps the number it had. `progress` is called after
    /// every frame.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn play(
        &mut self,
        recording: &Recording,
        network: &mut Network,
        mut progress: impl FnMut(),
    ) -> Result<(), CallError> {
        let size = self.options.frame_samples;
        let frames = self.numbered(recording, network);
        let numbers = frames.len() as u64;
        let (begun, first) = (self.position, self.sequence);
        for (arrives_ms, frame) in frames {
            let due = Duration::from_millis(millis(begun) + arrives_ms);
            let late = self.pace.wait(due).await;
            self.lateness.record(late);
            let voice = match frame.side {
                Side::Inbound => &recording.inbound,
                Side::Outbound => &recording.outbound,
            };
            let mut payload = ulaw::encode_all(super::cut(voice, frame.start, size));
            payload.resize(size, ulaw::SILENCE);
            let position = begun + frame.start as u64;
            self.media(RawMedia {
                side: frame.side,
                timestamp_ms: self.options.first_timestamp_ms + millis(position),
                sequence: Some(frame.sequence),
                chunk: Some(frame.chunk),
                payload,
            })
            .await?;
            self.listen()?;
            progress();
        }
        self.sequence = first + numbers;
        self.position = begun + recording.samples().next_multiple_of(size) as u64;
        Ok(())
    }

    /// The frames that survive, with the times at which they arrive, in that order.
    fn numbered(&self, recording: &Recording, network: &mut Network) -> Vec<(u64, Frame)> {
        let mut frames = Vec::new();
        let mut sequence = self.sequence;
        let mut chunks = Side::BOTH.map(|side| self.sent(side).frames);
        for start in (0..recording.samples()).step_by(self.options.frame_samples) {
            for &side in &self.options.sides {
                let Some(arrives_ms) = network.send(millis(start as u64)) else {
                    continue;
                };
                sequence += 1;
                let chunk = &mut chunks[side as usize];
                *chunk += 1;
                frames.push((
                    arrives_ms,
                    Frame {
                        side,
                        start,
                        sequence,
                        chunk: *chunk,
                    },
                ));
            }
        }
        frames.sort_by_key(|(arrives_ms, _)| *arrives_ms);
        frames
    }
}
