//! A recording client: what it says if a script does not say otherwise.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use siprec::message::{Headers, Message, Request};
use siprec::transaction::Transport;

/// One dialog as the client sees it.
#[derive(Clone)]
struct Dialog {
    call_id: String,
    to_tag: Option<String>,
    cseq: u32,
    /// Branch, CSeq and To tag of the latest INVITE, for its ACK and CANCEL.
    invite: (String, u32, Option<String>),
    /// The To tag of its refusal.
    refused: Option<String>,
}

pub(crate) struct Client {
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
    pub(crate) certificate: Vec<String>,
    pub(crate) last: Vec<u8>,
    /// The latest request of the server, and of its INVITEs.
    pub(crate) asked: Option<Request>,
    dialogs: BTreeMap<String, Dialog>,
    current: String,
    branches: u32,
}

/// Changes that a script makes to a message.
pub(crate) type Changes = Vec<String>;

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            transport: Transport::Udp,
            peer: "198.51.100.20:5060".parse().unwrap(),
            certificate: Vec::new(),
            last: Vec::new(),
            asked: None,
            dialogs: BTreeMap::new(),
            current: "a".to_owned(),
            branches: 0,
        }
    }

    pub(crate) fn turn_to(&mut self, dialog: &str) {
        dialog.clone_into(&mut self.current);
    }

    fn dialog(&mut self) -> &mut Dialog {
        let name = self.current.clone();
        self.dialogs.entry(name).or_insert_with_key(|name| Dialog {
            call_id: format!("call-{name}@198.51.100.20"),
            to_tag: None,
            cseq: 0,
            invite: (String::new(), 0, None),
            refused: None,
        })
    }

    /// The bytes of a request.
    pub(crate) fn request(
        &mut self,
        method: &str,
        uri: Option<&str>,
        changes: &Changes,
    ) -> Vec<u8> {
        self.branches += 1;
        let fresh = format!("z9hG4bK-{}", self.branches);
        let contact = format!("<sip:src@{}>;+sip.src", self.peer);
        let transport = self.transport.name();
        let peer = self.peer;
        let dialog = self.dialog();
        let is_of_invite = matches!(method, "ACK" | "CANCEL");
        if !is_of_invite {
            dialog.cseq += 1;
        }
        let mut tag = dialog.to_tag.clone();
        let (branch, cseq) = match method {
            "ACK" if dialog.refused.is_some() => (dialog.invite.0.clone(), dialog.invite.1),
            "ACK" => (fresh, dialog.invite.1),
            "CANCEL" => (dialog.invite.0.clone(), dialog.invite.1),
            _ => (fresh, dialog.cseq),
        };
        if method == "CANCEL" {
            tag.clone_from(&dialog.invite.2);
        }
        if method == "ACK" {
            tag = dialog.refused.take().or(tag);
        }
        if method == "INVITE" {
            dialog.refused = None;
            dialog.invite = (branch.clone(), cseq, tag.clone());
        }
        let to = tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let mut headers = Headers::default();
        headers.push(
            "Via",
            format!("SIP/2.0/{transport} {peer};branch={branch};rport"),
        );
        headers.push("Max-Forwards", 70);
        headers.push(
            "From",
            format!("<sip:src@198.51.100.20>;tag=src-{}", dialog.call_id),
        );
        headers.push("To", format!("<sip:srs@192.0.2.10>{to}"));
        headers.push("Call-ID", &dialog.call_id);
        headers.push("CSeq", format!("{cseq} {method}"));
        if matches!(method, "INVITE" | "UPDATE" | "OPTIONS") {
            headers.push("Contact", contact);
        }
        if method == "INVITE" {
            headers.push("Require", "siprec");
        }
        let start = format!("{method} {} SIP/2.0", uri.unwrap_or("sip:srs@192.0.2.10"));
        self.last = written(&start, headers, changes);
        self.last.clone()
    }

    /// The bytes of a response to the server's latest request.
    pub(crate) fn response(&mut self, status: &str, changes: &Changes) -> Result<Vec<u8>, String> {
        let asked = self.asked.as_ref().ok_or("the server has asked nothing")?;
        let mut headers = Headers::default();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in asked.headers.all(name) {
                headers.push(name, value);
            }
        }
        headers.push("Contact", format!("<sip:src@{}>;+sip.src", self.peer));
        self.last = written(&format!("SIP/2.0 {status} Said"), headers, changes);
        Ok(self.last.clone())
    }

    /// Takes in what the server sent: tags, and what is to be answered.
    pub(crate) fn hear(&mut self, message: &Message) {
        match message {
            Message::Request(request) => {
                if request.method.as_str() != "ACK" {
                    self.asked = Some(request.clone());
                }
            }
            Message::Response(response) => {
                let tag = response
                    .headers
                    .to()
                    .and_then(|to| to.tag().map(str::to_owned));
                let call_id = response.headers.call_id().map(str::to_owned);
                let is_of_invite = response
                    .headers
                    .cseq()
                    .is_some_and(|(_, method)| method.as_str() == "INVITE");
                let dialog = self
                    .dialogs
                    .values_mut()
                    .find(|dialog| Some(&dialog.call_id) == call_id.as_ref());
                let Some(dialog) = dialog.filter(|_| is_of_invite) else {
                    return;
                };
                match response.status {
                    200..300 => dialog.to_tag = tag,
                    300.. => dialog.refused = tag,
                    _ => {}
                }
            }
        }
    }
}

