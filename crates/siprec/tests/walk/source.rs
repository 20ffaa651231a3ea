//! A recording client of its own making: one call, its transactions, and not always as it should
//! be.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use siprec::message::{Message, Method, Request, Response};

use crate::chance::Chance;

const T1: Duration = Duration::from_millis(500);

/// A request that has no final answer yet.
struct Waiting {
    bytes: Vec<u8>,
    interval: Duration,
    again: Instant,
    until: Instant,
}

/// One call.
pub(crate) struct Source {
    call_id: String,
    to_tag: Option<String>,
    cseq: u32,
    version: u32,
    branches: u32,
    /// By branch.
    waiting: BTreeMap<String, Waiting>,
    /// Branch of the INVITE that has no final answer.
    inviting: Option<(String, u32, bool)>,
    /// Our answers by branch and method, so that repetitions get the same.
    answers: BTreeMap<(String, String), Vec<u8>>,
    /// It never acknowledges.
    pub(crate) is_deaf: bool,
    pub(crate) is_over: bool,
}

/// What it wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Bye,
    Cancel,
    G729,
    Hold,
    Invite,
    Metadata,
    Move,
    NoTag,
    Offerless,
    Options,
    Overlap,
    Remove,
    Third,
    Timer,
    Update,
}

impl Source {
    pub(crate) fn new(name: u64) -> Self {
        Self {
            call_id: format!("walk-{name}"),
            to_tag: None,
            cseq: 0,
            version: 0,
            branches: 0,
            waiting: BTreeMap::new(),
            inviting: None,
            answers: BTreeMap::new(),
            is_deaf: false,
            is_over: false,
        }
    }

    pub(crate) fn owns(&self, message: &Message) -> bool {
        message.headers().call_id() == Some(self.call_id.as_str())
    }

    /// What it sends for a wish, if that makes sense.
    pub(crate) fn say(&mut self, now: Instant, wish: Wish) -> Option<Vec<u8>> {
        let may_invite = self.inviting.is_none() || wish == Wish::Overlap;
        let is_settled = self.to_tag.is_some();
        let bytes = match wish {
            Wish::Bye => {
                is_settled.then_some(())?;
                self.is_over = true;
                self.request(now, "BYE", "", "")
            }
            Wish::Cancel => {
                let (branch, cseq, _) = self.inviting.clone().filter(|_| !is_settled)?;
                return Some(self.cancel(now, &branch, cseq));
            }
            Wish::NoTag => {
                self.cseq += 20;
                let tag = self.to_tag.replace("nobody".to_owned());
                let bytes = self.request(now, "BYE", "", "");
                self.to_tag = tag;
                bytes
            }
            Wish::Metadata => {
                is_settled.then_some(())?;
                let xml = "<recording xmlns='urn:ietf:params:xml:ns:recording:1'>\
                           <participant participant_id='p'/></recording>";
                self.request(now, "UPDATE", "application/rs-metadata", xml)
            }
            Wish::Options => self.request(now, "OPTIONS", "", ""),
            Wish::Update => {
                is_settled.then_some(())?;
                let body = self.sdp(&["sendonly", "sendonly"], 41_000);
                self.request(now, "UPDATE", "application/sdp", &body)
            }
            _ => {
                may_invite.then_some(())?;
                let body = self.offer(wish);
                let kind = if body.is_empty() {
                    ""
                } else {
                    "application/sdp"
                };
                self.request(now, "INVITE", kind, &body)
            }
        };
        Some(bytes)
    }

    fn offer(&mut self, wish: Wish) -> String {
        match wish {
            Wish::Offerless => String::new(),
            Wish::Hold => self.sdp(&["inactive", "inactive"], 40_000),
            Wish::Move => self.sdp(&["sendonly", "sendonly"], 42_000),
            Wish::Third => self.sdp(&["sendonly", "sendonly", "sendonly"], 40_000),
            Wish::Remove => self.sdp(&["sendonly", "removed"], 40_000),
            Wish::G729 => self.sdp(&["g729"], 40_000),
            _ => self.sdp(&["sendonly", "sendonly"], 40_000),
        }
    }

    fn sdp(&mut self, lines: &[&str], port: u16) -> String {
        self.version += 1;
        let mut text = format!(
            "v=0\r\no=s 1 {} IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n",
            self.version
        );
        for (index, line) in lines.iter().enumerate() {
            let port = port + 2 * u16::try_from(index).unwrap();
            text += &match *line {
                "removed" => "m=audio 0 RTP/AVP 0\r\n".to_owned(),
                "g729" => format!("m=audio {port} RTP/AVP 18\r\na=sendonly\r\n"),
                direction => format!("m=audio {port} RTP/AVP 0\r\na={direction}\r\n"),
            };
        }
        text
    }

    fn request(&mut self, now: Instant, method: &str, kind: &str, body: &str) -> Vec<u8> {
        self.branches += 1;
        self.cseq += 1;
        let branch = format!("z9hG4bK-{}-{}", self.call_id, self.branches);
        let bytes = self.head(method, self.cseq, &branch, (kind, body));
        if method == "INVITE" {
            self.inviting = Some((branch.clone(), self.cseq, body.is_empty()));
        }
        self.wait(now, branch, &bytes);
        bytes
    }

