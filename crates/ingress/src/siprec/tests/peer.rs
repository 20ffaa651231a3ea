//! A recording client as text: what it sends is written out, what it hears is searched.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// Its connection to the server.
pub(super) struct Peer {
    pub(super) transport: &'static str,
    wire: Wire,
    pub(super) local: SocketAddr,
}

enum Wire {
    Stream(Box<dyn Stream>, Vec<u8>),
    Udp(UdpSocket),
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One recorded session as the peer has it.
pub(super) struct Call {
    pub(super) id: String,
    /// Of the User-to-User header.
    pub(super) ucid: String,
    pub(super) lines: usize,
    pub(super) direction: &'static str,
    pub(super) tag: Option<String>,
    pub(super) sequence: u32,
}

impl Peer {
    pub(super) async fn udp(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server).await.unwrap();
        Self {
            transport: "UDP",
            local: socket.local_addr().unwrap(),
            wire: Wire::Udp(socket),
        }
    }

    pub(super) async fn tcp(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        let local = stream.local_addr().unwrap();
        Self::over("TCP", local, stream)
    }

    pub(super) fn over(
        transport: &'static str,
        local: SocketAddr,
        stream: impl Stream + 'static,
    ) -> Self {
        Self {
            transport,
            local,
            wire: Wire::Stream(Box::new(stream), Vec::new()),
        }
    }

    pub(super) async fn send(&mut self, text: &str) {
        match &mut self.wire {
            Wire::Stream(stream, _) => stream.write_all(text.as_bytes()).await.unwrap(),
            Wire::Udp(socket) => {
                assert_eq!(socket.send(text.as_bytes()).await.unwrap(), text.len())
            }
        }
    }

    /// The next message that is no provisional response.
    pub(super) async fn hear(&mut self) -> String {
        loop {
            let text = timeout(PATIENCE, self.message())
                .await
                .expect("the server is silent");
            if !text.starts_with("SIP/2.0 1") {
                return text;
            }
        }
    }

    /// Whether the server closes the connection without a word.
    pub(super) async fn is_closed(&mut self) -> bool {
        let Wire::Stream(stream, _) = &mut self.wire else {
            return false;
        };
        let read = timeout(PATIENCE, stream.read(&mut [0; 1])).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }

    async fn message(&mut self) -> String {
        match &mut self.wire {
            Wire::Udp(socket) => {
                let mut bytes = vec![0; 65_535];
                let length = socket.recv(&mut bytes).await.unwrap();
                bytes.truncate(length);
                String::from_utf8(bytes).unwrap()
            }
            Wire::Stream(stream, buffer) => loop {
                if let Some(text) = cut(buffer) {
                    return text;
                }
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).await.unwrap();
                assert_ne!(length, 0, "the server closed the connection");
                buffer.extend_from_slice(&bytes[..length]);
            },
        }
    }

    /// Opens a session: INVITE, 200, ACK. The ports of the answer.
    pub(super) async fn invite(&mut self, call: &mut Call) -> Vec<u16> {
        let invite = call.invite(self);
        self.send(&invite).await;
        let answer = self.hear().await;
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        call.answered(&answer);
        let ack = call.request(self, "ACK", "");
        self.send(&ack).await;
        ports(&answer)
    }

    /// Ends it: BYE, 200.
    pub(super) async fn bye(&mut self, call: &mut Call) {
        let bye = call.request(self, "BYE", "");
        self.send(&bye).await;
        let answer = self.hear().await;
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    }

    /// Answers a request of the server's with this status line and perhaps a header.
    pub(super) async fn refuse(&mut self, request: &str, status: &str, more: &str) {
        let mut answer = begun(request, status);
        if !more.is_empty() {
            answer += &format!("{more}\r\n");
        }
        self.send(&(answer + "Content-Length: 0\r\n\r\n")).await;
    }

    /// Answers a request of the server's with 200.
    pub(super) async fn accept(&mut self, request: &str, body: &str) {
        let mut answer = begun(request, "200 OK");
        answer += &format!(
            "Contact: <sip:src@{};transport={}>\r\n",
            self.local, self.transport
        );
        if !body.is_empty() {
            answer += "Content-Type: application/sdp\r\n";
        }
        answer += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.send(&answer).await;
    }
}

impl Call {
    pub(super) fn new(id: &str, ucid: &str, lines: usize) -> Self {
        Self {
            id: id.to_owned(),
            ucid: ucid.to_owned(),
            lines,
            direction: "sendonly",
            tag: None,
            sequence: 1,
        }
    }

    /// The dialog is there.
    pub(super) fn answered(&mut self, answer: &str) {
        self.tag = Some(parameter(&header(answer, "To"), "tag"));
    }

    pub(super) fn invite(&self, peer: &Peer) -> String {
        self.request(peer, "INVITE", &self.sdp("127.0.0.1"))
    }

    pub(super) fn sdp(&self, host: &str) -> String {
        let mut sdp =
            format!("v=0\r\no=src 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n");
        for line in 0..self.lines {
            let (port, label) = (40_000 + 2 * line, line + 1);
            sdp +=
                &format!("m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n");
            sdp += &format!("a={}\r\na=label:{label}\r\n", self.direction);
        }
        sdp
    }

    pub(super) fn request(&self, peer: &Peer, method: &str, body: &str) -> String {
        let (transport, local, id, sequence) =
            (peer.transport, peer.local, &self.id, self.sequence);
        // An ACK of a 2xx is a transaction of its own, so every request has another branch.
        let branch = format!("z9hG4bK{id}{method}{sequence}");
        let number = sequence + u32::from(method == "BYE");
        let tag = self
            .tag
            .as_ref()
            .map(|tag| format!(";tag={tag}"))
            .unwrap_or_default();
        let mut text = format!(
            "{method} sip:srs@127.0.0.1 SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {local};branch={branch};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:src@127.0.0.1>;tag=peer{id}\r\n\
             To: <sip:srs@127.0.0.1>{tag}\r\n\
             Call-ID: {id}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:src@{local};transport={transport}>;+sip.src\r\n\
             Require: siprec\r\n\
             User-to-User: 00FA08{};encoding=hex\r\n",
            self.ucid
        );
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }
}

/// A response up to the headers that say to what it is one.
fn begun(request: &str, status: &str) -> String {
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        answer += &format!("{name}: {}\r\n", header(request, name));
    }
    answer
}

/// The value of a header that is written out.
pub(super) fn header(text: &str, name: &str) -> String {
    let mut lines = text.lines();
    let found = lines.find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    });
    found.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Ports of the media lines.
pub(super) fn ports(text: &str) -> Vec<u16> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("m=audio "));
    lines
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

fn parameter(value: &str, name: &str) -> String {
    let mut parameters = value.split(';').skip(1);
    let found = parameters.find_map(|parameter| {
        let (known, value) = parameter.split_once('=')?;
        (known == name).then(|| value.to_owned())
    });
    found.unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The first message of a stream, cut off.
fn cut(buffer: &mut Vec<u8>) -> Option<String> {
    let end = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let body: usize = header(&head, "Content-Length").parse().unwrap();
    if buffer.len() < end + body {
        return None;
    }
    let rest = buffer.split_off(end + body);
    let message = std::mem::replace(buffer, rest);
    Some(String::from_utf8(message).unwrap())
}
