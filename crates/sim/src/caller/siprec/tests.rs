use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::caller::tls;
use crate::network::Conditions;

mod likeness;
mod signalling;

const MS: Duration = Duration::from_millis(1);

/// A recording server of a few lines, which takes whatever it is offered.
struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

/// What came to it.
#[derive(Default)]
struct Seen {
    requests: Vec<Message>,
    /// RTP by the port it came to, as it came.
    packets: Vec<(u16, Vec<u8>)>,
    control: Vec<Vec<u8>>,
    /// What it sends at the next chance.
    asks: Vec<String>,
    /// Answers to what it sent.
    answers: Vec<Message>,
}

/// How it behaves.
#[derive(Clone, Copy)]
struct Manner {
    direction: &'static str,
    /// Refuses INVITEs with this.
    refuses: Option<u16>,
    /// Lets the first so many datagrams of each request fall.
    deaf: usize,
    /// Asks for reliable provisionals.
    reliable: bool,
}

const POLITE: Manner = Manner {
    direction: "recvonly",
    refuses: None,
    deaf: 0,
    reliable: false,
};

impl Fake {
    async fn start(manner: Manner) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        let mut ports = Vec::new();
        for _ in 0..4 {
            let (rtp, rtcp) = pair().await;
            ports.push(rtp.local_addr().unwrap().port());
            let heard = Arc::clone(&seen);
            tasks.spawn(async move {
                let port = rtp.local_addr().unwrap().port();
                loop {
                    let packet = receive(&rtp).await.0;
                    heard.lock().unwrap().packets.push((port, packet));
                }
            });
            let heard = Arc::clone(&seen);
            tasks.spawn(async move {
                loop {
                    let (packet, from) = receive(&rtcp).await;
                    let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
                    report.extend_from_slice(&packet[4..8]);
                    report.extend_from_slice(&[0; 20]);
                    rtcp.send_to(&report, from).await.unwrap();
                    heard.lock().unwrap().control.push(packet);
                }
            });
        }
        let server = Server {
            socket,
            ports,
            manner,
            seen: Arc::clone(&seen),
            heard: Vec::new(),
            peer: None,
        };
        tasks.spawn(server.run());
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    fn options(&self) -> Options {
        let target = format!("udp:{}", self.address).parse().unwrap();
        let mut options = Options::new(target, tls::client_config(None).unwrap());
        options.speed = 50.0;
        options.t1 = 20 * MS;
        options
    }

    async fn dial(&self, change: impl FnOnce(&mut Options)) -> SiprecCall {
        let mut options = self.options();
        change(&mut options);
        SiprecCall::dial(options).await.unwrap()
    }

    fn requests(&self, method: &str) -> Vec<Message> {
        let seen = self.seen.lock().unwrap();
        let requests = seen.requests.iter();
        requests
            .filter(|request| request.method() == method)
            .cloned()
            .collect()
    }

    /// RTP by port in the order of ports.
    async fn packets(&self, count: usize) -> Vec<(u16, Vec<u8>)> {
        self.until(|seen| seen.packets.len() >= count).await;
        self.seen.lock().unwrap().packets.clone()
    }

    async fn until(&self, so: impl Fn(&Seen) -> bool) {
        let wait = async {
            while !so(&self.seen.lock().unwrap()) {
                tokio::time::sleep(MS).await;
            }
        };
        timeout(5_000 * MS, wait).await.expect("it never came");
    }

    /// It sends a request of that method with that body in the call's dialog.
    fn ask(&self, method: &str, body: &str) {
        let ask = format!("{method}\n{body}");
        self.seen.lock().unwrap().asks.push(ask);
    }
}

struct Server {
    socket: UdpSocket,
    ports: Vec<u16>,
    manner: Manner,
    seen: Arc<Mutex<Seen>>,
    /// Branches and methods that were here, each time.
    heard: Vec<String>,
    /// The last INVITE and where it came from.
    peer: Option<(Message, SocketAddr)>,
}

impl Server {
    async fn run(mut self) {
        loop {
            let Ok((bytes, from)) = timeout(5 * MS, receive(&self.socket)).await else {
                self.ask().await;
                continue;
            };
            let message = Message::parse(&bytes).unwrap();
            if !message.is_request() {
                self.seen.lock().unwrap().answers.push(message);
                continue;
            }
            let key = format!("{} {}", message.branch(), message.method());
            let times = self.heard.iter().filter(|there| **there == key).count();
            self.heard.push(key);
            if times < self.manner.deaf && message.method() != "ACK" {
                continue;
            }
            if times == self.manner.deaf || message.method() == "ACK" {
                self.seen.lock().unwrap().requests.push(message.clone());
            }
            if message.method() == "INVITE" {
                self.peer = Some((message.clone(), from));
            }
            for response in self.answers(&message) {
                self.socket
                    .send_to(&response.to_bytes(), from)
                    .await
                    .unwrap();
            }
        }
    }