    fn cancel(&mut self, now: Instant, branch: &str, cseq: u32) -> Vec<u8> {
        let bytes = self.head("CANCEL", cseq, branch, ("", ""));
        self.wait(now, format!("cancel {branch}"), &bytes);
        bytes
    }

    fn wait(&mut self, now: Instant, branch: String, bytes: &[u8]) {
        let waiting = Waiting {
            bytes: bytes.to_vec(),
            interval: T1,
            again: now + T1,
            // The last repetition, at 63 × T1, could be under way for so long that it finds its
            // transaction forgotten.
            until: now + 62 * T1,
        };
        self.waiting.insert(branch, waiting);
    }

    fn head(&self, method: &str, cseq: u32, branch: &str, content: (&str, &str)) -> Vec<u8> {
        let (kind, body) = content;
        let tag = self
            .to_tag
            .as_ref()
            .map(|tag| format!(";tag={tag}"))
            .unwrap_or_default();
        let kind = if kind.is_empty() {
            String::new()
        } else {
            format!("Content-Type: {kind}\r\n")
        };
        let timer = if self.call_id.ends_with('7') {
            "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n"
        } else if self.call_id.ends_with('3') {
            "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n"
        } else {
            ""
        };
        format!(
            "{method} sip:srs@192.0.2.10 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.9:5060;branch={branch};rport\r\n\
             From: <sip:s@198.51.100.9>;tag=s\r\nTo: <sip:srs@192.0.2.10>{tag}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:s@198.51.100.9:5060>;+sip.src\r\nRequire: siprec\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n{timer}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            self.call_id,
            body.len()
        )
        .into_bytes()
    }

    /// Takes in a message; what it sends for it.
    pub(crate) fn hear(&mut self, chance: &mut Chance, message: &Message) -> Option<Vec<u8>> {
        match message {
            Message::Request(request) => self.asked(chance, request),
            Message::Response(response) => self.answered(chance, response),
        }
    }

    fn answered(&mut self, chance: &mut Chance, response: &Response) -> Option<Vec<u8>> {
        let (cseq, method) = response.headers.cseq()?;
        let branch = response.headers.top_via()?.branch()?.to_owned();
        let waits_for = match method {
            Method::Cancel => format!("cancel {branch}"),
            _ => branch.clone(),
        };
        if response.status < 200 {
            return None;
        }
        self.waiting.remove(&waits_for);
        if method != Method::Invite {
            return None;
        }
        let tag = response.headers.to()?.tag().map(str::to_owned);
        let invite = self.inviting.take_if(|(known, _, _)| *known == branch);
        if response.status >= 300 {
            let before = self.to_tag.clone();
            self.to_tag = tag;
            let ack = self.head("ACK", cseq, &branch, ("", ""));
            self.to_tag = before;
            return Some(ack);
        }
        self.to_tag = tag;
        if self.is_deaf {
            return None;
        }
        let was_offerless = invite.is_some_and(|(_, _, offerless)| offerless);
        let has_answer = was_offerless && chance.percent(80);
        let body = if has_answer {
            self.sdp(&["sendonly"], 40_000)
        } else {
            String::new()
        };
        let kind = if has_answer { "application/sdp" } else { "" };
        self.branches += 1;
        let fresh = format!("z9hG4bK-{}-{}", self.call_id, self.branches);
        let key = (format!("ack {cseq}"), String::new());
        let fresh_ack = self.head("ACK", cseq, &fresh, (kind, &body));
        Some(self.answers.entry(key).or_insert(fresh_ack).clone())
    }

    fn asked(&mut self, chance: &mut Chance, request: &Request) -> Option<Vec<u8>> {
        if request.method == Method::Ack || self.is_deaf {
            return None;
        }
        let branch = request.headers.top_via()?.branch()?.to_owned();
        let key = (branch, request.method.as_str().to_owned());
        if let Some(known) = self.answers.get(&key) {
            return Some(known.clone());
        }
        let status = match request.method {
            Method::Invite if self.inviting.is_some() => 491,
            Method::Invite => *chance.one(&[200, 200, 200, 200, 491, 488, 481]),
            Method::Update => *chance.one(&[200, 200, 200, 405, 481]),
            _ => 200,
        };
        let mut response = Response::to(request, status);
        let headers = &mut response.headers;
        headers.push("Contact", "<sip:s@198.51.100.9:5060>;+sip.src");
        if status == 200 && request.method == Method::Invite {
            headers.push("Content-Type", "application/sdp");
            response.body = self.sdp(&["sendonly", "sendonly"], 40_000).into_bytes();
        }
        if status == 200
            && let Some(timer) = request.headers.get("Session-Expires")
        {
            response.headers.push("Session-Expires", timer);
        }
        if request.method == Method::Bye {
            self.is_over = true;
        }
        let bytes = response.encode();
        self.answers.insert(key, bytes.clone());
        Some(bytes)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.again).min()
    }

    /// Requests that are due again.
    pub(crate) fn repeat(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.waiting.retain(|_, waiting| waiting.until > now);
        let due = self
            .waiting
            .values_mut()
            .filter(|waiting| waiting.again <= now);
        due.map(|waiting| {
            waiting.interval *= 2;
            waiting.again = now + waiting.interval;
            waiting.bytes.clone()
        })
        .collect()
    }
}
