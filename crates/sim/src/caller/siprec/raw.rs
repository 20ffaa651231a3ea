//! Messages of a test's own making: no transaction, no retransmission, no answer to anything.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::dialog::Dialog;
use super::message::Message;
use super::options::Options;
use super::wire::Wire;

/// A way to the recording server on which only the test speaks.
#[derive(Debug)]
pub struct RawDialog {
    wire: Wire,
    peer: String,
    /// The `Call-ID` of its requests.
    pub call_id: String,
    /// The tag of their `From`.
    pub tag: String,
    /// The number of the last request.
    pub cseq: u32,
}

impl RawDialog {
    /// Opens the way that these options name.
    ///
    /// # Errors
    /// What the network or the TLS handshake says.
    pub async fn open(options: &Options) -> io::Result<Self> {
        let Options {
            target, tls, seed, ..
        } = options;
        let wire = Wire::connect(target, tls, options.signalling_loss, *seed).await?;
        Ok(Self {
            wire,
            peer: target.address.clone(),
            call_id: format!("{}@raw.example.com", Uuid::new_v4().simple()),
            tag: Uuid::new_v4().simple().to_string(),
            cseq: 0,
        })
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.wire.local()
    }

    /// A request with all that RFC 3261 §8.1.1 demands, a new branch and the next number. With
    /// `answered` it is one of the dialog that this response has made.
    pub fn request(&mut self, method: &str, answered: Option<&Message>) -> Message {
        self.cseq += 1;
        let target = answered.and_then(|response| response.list("Contact").first().copied());
        let target = target.map_or_else(
            || format!("sip:srs@{}", self.peer),
            |contact| super::message::uri(contact).to_owned(),
        );
        let to = answered.and_then(|response| response.header("To"));
        let to = to.map_or_else(|| format!("<sip:srs@{}>", self.peer), str::to_owned);
        let (local, transport) = (self.wire.local(), self.wire.transport().as_str());
        let branch = Uuid::new_v4().simple();
        let mut request = Message::request(method, &target);
        request
            .add(
                "Via",
                &format!("SIP/2.0/{transport} {local};rport;branch=z9hG4bK{branch}"),
            )
            .add("Max-Forwards", "70")
            .add("From", &format!("<sip:src@{local}>;tag={}", self.tag))
            .add("To", &to)
            .add("Call-ID", &self.call_id)
            .add("CSeq", &format!("{} {method}", self.cseq))
            .add("Contact", &format!("<sip:src@{local}>;+sip.src"));
        request
    }

    /// An INVITE of an RFC-abiding client with that body.
    pub fn invite(&mut self, kind: &str, body: &[u8]) -> Message {
        let mut invite = self.request("INVITE", None);
        invite.add("Require", "siprec");
        if !body.is_empty() {
            invite.add("Content-Type", kind);
        }
        invite.body = body.to_vec();
        invite
    }

    /// The ACK of a response to this INVITE: with its branch when it was a refusal.
    pub fn ack(&mut self, invite: &Message, response: &Message) -> Message {
        let cseq = invite.cseq().0;
        let accepted = (200..300).contains(&response.status());
        let mut ack = self.request("ACK", Some(response).filter(|_| accepted));
        self.cseq -= 1;
        if !accepted {
            ack.set("Via", invite.header("Via").unwrap_or(""));
        }
        ack.set("To", response.header("To").unwrap_or(""));
        ack.set("CSeq", &format!("{cseq} ACK"));
        ack
    }

    /// The CANCEL of this INVITE.
    pub fn cancel(&self, invite: &Message) -> Message {
        Dialog::cancel(invite)
    }

    /// Sends a message as it is.
    ///
    /// # Errors
    /// What the network says.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        self.send_bytes(&message.to_bytes()).await
    }

    /// Sends any bytes: a datagram, or a piece of the stream.
    ///
    /// # Errors
    /// What the network says.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let to = self.wire.target();
        self.wire.send(bytes, to).await
    }

    /// The next message of the recording server; `None` when none comes in time or the connection
    /// is gone.
    pub async fn receive(&mut self, within: Duration) -> Option<Message> {
        let received = timeout(within, self.wire.receive()).await;
        Some(received.ok()?.ok()?.0)
    }

    /// The next response that is not provisional.
    pub async fn answer(&mut self, within: Duration) -> Option<Message> {
        loop {
            let message = self.receive(within).await?;
            if message.status() >= 200 {
                return Some(message);
            }
        }
    }
}
