//! What was said, as the bytes that are sealed: who, in which readings, word by word.
//!
//! A format of our own: a version, then numbers as LEB128 and texts with their length before them.
//! Times are in microseconds on the stream's clock.

use std::time::Duration;

use call::private::Private;
use call::transcript::{Alternative, Token};

/// The first byte.
const VERSION: u8 = 1;

/// The fewest bytes of a reading and of a token, so that a broken count reserves nothing.
const ALTERNATIVE_BYTES_MIN: usize = 2;
const TOKEN_BYTES_MIN: usize = 5;

/// What of an utterance is private.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spoken {
    /// `customerId` or `agentId` of the start; may be empty.
    pub(crate) sender: Private<String>,
    /// All readings.
    pub(crate) alternatives: Vec<Alternative>,
}

/// The bytes are not what [`Spoken::encode`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled;

struct Reader<'a>(&'a [u8]);

impl Spoken {
    pub(crate) fn encode(sender: &str, alternatives: &[Alternative]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        write_text(&mut bytes, sender);
        write_count(&mut bytes, alternatives.len());
        for alternative in alternatives {
            write_text(&mut bytes, alternative.text.reveal());
            write_count(&mut bytes, alternative.tokens.len());
            for token in &alternative.tokens {
                write_token(&mut bytes, token);
            }
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
            return Err(Garbled);
        }
        let sender = Private::new(reader.text()?);
        let count = reader.count(ALTERNATIVE_BYTES_MIN)?;
        let mut alternatives = Vec::with_capacity(count);
        for _ in 0..count {
            let text = Private::new(reader.text()?);
            let count = reader.count(TOKEN_BYTES_MIN)?;
            let tokens = (0..count)
                .map(|_| reader.token())
                .collect::<Result<_, _>>()?;
            alternatives.push(Alternative { text, tokens });
        }
        let is_read_up = reader.0.is_empty();
        is_read_up
            .then_some(Self {
                sender,
                alternatives,
            })
            .ok_or(Garbled)
    }

    /// The first reading, empty if there is none.
    pub(crate) fn text(&self) -> &str {
        let first = self.alternatives.first();
        first.map_or("", |first| first.text.reveal())
    }
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Garbled> {
        let (byte, rest) = self.0.split_first().ok_or(Garbled)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, Garbled> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Garbled);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Garbled)
    }

    /// How many follow that have at least `bytes_min` bytes each.
    fn count(&mut self, bytes_min: usize) -> Result<usize, Garbled> {
        let count = usize::try_from(self.number()?).map_err(|_| Garbled)?;
        let fits = count <= self.0.len() / bytes_min;
        fits.then_some(count).ok_or(Garbled)
    }

    fn text(&mut self) -> Result<String, Garbled> {
        let length = self.count(1)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Garbled)?;
        self.0 = rest;
        let text = str::from_utf8(text).map_err(|_| Garbled)?;
        Ok(text.to_owned())
    }

    /// A mark beside a word, if there is one.
    fn mark(&mut self) -> Result<Option<String>, Garbled> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(Garbled),
        }
    }

    fn token(&mut self) -> Result<Token, Garbled> {
        Ok(Token {
            content: Private::new(self.text()?),
            start: Duration::from_micros(self.number()?),
            end: Duration::from_micros(self.number()?),
            punctuation_after: self.mark()?,
            punctuation_before: self.mark()?,
        })
    }
}

fn write_token(bytes: &mut Vec<u8>, token: &Token) {
    write_text(bytes, token.content.reveal());
    write_number(bytes, micros(token.start));
    write_number(bytes, micros(token.end));
    for mark in [&token.punctuation_after, &token.punctuation_before] {
        bytes.push(u8::from(mark.is_some()));
        if let Some(mark) = mark {
            write_text(bytes, mark);
        }
    }
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    write_count(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn write_count(bytes: &mut Vec<u8>, count: usize) {
    write_number(bytes, u64::try_from(count).unwrap_or(u64::MAX));
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Any bytes are read or refused, and what is read is written and read alike.
pub fn fuzz(data: &[u8]) {
    let Ok(spoken) = Spoken::decode(data) else {
        return;
    };
    let written = Spoken::encode(spoken.sender.reveal(), &spoken.alternatives);
    assert!(written.len() <= data.len(), "the shortest form is written");
    assert_eq!(Spoken::decode(&written), Ok(spoken));
}

#[cfg(test)]
mod tests;