    fn answers(&self, request: &Message) -> Vec<Message> {
        let respond = |status, reason| {
            let mut response = Message::response(status, reason, request);
            if request.tag("To").is_none() {
                let to = request.header("To").unwrap().to_owned();
                response.set("To", &format!("{to};tag=fake"));
            }
            response
        };
        let mut ok = respond(200, "OK");
        match request.method() {
            "ACK" => return Vec::new(),
            "INVITE" => {
                let address = self.socket.local_addr().unwrap();
                if let Some(status) = self.manner.refuses {
                    let mut no = respond(status, "No");
                    no.add("Warning", "305 fake \"no common codec\"");
                    return vec![respond(100, "Trying"), no];
                }
                ok.add("Contact", &format!("<sip:fake@{address}>;+sip.srs"));
                ok.add("Content-Type", "application/sdp");
                ok.body = self.describe(request).into_bytes();
                if self.manner.reliable {
                    let mut ringing = respond(183, "Session Progress");
                    ringing.add("Require", "100rel").add("RSeq", "7");
                    ringing.add("Contact", &format!("<sip:fake@{address}>"));
                    return vec![ringing, ok];
                }
            }
            _ => {}
        }
        vec![ok]
    }

    fn describe(&self, request: &Message) -> String {
        let offer = request.sdp().map(|text| Sdp::parse(&text));
        let mut sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n\
                       t=0 0\r\n"
            .to_owned();
        let Some(offer) = offer else {
            let invites = self.heard.iter().filter(|key| key.ends_with("INVITE"));
            let port = self.ports[invites.count() - 1];
            return sdp + &format!("m=audio {port} RTP/AVP 0 101\r\na=recvonly\r\n");
        };
        for (line, port) in offer.lines.iter().zip(&self.ports) {
            let formats: Vec<String> = line.formats.iter().map(u8::to_string).collect();
            let port = if line.port == 0 { 0 } else { *port };
            sdp += &format!("m=audio {port} {} {}\r\n", line.profile, formats.join(" "));
            if let Some(label) = &line.label {
                sdp += &format!("a=label:{label}\r\n");
            }
            for (number, map) in &line.maps {
                sdp += &format!("a=rtpmap:{number} {map}\r\n");
            }
            if let Some(crypto) = line.crypto.first() {
                sdp += &format!("a=crypto:{}\r\n", Crypto::random(crypto.suite).line());
            }
            let direction = match line.direction {
                Direction::Inactive => "inactive",
                _ => self.manner.direction,
            };
            sdp += &format!("a={direction}\r\n");
        }
        sdp
    }

    async fn ask(&mut self) {
        let asks = std::mem::take(&mut self.seen.lock().unwrap().asks);
        let Some((invite, peer)) = self.peer.clone() else {
            return;
        };
        for (index, ask) in asks.iter().enumerate() {
            let (method, body) = ask.split_once('\n').unwrap();
            let contact = invite.list("Contact")[0];
            let mut request = Message::request(method, message::uri(contact));
            let branch = format!("fake{}{index}", self.heard.len());
            let local = self.socket.local_addr().unwrap();
            request
                .add(
                    "Via",
                    &format!("SIP/2.0/UDP {local};branch=z9hG4bK{branch}"),
                )
                .add(
                    "From",
                    &format!("{};tag=fake", invite.header("To").unwrap()),
                )
                .add("To", invite.header("From").unwrap())
                .add("Call-ID", invite.call_id())
                .add("CSeq", &format!("{} {method}", self.heard.len() + index))
                .add("Contact", &format!("<sip:fake@{local}>"));
            let body = body.replace("PORT", &self.ports[0].to_string());
            let body = body.replace("NEXT", &self.ports[1].to_string());
            let kind = if body.starts_with("v=0") {
                "application/sdp"
            } else {
                "application/rs-metadata+xml"
            };
            request.add("Content-Type", kind);
            request.body = body.into_bytes();
            self.socket
                .send_to(&request.to_bytes(), peer)
                .await
                .unwrap();
        }
    }
}

async fn pair() -> (UdpSocket, UdpSocket) {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = rtp.local_addr().unwrap().port();
        if let Ok(rtcp) = UdpSocket::bind(("127.0.0.1", port.wrapping_add(1))).await {
            return (rtp, rtcp);
        }
    }
}

async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 65_535];
    let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
    bytes.truncate(length);
    (bytes, from)
}

fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

fn timestamp(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[4..8].try_into().unwrap())
}

fn on(packets: &[(u16, Vec<u8>)], port: u16) -> Vec<&[u8]> {
    let packets = packets.iter().filter(|(there, _)| *there == port);
    packets.map(|(_, packet)| packet.as_slice()).collect()
}

#[tokio::test]
async fn what_is_said_arrives_packet_by_packet_on_its_line() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake
        .dial(|options| {
            options.first[0] = First {
                sequence: Some(65_534),
                timestamp: Some(u32::MAX - 159),
                ssrc: Some(42),
            };
        })
        .await;
    let voice: Vec<i16> = (0..800).map(|sample| sample * 8).collect();
    call.say(Side::Customer, &voice).await.unwrap();
    let answer = call.answer();
    let packets = fake.packets(10).await;
    let first = on(&packets, answer.lines[0].port);
    let numbers: Vec<u16> = first.iter().map(|packet| sequence(packet)).collect();
    assert_eq!(numbers, [65_534, 65_535, 0, 1, 2]);
    assert_eq!(timestamp(first[1]), 0);
    assert!(
        first
            .iter()
            .enumerate()
            .all(|(at, packet)| (packet[1] >= 0x80) == (at == 0))
    );
    let codes: Vec<u8> = first
        .iter()
        .flat_map(|packet| packet[12..].to_vec())
        .collect();
    assert_eq!(codes, call.sent(Side::Customer).tape);
    assert_eq!(Codec::Pcmu.decode(&codes).len(), 800);
    assert_eq!(call.sent(Side::Customer).sha256().len(), 64);
    let second = on(&packets, answer.lines[1].port);
    assert!(second.iter().all(|packet| packet[12..] == [0xff; 160]));
    assert_eq!(call.media_time(), 100 * MS);
    let over = call.hang_up().await.unwrap();
    assert!(over.is_over());
    assert_eq!(fake.requests("BYE").len(), 1);
}

#[tokio::test]
async fn the_other_codecs_and_packet_lengths_are_what_was_asked() {
    let fake = Fake::start(POLITE).await;
    for (codec, bytes) in [(Codec::L16, 480), (Codec::Pcma, 240)] {
        let before = fake.seen.lock().unwrap().packets.len();
        let mut call = fake
            .dial(|options| {
                options.codecs = vec![codec];
                options.packet = 30 * MS;
            })
            .await;
        call.say(Side::Agent, &[1_000; 240]).await.unwrap();
        let packets = fake.packets(before + 2).await;
        let packet = &packets[before].1;
        assert_eq!(
            (packet.len(), packet[1] & 0x7f),
            (12 + bytes, codec.number())
        );
        let heard = call.sent(Side::Agent).heard();
        assert!(
            heard.iter().all(|sample| (sample - 1_000).abs() <= 32),
            "{codec:?}"
        );
        call.hang_up().await.unwrap();
    }
}

#[tokio::test]
async fn protected_media_is_not_what_was_said_and_reports_are_sealed() {
    let fake = Fake::start(POLITE).await;
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm] {
        fake.seen.lock().unwrap().packets.clear();
        let mut call = fake.dial(|options| options.srtp = Some(suite)).await;
        assert_eq!(call.answer_faults(), Vec::<String>::new());
        call.say(Side::Customer, &[5_000; 160]).await.unwrap();
        let packets = fake.packets(2).await;
        let tag = if suite == Suite::AeadAes256Gcm {
            16
        } else {
            10
        };
        assert_eq!(packets[0].1.len(), 12 + 160 + tag);
        assert!(!packets[0].1[12..].starts_with(&call.sent(Side::Customer).tape[..16]));
        // The fake's reports are in the clear, which a client with keys must not believe.
        fake.until(|seen| seen.control.len() >= 2).await;
        call.silence(100 * MS).await.unwrap();
        let bad = call.reports(Side::Customer).bad;
        assert_eq!((bad > 0, call.reports(Side::Customer).blocks), (true, 0));
        call.hang_up().await.unwrap();
    }
}

