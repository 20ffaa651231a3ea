//! The HTTP upgrade, byte for byte as it was captured from Twilio: seven headers, no `Origin`, no
//! extension, no subprotocol.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::Signature;
use crate::caller::transport::Transport;

/// The longest answer to an upgrade that is read, head and body.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// RFC 6455 section 1.3.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why no stream came about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// An answer that is not one of WebSocket's.
    #[error("the upgrade was answered badly: {0}")]
    Handshake(String),
    /// The network or TLS.
    #[error("cannot connect: {0}")]
    Io(#[from] io::Error),
    /// Anything but 101: what Twilio reports as error 31920.
    #[error("the upgrade was refused with {}", .0.status)]
    Refused(Refusal),
    /// Not in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Not a URL that Twilio would dial.
    #[error("not a ws: or wss: URL")]
    Url,
}

/// An HTTP answer other than 101.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What came of the body with the head or before the end.
    pub body: String,
}

impl Refusal {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What to dial and how.
#[derive(Clone, Debug)]
pub struct Upgrade<'a> {
    /// The stream's URL as the TwiML has it: what is signed.
    pub url: &'a str,
    /// `scheme://host:port` that is dialled instead; the path stays. As with a proxy in front.
    pub via: Option<&'a str>,
    /// Twilio strips the query off the request line.
    pub keep_query: bool,
    /// Who signs.
    pub signature: &'a Signature,
    /// More headers, as a tunnel adds them.
    pub headers: &'a [(String, String)],
    /// What TLS trusts.
    pub tls: &'a Arc<ClientConfig>,
}

impl Upgrade<'_> {
    /// Connects and upgrades; gives the connection and the bytes that came behind the answer.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(&self) -> Result<(Transport, Vec<u8>), DialError> {
        let target = Url::parse(self.url).map_err(|_| DialError::Url)?;
        let via = self
            .via
            .map(Url::parse)
            .transpose()
            .map_err(|_| DialError::Url)?;
        let via = via.as_ref().unwrap_or(&target);
        let tls = match via.scheme() {
            "wss" | "https" => Some((self.tls, via.host_str().ok_or(DialError::Url)?)),
            "ws" | "http" => None,
            _ => return Err(DialError::Url),
        };
        let host = via.host_str().ok_or(DialError::Url)?;
        let port = via.port_or_known_default().ok_or(DialError::Url)?;
        let mut transport = Transport::connect(host, port, tls).await?;
        let key = STANDARD.encode(uuid::Uuid::new_v4().as_bytes());
        transport
            .write_all(self.request(&target, &key).as_bytes())
            .await?;
        transport.flush().await?;
        let rest = answer(&mut transport, &key).await?;
        Ok((transport, rest))
    }

    fn request(&self, target: &Url, key: &str) -> String {
        let mut path = target.path().to_owned();
        if let Some(query) = target.query().filter(|_| self.keep_query) {
            path.push('?');
            path.push_str(query);
        }
        let host = target.host_str().unwrap_or_default();
        let host = target
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: Twilio.TmeWs/1.0\r\n\
             connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: {key}\r\n"
        );
        for (name, value) in self.signature.headers(self.url).iter().chain(self.headers) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request
    }
}

/// Reads the answer and judges it; gives what came behind it.
async fn answer(transport: &mut Transport, key: &str) -> Result<Vec<u8>, DialError> {
    let mut bytes = Vec::with_capacity(1024);
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        read_some(transport, &mut bytes).await?;
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let rest = bytes.split_off(head);
    let (status, headers) = parse_head(&text)?;
    let mut refusal = Refusal {
        status,
        headers,
        body: String::new(),
    };
    if status == 101 {
        return accepted(&refusal, key).map(|()| rest);
    }
    let mut body = rest;
    let length = refusal
        .header("content-length")
        .and_then(|value| value.parse().ok());
    while length.is_none_or(|length: usize| body.len() < length) {
        if read_some(transport, &mut body).await.is_err() {
            break;
        }
    }
    refusal.body = String::from_utf8_lossy(&body).into_owned();
    Err(DialError::Refused(refusal))
}

