//! One RTP packet, taken apart. The only file that names rtp-rs. RFC 3550 §5.1.

use rtp_rs::RtpReader;

/// The fields of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Payload number.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Media timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload without padding; may be empty.
    pub payload: &'a [u8],
}

/// What may be known of a packet behind a gate that is not open: all but its sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload number.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Media timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Bytes of payload, without padding.
    pub payload_len: usize,
}

/// It is not RTP version 2, or shorter than it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RTP packet")]
pub struct NotRtp;

/// Reads a packet.
pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, NotRtp> {
    let reader = RtpReader::new(bytes).map_err(|_| NotRtp)?;
    Ok(Packet {
        payload_type: reader.payload_type(),
        sequence: u16::from(reader.sequence_number()),
        timestamp: reader.timestamp(),
        ssrc: reader.ssrc(),
        marker: reader.mark(),
        payload: reader.payload(),
    })
}

/// Whether a datagram on a muxed port is RTCP: its payload type with the marker bit is 192 to 223.
/// RFC 5761 §4.
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 4 && bytes[0] >> 6 == 2 && (192..=223).contains(&bytes[1])
}

impl Packet<'_> {
    /// All but its sound.
    pub fn header(&self) -> Header {
        Header {
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            payload_len: self.payload.len(),
        }
    }
}

/// Whatever comes in: a payload lies within its packet, and a header says no more than the packet.
pub fn fuzz(data: &[u8]) {
    let Ok(packet) = parse(data) else {
        return;
    };
    assert!(data.len() >= 12 && data[0] >> 6 == 2);
    assert!(packet.payload.len() <= data.len() - 12);
    assert_eq!(packet.header().payload_len, packet.payload.len());
    assert_eq!(packet.sequence.to_be_bytes(), data[2..4]);
    assert_eq!(packet.timestamp.to_be_bytes(), data[4..8]);
    assert_eq!(packet.ssrc.to_be_bytes(), data[8..12]);
    // RTCP seen as RTP has payload types 64 to 95 and the marker: no audio profile uses them.
    if is_rtcp(data) {
        assert!(packet.marker && (64..96).contains(&packet.payload_type));
    }
}

#[cfg(test)]
mod tests;
