//! Messages out of a byte stream, and one message out of a datagram. RFC 3261 §7.5, §18.3.

use crate::message::scan::{self, Head};
use crate::message::{BadMessage, Message, Method, Response};

/// How large a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of start line and headers. Default: 32 KiB.
    pub head_bytes_max: usize,
    /// Header lines. Default: 256.
    pub headers_max: usize,
    /// Bytes of the body. Default: 256 KiB.
    pub body_bytes_max: usize,
}

/// What a stream or a datagram has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A message that can be found but not used; a stream goes on behind it.
    Bad(Broken),
    /// A double CRLF: answer with one CRLF. RFC 5626 §4.4.1.
    KeepAlive,
    /// A whole message.
    Message(Box<Message>),
}

/// A message that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong with it.
    pub why: BadMessage,
    /// A ready response, if it is a request and says where responses go.
    pub answer: Option<Vec<u8>>,
}

/// Cuts one connection's bytes into messages.
#[derive(Debug)]
pub struct Framer {
    limits: MessageLimits,
    buffer: Vec<u8>,
    /// How far the search for the end of the head has come.
    searched: usize,
    /// The head that waits for its body: where it ends, and how many bytes the body has.
    head: Option<(Head, usize, usize)>,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self {
            head_bytes_max: 32 * 1024,
            headers_max: 256,
            body_bytes_max: 256 * 1024,
        }
    }
}

impl Framer {
    /// With nothing buffered.
    pub fn new(limits: MessageLimits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            searched: 0,
            head: None,
        }
    }

    /// Takes bytes in. Its user reads no more than it can poll at once, so what is buffered is
    /// one message of the largest size and one read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, `Ok(None)` until there is one. After an error the stream cannot be
    /// followed any further; it must be closed when the answer has been sent.
    pub fn poll(&mut self) -> Result<Option<Framed>, Broken> {
        if self.head.is_none() {
            if let Some(blank) = self.blank_lines() {
                return Ok(Some(blank));
            }
            if !self.find_head()? {
                return Ok(None);
            }
        }
        let Some((head, end, length)) = self.head.take() else {
            return Ok(None);
        };
        if self.buffer.len() - end < length {
            self.head = Some((head, end, length));
            return Ok(None);
        }
        let body = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        self.searched = 0;
        Ok(Some(framed(head, body)))
    }

    /// Takes empty lines from between messages; two in a row are a keep-alive.
    fn blank_lines(&mut self) -> Option<Framed> {
        loop {
            match self.buffer.as_slice() {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.buffer.drain(..4);
                    return Some(Framed::KeepAlive);
                }
                // The second half of a keep-alive may be under way.
                [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return None,
                [b'\r', b'\n', ..] => drop(self.buffer.drain(..2)),
                [b'\r' | b'\n', ..] => drop(self.buffer.drain(..1)),
                _ => return None,
            }
        }
    }

    fn find_head(&mut self) -> Result<bool, Broken> {
        if matches!(self.buffer.first(), None | Some(b'\r')) {
            return Ok(false);
        }
        let Some(end) = scan::head_end(&self.buffer, self.searched) else {
            self.searched = self.buffer.len();
            return match self.buffer.len() > self.limits.head_bytes_max {
                true => Err(Broken {
                    why: BadMessage::TooLarge,
                    answer: None,
                }),
                false => Ok(false),
            };
        };
        let head = scan::head(&self.buffer[..end], self.limits.headers_max);
        if end > self.limits.head_bytes_max {
            return Err(broken(head.message.as_ref(), BadMessage::TooLarge));
        }
        let length = match &head.message {
            Some(message) => scan::content_length(message.headers()),
            None => Err(BadMessage::StartLine),
        };
        match length {
            Ok(Some(length)) if length <= self.limits.body_bytes_max => {
                self.head = Some((head, end, length));
                Ok(true)
            }
            Ok(Some(_)) => Err(broken(head.message.as_ref(), BadMessage::TooLarge)),
            // On a stream nothing else says where the next message begins. RFC 3261 §18.3.
            Ok(None) => Err(broken(head.message.as_ref(), BadMessage::ContentLength)),
            Err(why) => Err(broken(head.message.as_ref(), why)),
        }
    }
}

/// Reads one datagram. A lone CRLF (or nothing) is `None`, a double one a keep-alive.
pub fn datagram(bytes: &[u8], limits: &MessageLimits) -> Option<Framed> {
    let blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let leading = bytes.iter().take_while(blank).count();
    let bytes = &bytes[leading..];
    if bytes.is_empty() {
        return (leading >= 4).then_some(Framed::KeepAlive);
    }
    let end = scan::head_end(bytes, 0).unwrap_or(bytes.len());
    let mut head = scan::head(&bytes[..end], limits.headers_max);
    let rest = &bytes[end..];
    let claimed = head
        .message
        .as_ref()
        .map_or(Ok(None), |message| scan::content_length(message.headers()));
    let length = match claimed {
        Ok(Some(length)) if length <= rest.len() => length,
        Ok(None) => rest.len(),
        Ok(Some(_)) | Err(_) => {
            head.wrong = head.wrong.or(Some(BadMessage::ContentLength));
            0
        }
    };
    if end > limits.head_bytes_max || length > limits.body_bytes_max {
        head.wrong = Some(BadMessage::TooLarge);
    }
    Some(framed(head, rest[..length].to_vec()))
}

fn framed(head: Head, body: Vec<u8>) -> Framed {
    match head {
        Head {
            message: Some(mut message),
            wrong: None,
        } => {
            match &mut message {
                Message::Request(request) => request.body = body,
                Message::Response(response) => response.body = body,
            }
            Framed::Message(Box::new(message))
        }
        Head { message, wrong } => {
            let why = wrong.unwrap_or(BadMessage::StartLine);
            Framed::Bad(broken(message.as_ref(), why))
        }
    }
}

/// The refusal of a request; responses and ACKs are never answered. RFC 3261 §8.2.6.
fn broken(message: Option<&Message>, why: BadMessage) -> Broken {
    let answer = match message {
        Some(Message::Request(request))
            if request.method != Method::Ack && request.headers.top_via().is_some() =>
        {
            let status = match why {
                BadMessage::TooLarge => 513,
                BadMessage::Version => 505,
                _ => 400,
            };
            let mut response = Response::to(request, status);
            response
                .headers
                .push("Warning", format!("399 antiphon \"{why}\""));
            Some(response.encode())
        }
        _ => None,
    };
    Broken { why, answer }
}

/// Whatever comes in: nothing is read past its end, cutting the bytes differently changes nothing,
/// and what was read is read again the same from what we write.
pub fn fuzz(data: &[u8]) {
    let limits = MessageLimits::default();
    if let Some(Framed::Message(message)) = datagram(data, &limits) {
        let again = datagram(&message.encode(), &limits);
        let Some(Framed::Message(again)) = again else {
            panic!("a message we wrote cannot be read: {again:?}")
        };
        assert_eq!(message.encode(), again.encode());
    }
    let whole = frames(std::iter::once(data));
    let cut = frames(data.chunks(7));
    assert_eq!(whole, cut);
}

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Framed>, Option<BadMessage>) {
    let mut framer = Framer::new(MessageLimits::default());
    let mut all = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.poll() {
                Ok(Some(framed)) => all.push(framed),
                Ok(None) => break,
                Err(broken) => return (all, Some(broken.why)),
            }
        }
    }
    (all, None)
}

#[cfg(test)]
mod tests;
