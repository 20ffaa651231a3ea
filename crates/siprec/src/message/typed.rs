//! What rsip reads of a header. The only file that names it.
//!
//! It reads a CSeq. Message, name-addr, Via and URI are read by [`super::scan`] and
//! [`super::text`]: on those it refuses what the market sends (folding, compact names, IPv6,
//! unknown methods) and cuts parameters short without an error.

use rsip::headers::UntypedHeader;
use rsip::typed::CSeq;

/// The number of a CSeq. rsip wants a method that it knows, so it is given one.
pub(super) fn cseq_number(number: &str) -> Option<u32> {
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let text = rsip::headers::CSeq::new(format!("{number} INVITE"));
    CSeq::try_from(text).ok().map(|cseq| cseq.seq)
}
