//! Server-sent events, read as the HTML standard section 9.2 says.

use anyhow::bail;
use reqwest::Response;
use serde_json::Value;

/// The longest event that is read.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What to resume from.
    pub id: Option<String>,
    /// The event's type; `message` when none was given.
    pub event: String,
    /// The lines of its data.
    pub data: String,
}

/// An open event stream.
#[derive(Debug)]
pub struct Events {
    response: Response,
    parser: Parser,
}

/// Bytes in, events out.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
    last_id: Option<String>,
}

impl Event {
    /// The data as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self {
            response,
            parser: Parser::default(),
        }
    }

    /// The next event; `None` when the gateway has ended the stream.
    ///
    /// # Errors
    /// When the connection breaks or an event is too long.
    pub async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            if self.parser.bytes.len() > EVENT_BYTES_MAX {
                bail!("an event of more than {EVENT_BYTES_MAX} bytes");
            }
            match self.response.chunk().await? {
                Some(bytes) => self.parser.bytes.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

impl Parser {
    /// The next complete event with data; comments and empty events are passed over.
    fn next(&mut self) -> Option<Event> {
        loop {
            let (end, gap) = boundary(&self.bytes)?;
            let block: Vec<u8> = self.bytes.drain(..end + gap).take(end).collect();
            if let Some(event) = self.event(&String::from_utf8_lossy(&block)) {
                return Some(event);
            }
        }
    }

    fn event(&mut self, block: &str) -> Option<Event> {
        let mut kind = "message";
        let mut data: Vec<&str> = Vec::new();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => data.push(value),
                "event" => kind = value,
                "id" => self.last_id = Some(value.to_owned()),
                _ => {}
            }
        }
        let id = self.last_id.clone();
        (!data.is_empty()).then(|| Event {
            id,
            event: kind.to_owned(),
            data: data.join("\n"),
        })
    }
}

/// Where the first event ends, and how long the blank line behind it is.
fn boundary(bytes: &[u8]) -> Option<(usize, usize)> {
    let at = |mark: &[u8]| {
        let found = bytes.windows(mark.len()).position(|window| window == mark);
        found.map(|end| (end, mark.len()))
    };
    [at(b"\n\n"), at(b"\r\n\r\n")].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Event> {
        let mut parser = Parser {
            bytes: text.as_bytes().to_vec(),
            last_id: None,
        };
        std::iter::from_fn(|| parser.next()).collect()
    }

    fn event(id: Option<&str>, event: &str, data: &str) -> Event {
        Event {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn events_are_told_apart_by_blank_lines() {
        let text =
            "id: 7\nevent: transcript\ndata: {\"a\":1}\n\n: keep-alive\n\ndata:x\ndata: y\n\n";
        let expected = [
            event(Some("7"), "transcript", "{\"a\":1}"),
            event(Some("7"), "message", "x\ny"),
        ];
        assert_eq!(events(text), expected);
    }

    #[test]
    fn carriage_returns_are_allowed() {
        assert_eq!(
            events("event: e\r\ndata: 1\r\n\r\n"),
            [event(None, "e", "1")]
        );
    }

    #[test]
    fn half_an_event_is_none_yet() {
        assert_eq!(events("data: 1\n"), []);
    }
}
