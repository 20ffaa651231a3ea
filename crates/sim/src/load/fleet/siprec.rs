//! A SIPREC call's media without a runtime: each packet is written into the same buffer, protected
//! there, and given to the kernel.

use std::io::ErrorKind;

use super::Line;
use crate::caller::siprec::Unhurried;
use crate::load::stamp::FRAME;

/// Sender reports go out once in so many looks: every 5 seconds.
const LOOKS_A_REPORT: u64 = 10;

/// The lines of one call.
pub(crate) struct SiprecLine {
    tracks: [Unhurried; 2],
    looks: u64,
    broken: bool,
}

impl SiprecLine {
    /// The customer's line first.
    pub(crate) fn new(tracks: [Unhurried; 2]) -> Self {
        Self {
            tracks,
            looks: 0,
            broken: false,
        }
    }
}

impl Line for SiprecLine {
    fn frame(&mut self, track: usize, codes: &[u8; FRAME]) -> bool {
        match self.tracks[track].send(codes, FRAME as u64) {
            Ok(()) => false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Err(_) => {
                self.broken = true;
                false
            }
        }
    }

    fn listen(&mut self) {
        self.looks += 1;
        for track in &mut self.tracks {
            track.listen();
            if self.looks.is_multiple_of(LOOKS_A_REPORT) {
                track.report();
            }
        }
    }

    /// The BYE is said by whoever has the dialog.
    fn hang_up(&mut self) {}

    fn is_broken(&self) -> bool {
        self.broken
    }
}