#[tokio::test]
async fn a_network_loses_overtakes_and_doubles_and_the_tape_says_what() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake
        .dial(|options| {
            options.network = Conditions {
                loss: 0.1,
                reorder: 0.1,
                duplicate: 0.1,
                jitter_ms: 30,
                ..Conditions::PERFECT
            };
            options.seed = 3;
        })
        .await;
    call.set_sides(&[Side::Agent]);
    call.say(Side::Agent, &[3_000; 16_000]).await.unwrap();
    call.flush().await.unwrap();
    let sent = call.sent(Side::Agent).clone();
    let expected = sent.packets as usize - sent.lost.len() + sent.duplicates as usize;
    assert!(!sent.lost.is_empty() && sent.duplicates > 0);
    let packets = fake.packets(expected).await;
    assert_eq!(packets.len(), expected);
    let numbers: Vec<u16> = packets.iter().map(|(_, packet)| sequence(packet)).collect();
    let ahead = |pair: &[u16]| pair[1].wrapping_sub(pair[0]) as i16;
    assert!(
        numbers.windows(2).any(|pair| ahead(pair) < 0),
        "nothing was overtaken"
    );
    assert!(sent.lost.iter().all(|lost| lost.end - lost.start == 160));
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn a_key_is_three_times_up_and_its_side_silent_meanwhile() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake.dial(|_| {}).await;
    call.dtmf(Side::Customer, '7').await.unwrap();
    call.comfort_noise(Side::Agent, 60).await.unwrap();
    let packets = fake.packets(7 + 5 + 1).await;
    let keys = on(&packets, call.answer().lines[0].port);
    assert_eq!(keys.len(), 7);
    assert!(keys.iter().all(|key| key[1] & 0x7f == 101 && key[12] == 7));
    assert!(keys.iter().all(|key| timestamp(key) == timestamp(keys[0])));
    let ups: Vec<bool> = keys.iter().map(|key| key[13] & 0x80 != 0).collect();
    assert_eq!(ups, [false, false, false, false, true, true, true]);
    assert_eq!(keys[6][14..], 800_u16.to_be_bytes());
    assert_eq!(keys[0][1] & 0x80, 0x80);
    let other = on(&packets, call.answer().lines[1].port);
    assert_eq!(other.last().unwrap()[1..2], [13]);
    assert_eq!(call.sent(Side::Customer).samples, 0);
    assert!(call.dtmf(Side::Agent, 'x').await.is_err());
    call.hang_up().await.unwrap();
}

#[tokio::test]
async fn reports_go_both_ways_and_the_last_one_says_goodbye() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake.dial(|options| options.reports = Some(100 * MS)).await;
    call.silence(1_000 * MS).await.unwrap();
    fake.until(|seen| seen.control.len() >= 20).await;
    call.silence(20 * MS).await.unwrap();
    assert!(call.reports(Side::Agent).blocks >= 5);
    assert_eq!(call.reports(Side::Agent).bad, 0);
    call.hang_up().await.unwrap();
    fake.until(|seen| {
        let last = seen.control.last().unwrap();
        last[last.len() - 7] == 203
    })
    .await;
}

#[tokio::test]
async fn packets_of_a_tests_own_making_go_as_they_are() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake.dial(|_| {}).await;
    call.packet(RawPacket {
        side: Side::Agent,
        sequence: Some(9),
        timestamp: Some(10),
        ssrc: Some(11),
        payload_type: Some(8),
        marker: true,
        payload: vec![1, 2, 3],
    })
    .await
    .unwrap();
    call.stray(Side::Agent, b"nonsense").await.unwrap();
    let packets = fake.packets(2).await;
    let expected = [0x80, 0x88, 0, 9, 0, 0, 0, 10, 0, 0, 0, 11, 1, 2, 3];
    assert_eq!(packets[0].1, expected);
    assert_eq!(packets[1].1, b"nonsense");
    assert!(call.sent(Side::Agent).tape.is_empty());
    call.send(Side::Agent, &[7; 400]).await.unwrap();
    assert_eq!(fake.packets(3).await[2].1.len(), 412);
    assert_eq!(call.media_time(), 50 * MS);
}

#[tokio::test]
async fn media_out_of_the_runtime_goes_on_where_it_was() {
    let fake = Fake::start(POLITE).await;
    let mut call = fake.dial(|options| options.like = Like::Ribbon).await;
    call.say(Side::Customer, &[5_000; 160]).await.unwrap();
    let before = fake.packets(2).await;
    let lines = call.answer().lines;
    let [mut customer, mut agent] = call.unhurried().unwrap();
    assert_eq!(customer.peer().port(), lines[1].port);
    assert_eq!(agent.peer().port(), lines[0].port);
    customer.send(&[7; 160], 160).unwrap();
    agent.send(&[8; 160], 160).unwrap();
    agent.report();
    fake.until(|seen| !seen.control.is_empty()).await;
    let after = fake.packets(4).await;
    for line in &lines {
        let (first, second) = (on(&before, line.port)[0], on(&after, line.port)[1]);
        assert_eq!(sequence(second), sequence(first).wrapping_add(1));
        assert_eq!(timestamp(second), timestamp(first).wrapping_add(160));
    }
    call.hang_up().await.unwrap();
}
