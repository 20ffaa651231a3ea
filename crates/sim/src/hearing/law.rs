//! G.711 A-law for tests, by ITU-T's formulas and not by tables, so that it owes nothing to what it
//! tests.

/// One sample to A-law.
pub(crate) fn encode_a(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 {
        (0, i32::from(!sample) >> 4)
    } else {
        (0x80, i32::from(sample) >> 4)
    };
    let segment = (31 - (magnitude | 0x0f).leading_zeros() as i32 - 3).max(0);
    let mantissa = (magnitude >> (segment - 1).max(0)) & 0x0f;
    (sign | (segment << 4) | mantissa) as u8 ^ 0x55
}

/// One sample from A-law.
pub(crate) fn decode_a(code: u8) -> i16 {
    let code = i32::from(code ^ 0x55);
    let (segment, mantissa) = ((code >> 4) & 7, code & 0x0f);
    let magnitude = match segment {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (segment - 1),
    };
    (if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }) as i16
}
