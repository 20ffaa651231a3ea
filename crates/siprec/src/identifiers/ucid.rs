//! Avaya's universal call id: node, sequence, Unix seconds, in 8 bytes or 5 + 5 + 10 digits.

const UCID_TAG: u8 = 0xfa;
const UCID_BYTES: usize = 8;

/// The UCID again, as 20 decimal digits in ASCII.
const DECIMAL_TAG: u8 = 0xc8;

/// A UCID without a TLV: 16 hex digits, or 16 to 20 decimal ones.
pub(super) fn of_digits(value: &str) -> Option<String> {
    let is_decimal = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.len() {
        16 if is_decimal && !value.starts_with('0') => of_decimal(value).or_else(|| of_hex(value)),
        16 => of_hex(value),
        17..=20 if is_decimal => of_decimal(value),
        _ => None,
    }
}

/// A UCID in its TLV, `FA 08` and 8 bytes: behind a protocol byte or not, before and behind other
/// TLVs. What says that it is hex is also searched for the TLV at any byte, because what stands
/// before it need not be TLVs.
pub(super) fn of_tlv(value: &str, says_hex: bool) -> Option<String> {
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || value.len() < 20 || !value.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Vec<u8> = (0..value.len())
        .step_by(2)
        .map_while(|at| u8::from_str_radix(&value[at..at + 2], 16).ok())
        .collect();
    // 16 bytes are the size of a Cisco-Guid, which may begin with anything.
    let must_end = bytes.len() == 16;
    let walked = walk(&bytes, must_end).or_else(|| walk(&bytes[1..], must_end));
    walked.or_else(|| if says_hex { search(&bytes) } else { None })
}

/// Walks from TLV to TLV.
fn walk(bytes: &[u8], must_end: bool) -> Option<String> {
    let mut ucid = None;
    let mut decimal = None;
    let mut rest = bytes;
    while let [tag, length, after @ ..] = rest {
        let Some((value, after)) = after.split_at_checked(usize::from(*length)) else {
            break;
        };
        match (*tag, value.len()) {
            (UCID_TAG, UCID_BYTES) => ucid = ucid.or_else(|| of_bytes(value)),
            (DECIMAL_TAG, 20) => {
                decimal = str::from_utf8(value).ok().and_then(of_decimal);
            }
            _ => {}
        }
        rest = after;
    }
    let is_whole = rest.is_empty() || !must_end;
    ucid.or(decimal).filter(|_| is_whole)
}

fn search(bytes: &[u8]) -> Option<String> {
    let mut windows = bytes.windows(2 + UCID_BYTES);
    let found = windows.find(|window| window[0] == UCID_TAG && window[1] == 8)?;
    of_bytes(&found[2..])
}

fn of_hex(value: &str) -> Option<String> {
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(value, 16).ok().filter(|_| is_hex)?;
    of_bytes(&number.to_be_bytes())
}

fn of_bytes(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; UCID_BYTES] = bytes.try_into().ok()?;
    let [n0, n1, s0, s1, t0, t1, t2, t3] = bytes;
    let node = u16::from_be_bytes([n0, n1]);
    let sequence = u16::from_be_bytes([s0, s1]);
    let time = u32::from_be_bytes([t0, t1, t2, t3]);
    Some(format!("{node:05}{sequence:05}{time:010}"))
}

/// Up to 20 decimal digits whose three numbers fit their bytes, padded.
fn of_decimal(value: &str) -> Option<String> {
    let is_decimal = value.len() <= 20 && value.bytes().all(|byte| byte.is_ascii_digit());
    let padded = format!("{value:0>20}");
    let fits = is_decimal
        && padded[..5].parse::<u16>().is_ok()
        && padded[5..10].parse::<u16>().is_ok()
        && padded[10..].parse::<u32>().is_ok();
    fits.then_some(padded)
}