fn written(start: &str, mut headers: Headers, changes: &Changes) -> Vec<u8> {
    let mut body = String::new();
    for change in changes {
        if let Some(line) = change.strip_prefix('|') {
            body += line.strip_prefix(' ').unwrap_or(line);
            body += "\r\n";
            if headers.get("Content-Type").is_none() {
                headers.push("Content-Type", "application/sdp");
            }
        } else if let Some(name) = change.strip_prefix('-') {
            let mut kept = Headers::default();
            for (known, value) in headers.iter().filter(|(known, _)| *known != name) {
                kept.push(known, value);
            }
            headers = kept;
        } else if change.starts_with("sdp ") || change.starts_with("meta ") {
            let (kind, text) = self::body(change);
            headers.set("Content-Type", kind);
            body = text;
        } else if let Some((name, value)) = change.split_once(": ") {
            match name.strip_prefix('+') {
                Some(name) => headers.push(name, value),
                None => headers.set(name, value),
            }
        } else {
            panic!("a change that is none: {change}");
        }
    }
    let mut text = format!("{start}\r\n");
    for (name, value) in headers.iter() {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// Bodies by name. `sdp two`: two lines, `sendonly`, labelled 1 and 2, at ports 40000 and 40002,
/// PCMU and telephone events; then words change it: `inactive`, `held` (c=0.0.0.0), `moved` (port
/// 41000 and 41002), `pcma`, `g729`, `key` or `rekey` (SAVP), `version=3`, `one` (a single line),
/// `three`, `second-removed` (port 0), `again` (same as before, version 1). `meta two` is
/// multipart: that SDP and metadata of two parties; `meta only`: metadata alone; `meta partial`:
/// an update that speaks of a stream nobody knows; `meta broken`.
pub(crate) fn body(words: &str) -> (String, String) {
    let mut words = words.split(' ');
    let kind = words.next().unwrap_or_default();
    let words = words.collect::<Vec<_>>();
    let metadata = |text: &str| ("application/rs-metadata+xml".to_owned(), text.to_owned());
    match (kind, words.first().copied().unwrap_or_default()) {
        ("sdp", _) => ("application/sdp".to_owned(), sdp(&words)),
        ("meta", "only") => metadata(METADATA),
        ("meta", "partial") => metadata(PARTIAL),
        ("meta", "broken") => metadata("<recording"),
        _ => {
            let sdp = sdp(&words);
            let text = format!(
                "--edge\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--edge\r\n\
                 Content-Type: application/rs-metadata+xml\r\n\
                 Content-Disposition: recording-session\r\n\r\n{METADATA}\r\n--edge--\r\n"
            );
            ("multipart/mixed;boundary=edge".to_owned(), text)
        }
    }
}

fn sdp(words: &[&str]) -> String {
    let has = |word: &str| words.contains(&word);
    let version = words
        .iter()
        .find_map(|word| word.strip_prefix("version="))
        .unwrap_or("1");
    let address = if has("held") {
        "0.0.0.0"
    } else {
        "198.51.100.21"
    };
    let mut text = format!(
        "v=0\r\no=src 77 {version} IN IP4 198.51.100.21\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
    );
    let count = if has("one") {
        1
    } else {
        2 + usize::from(has("three"))
    };
    let first = if has("moved") { 41_000 } else { 40_000 };
    for index in 0..count {
        let is_removed = index == 1 && has("second-removed");
        let port = if is_removed { 0 } else { first + 2 * index };
        let (number, name) = match () {
            () if has("pcma") => (8, "PCMA"),
            () if has("g729") => (18, "G729"),
            () => (0, "PCMU"),
        };
        let is_secure = has("key") || has("rekey");
        let profile = if is_secure { "RTP/SAVP" } else { "RTP/AVP" };
        let direction = if has("inactive") {
            "inactive"
        } else {
            "sendonly"
        };
        text += &format!(
            "m=audio {port} {profile} {number} 101\r\na=rtpmap:{number} {name}/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=label:{}\r\na={direction}\r\n",
            index + 1
        );
        if is_secure {
            let key = if has("rekey") { "QUJD" } else { "YWJj" }.repeat(10);
            text += &format!("a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
        }
    }
    text
}

const METADATA: &str = "<?xml version='1.0' encoding='UTF-8'?>\r\n\
<recording xmlns='urn:ietf:params:xml:ns:recording:1'><datamode>complete</datamode>\
<session session_id='0001183F5093914D'/>\
<participant participant_id='p1'><nameID aor='sip:5550100@192.0.2.77'/></participant>\
<participant participant_id='p2'><nameID aor='sip:5550101@192.0.2.78'/></participant>\
<stream stream_id='s1' session_id='0001183F5093914D'><label>1</label></stream>\
<stream stream_id='s2' session_id='0001183F5093914D'><label>2</label></stream>\
<participantstreamassoc participant_id='p1'><send>s1</send><recv>s2</recv>\
</participantstreamassoc>\
<participantstreamassoc participant_id='p2'><send>s2</send><recv>s1</recv>\
</participantstreamassoc></recording>";

const PARTIAL: &str = "<?xml version='1.0' encoding='UTF-8'?>\r\n\
<recording xmlns='urn:ietf:params:xml:ns:recording:1'><datamode>partial</datamode>\
<participantstreamassoc participant_id='p9'><send>s9</send></participantstreamassoc></recording>";
