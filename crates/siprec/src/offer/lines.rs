//! The lines of a session description, sorted by the section they stand in. Nothing is understood
//! yet: this stands before the foreign parser, so that it sees one harmless line at a time.

use super::BadDescription;

/// One line, without the blanks around it.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// The letter before the `=`.
    pub(super) kind: u8,
    /// What comes after it; may be empty.
    pub(super) value: &'a str,
}

/// An `m=` line as written, and the lines that belong to it.
pub(super) struct Section<'a> {
    pub(super) media: &'a str,
    pub(super) port: u16,
    pub(super) proto: &'a str,
    pub(super) formats: &'a str,
    pub(super) lines: Vec<Line<'a>>,
}

/// The text with plain line feeds and, but for these, without control characters: what is echoed
/// and logged cannot begin a line of its own.
pub(super) fn clean(body: &[u8]) -> String {
    let plain = |c: char| match c {
        '\n' | '\r' => '\n',
        c if c.is_control() => ' ',
        c => c,
    };
    String::from_utf8_lossy(body).chars().map(plain).collect()
}

/// How many lines say something. Blank ones are met in the middle of real descriptions.
pub(super) fn count(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

/// What comes before the first `m=`, and each `m=` with what follows it.
pub(super) fn sections(text: &str) -> Result<(Vec<Line<'_>>, Vec<Section<'_>>), BadDescription> {
    let mut session = Vec::new();
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let Some(line) = line(text) else { continue };
        if line.kind == b'm' {
            sections.push(section(line.value, index + 1)?);
            continue;
        }
        match sections.last_mut() {
            Some(section) => section.lines.push(line),
            None => session.push(line),
        }
    }
    Ok((session, sections))
}

/// `None`: blank, or no line of a session description.
fn line(text: &str) -> Option<Line<'_>> {
    let (kind, value) = text.split_once('=')?;
    match kind.trim().as_bytes() {
        [kind] => Some(Line {
            kind: kind.to_ascii_lowercase(),
            value: value.trim(),
        }),
        _ => None,
    }
}

/// `<media> <port>[/<count>] <proto> <formats>`. A line of media that cannot be read is the end:
/// nobody could say what an answer to it is. Its text is not told, for it may name anything.
fn section(value: &str, number: usize) -> Result<Section<'_>, BadDescription> {
    let wrong = |what: &str| BadDescription::Unreadable(format!("line {number}: {what}"));
    let (media, rest) = word(value);
    let (port, rest) = word(rest);
    let (proto, formats) = word(rest);
    if proto.is_empty() {
        return Err(wrong("m= needs media, port and transport"));
    }
    let (port, _count) = port.split_once('/').unwrap_or((port, ""));
    let port = port.parse().ok();
    let port = port.ok_or_else(|| wrong("m= has no port between 0 and 65535"))?;
    Ok(Section {
        media,
        port,
        proto,
        formats,
        lines: Vec::new(),
    })
}

/// The first word and the rest.
pub(super) fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).unwrap_or((text, ""))
}
