//! Where one part ends and the next begins. RFC 2046 §5.1.1.

use super::BadBody;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    Close,
    Open,
}

/// The parts of a multipart body, at most `max`. Without a boundary, or with one that does not
/// occur, the body's first line that looks like a delimiter names it.
pub(super) fn pieces<'a>(
    body: &'a [u8],
    boundary: Option<&str>,
    max: usize,
) -> Result<Vec<&'a [u8]>, BadBody> {
    let said = boundary.map(|boundary| cut(body, boundary.as_bytes(), max));
    match (said, first_delimiter(body)) {
        (Some(Some(pieces)), _) => pieces,
        (_, Some(found)) => cut(body, found, max).unwrap_or_else(|| Ok(Vec::new())),
        (None, None) => Err(BadBody::Multipart("it has no boundary")),
        (Some(None), None) => Err(BadBody::Multipart("its boundary does not occur in it")),
    }
}

/// The boundary that the first line with anything on it is a delimiter of.
pub(super) fn first_delimiter(body: &[u8]) -> Option<&[u8]> {
    let line = lines(body)
        .map(|(start, end)| body[start..end].trim_ascii())
        .find(|line| !line.is_empty())?;
    let boundary = line.strip_prefix(b"--")?;
    let boundary = boundary.strip_suffix(b"--").unwrap_or(boundary);
    (!boundary.is_empty()).then_some(boundary)
}

/// `None`: the boundary does not occur. Without a closing delimiter the last part goes to the end.
fn cut<'a>(body: &'a [u8], boundary: &[u8], max: usize) -> Option<Result<Vec<&'a [u8]>, BadBody>> {
    let mut pieces = Vec::new();
    let mut begun = None;
    let mut found = false;
    for (start, end) in lines(body) {
        let Some(delimiter) = delimiter(&body[start..end], boundary) else {
            continue;
        };
        found = true;
        if let Some(from) = begun.take() {
            pieces.push(without_line_end(&body[from..start]));
        }
        if delimiter == Delimiter::Close {
            break;
        }
        begun = Some((end + 1).min(body.len()));
        if pieces.len() >= max {
            return Some(Err(BadBody::Multipart("it has more parts than are read")));
        }
    }
    pieces.extend(begun.map(|from| &body[from..]));
    found.then_some(Ok(pieces))
}

fn delimiter(line: &[u8], boundary: &[u8]) -> Option<Delimiter> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    match rest.trim_ascii() {
        b"" => Some(Delimiter::Open),
        b"--" => Some(Delimiter::Close),
        _ => None,
    }
}

/// Start and end of each line, its line feed (and a carriage return before it) included in neither
/// the line nor the next one; the carriage return stays at the end.
fn lines(body: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = body.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = (start, start + length.unwrap_or(rest.len()));
        start = line.1 + 1;
        Some(line)
    })
}

/// The line end before a delimiter belongs to the delimiter.
fn without_line_end(piece: &[u8]) -> &[u8] {
    let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
    piece.strip_suffix(b"\r").unwrap_or(piece)
}