async fn read_some(transport: &mut Transport, bytes: &mut Vec<u8>) -> Result<(), DialError> {
    if bytes.len() >= ANSWER_BYTES_MAX {
        return Err(DialError::Handshake(format!(
            "more than {ANSWER_BYTES_MAX} bytes"
        )));
    }
    match transport.read_buf(bytes).await? {
        0 => Err(DialError::Io(io::ErrorKind::UnexpectedEof.into())),
        _ => Ok(()),
    }
}

fn parse_head(text: &str) -> Result<(u16, Vec<(String, String)>), DialError> {
    let mut lines = text.trim_end().split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|line| line.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| DialError::Handshake("no HTTP/1.1 status line".to_owned()))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok((status, headers))
}

/// A client fails the connection over whatever it did not offer (RFC 6455 section 4.1).
fn accepted(answer: &Refusal, key: &str) -> Result<(), DialError> {
    let bad = |what: &str| Err(DialError::Handshake(what.to_owned()));
    for name in ["sec-websocket-protocol", "sec-websocket-extensions"] {
        if answer.header(name).is_some() {
            return bad(&format!("{name} was not offered"));
        }
    }
    let is = |name, expected: &str| {
        answer
            .header(name)
            .is_some_and(|value| value.eq_ignore_ascii_case(expected))
    };
    if !is("upgrade", "websocket") || !is("connection", "upgrade") {
        return bad("101 without an upgrade to websocket");
    }
    if answer.header("sec-websocket-accept") != Some(accept_of(key).as_str()) {
        return bad("wrong sec-websocket-accept");
    }
    Ok(())
}

fn accept_of(key: &str) -> String {
    let digest = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{ACCEPT_SUFFIX}").as_bytes(),
    );
    STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, keep_query: bool) -> String {
        let signature = Signature::AuthToken("12345678901234567890123456789012".to_owned());
        let tls = crate::caller::tls::client_config(None).unwrap();
        let upgrade = Upgrade {
            url,
            via: None,
            keep_query,
            signature: &signature,
            headers: &[],
            tls: &tls,
        };
        upgrade.request(&Url::parse(url).unwrap(), "dGhlIHNhbXBsZSBub25jZQ==")
    }

    #[test]
    fn the_upgrade_is_the_captured_one() {
        assert_eq!(
            request("wss://gw.example.com/twilio", false),
            "GET /twilio HTTP/1.1\r\n\
             host: gw.example.com\r\n\
             user-agent: Twilio.TmeWs/1.0\r\n\
             connection: Upgrade\r\n\
             upgrade: websocket\r\n\
             sec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             x-twilio-signature: ggMmViUp0g9CYyRDmhN00z0Pc2E=\r\n\r\n"
        );
    }

    #[test]
    fn a_query_is_stripped_as_twilio_strips_it() {
        let url = "wss://gw.example.com:8443/twilio-media?token=abc";
        let stripped = "GET /twilio-media HTTP/1.1\r\nhost: gw.example.com:8443\r\n";
        assert!(request(url, false).starts_with(stripped));
        assert!(request(url, true).starts_with("GET /twilio-media?token=abc HTTP/1.1\r\n"));
    }

    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        assert_eq!(
            accept_of("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_subprotocol_that_was_not_offered_fails_the_upgrade() {
        let (status, mut headers) = parse_head(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .unwrap();
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let answer = Refusal {
            status,
            headers: headers.clone(),
            body: String::new(),
        };
        accepted(&answer, key).unwrap();
        headers.push(("sec-websocket-protocol".to_owned(), "audio".to_owned()));
        let answer = Refusal {
            status,
            headers,
            body: String::new(),
        };
        assert!(accepted(&answer, key).is_err());
    }
}
