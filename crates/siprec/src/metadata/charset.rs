//! Bytes to text. RFC 7865 §5.1: UTF-8 must be read, a charset parameter wins over the document.

use super::BadMetadata;

/// Windows-1252 from 0x80 to 0x9f; the five holes stay C1 controls, as browsers read them.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// How far into a document its XML declaration is looked for.
const DECLARATION_BYTES: usize = 200;

#[derive(Clone, Copy)]
enum Charset {
    Utf16(Option<Order>),
    Utf8,
    Windows1252,
}

#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

/// The text of a document. `named` is the charset parameter of its part.
pub(super) fn decode(bytes: &[u8], named: Option<&str>) -> Result<String, BadMetadata> {
    let charset = match named.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => known(name)?,
        None => guessed(bytes)?,
    };
    Ok(match charset {
        // A name in some other charset does not make ids unreadable.
        Charset::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
        Charset::Utf16(order) => utf16(bytes, order),
        Charset::Windows1252 => bytes.iter().copied().map(windows_1252).collect(),
    })
}

fn known(name: &str) -> Result<Charset, BadMetadata> {
    match name.to_ascii_lowercase().as_str() {
        "ascii" | "us-ascii" | "utf-8" | "utf8" => Ok(Charset::Utf8),
        "cp1252" | "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "windows-1252" => {
            Ok(Charset::Windows1252)
        }
        "utf-16" | "utf16" => Ok(Charset::Utf16(None)),
        "utf-16be" => Ok(Charset::Utf16(Some(Order::Big))),
        "utf-16le" => Ok(Charset::Utf16(Some(Order::Little))),
        other => {
            let shown: String = other
                .chars()
                .filter(char::is_ascii_graphic)
                .take(32)
                .collect();
            Err(BadMetadata::Unreadable(format!("its charset is {shown}")))
        }
    }
}

/// XML 1.0 appendix F: by the byte order mark, by the first characters, by the declaration.
fn guessed(bytes: &[u8]) -> Result<Charset, BadMetadata> {
    match bytes.trim_ascii_start() {
        [0xef, 0xbb, 0xbf, ..] => Ok(Charset::Utf8),
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, _, ..] | [_, 0, ..] => Ok(Charset::Utf16(None)),
        text => match declared(text) {
            Some(name) => match known(&name)? {
                // Read as single bytes, it cannot be what it says.
                Charset::Utf16(_) => Ok(Charset::Utf8),
                charset => Ok(charset),
            },
            None => Ok(Charset::Utf8),
        },
    }
}

fn declared(text: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&text[..text.len().min(DECLARATION_BYTES)]);
    let declaration = head.strip_prefix("<?xml")?.split("?>").next()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next().map(str::to_owned)
}

/// Without a mark and a named order, the side that the zero of the first `<` is on decides; else
/// it is big-endian (RFC 2781 §4.3).
fn utf16(bytes: &[u8], order: Option<Order>) -> String {
    let (order, bytes) = match (bytes, order) {
        ([0xfe, 0xff, rest @ ..], _) => (Order::Big, rest),
        ([0xff, 0xfe, rest @ ..], _) => (Order::Little, rest),
        (_, Some(order)) => (order, bytes),
        ([first, 0, ..], None) if *first != 0 => (Order::Little, bytes),
        (_, None) => (Order::Big, bytes),
    };
    let units = bytes.chunks_exact(2).map(|pair| match order {
        Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
        Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
    });
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}
