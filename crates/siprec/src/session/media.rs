//! The media lines of a session: what was offered, what we said, what is received.
//!
//! Our version of a description goes up when, and only when, its text changes. RFC 3264 §8.

use std::net::{IpAddr, SocketAddr};

use crate::answer::SrtpPolicy;
use crate::answer::{self, AcceptedLine, LinePlan, LineRefusal, MediaPolicy, OurLine, OurSide};
use crate::offer::{self, Description, Direction, OfferedLine};
use crate::sdes::{CryptoLine, Keys, Suite};
use crate::server::{MediaLine, Random};

/// The media of one session.
pub(crate) struct Media {
    side: OurSide,
    lines: Vec<Line>,
    /// The peer's latest description that holds, and what we made of it.
    agreed: Option<(Description, Vec<LinePlan>)>,
    /// What we say wherever the peer permits it.
    direction: Direction,
    /// Ports that are bound and used by no line.
    spare: Vec<u16>,
    /// What we said last.
    text: String,
}

/// One m-line on our side.
struct Line {
    ours: OurLine,
    /// As its receiver knows it; `None`: a dead line.
    media: Option<MediaLine>,
}

/// What became of a line.
pub(crate) enum LineNews {
    /// It is received otherwise.
    Changed(usize, MediaLine),
    /// It is over.
    Ended(usize),
    /// It is received.
    Opened(usize, MediaLine),
}

impl Media {
    /// Without lines.
    pub(crate) fn new(address: IpAddr, session: u64, direction: Direction) -> Self {
        Self {
            side: OurSide {
                address,
                session,
                version: 0,
            },
            lines: Vec::new(),
            agreed: None,
            direction,
            spare: Vec::new(),
            text: String::new(),
        }
    }

    /// What we say wherever the peer permits it.
    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    /// Takes in ports that were bound.
    pub(crate) fn supply(&mut self, ports: Vec<u16>) {
        self.spare.extend(ports);
    }

    /// Ports that are missing for this plan.
    pub(crate) fn missing(&self, plan: &[LinePlan]) -> usize {
        let is_fresh = |(index, line): &(usize, &LinePlan)| {
            matches!(line, LinePlan::Accepted(_)) && !self.is_alive(*index)
        };
        let fresh = plan.iter().enumerate().filter(is_fresh).count();
        fresh.saturating_sub(self.spare.len())
    }

    /// Ports that are missing to offer so many lines.
    pub(crate) fn missing_to_offer(&self, count: usize) -> usize {
        count.saturating_sub(self.spare.len())
    }

    /// Lines that are received: index and label.
    pub(crate) fn open_lines(&self) -> Vec<(usize, Option<String>)> {
        let open = |(index, line): (usize, &Line)| {
            let media = line.media.as_ref()?;
            Some((index, media.label.clone()))
        };
        self.lines.iter().enumerate().filter_map(open).collect()
    }

    /// Adopts the peer's offer, or its answer to ours. Lines for which no port is there are
    /// rejected.
    pub(crate) fn adopt(
        &mut self,
        theirs: Description,
        mut plan: Vec<LinePlan>,
        direction: Direction,
        random: &mut Random,
    ) -> Vec<LineNews> {
        self.direction = direction;
        let mut news = Vec::new();
        for (index, (offered, planned)) in theirs.lines.iter().zip(&mut plan).enumerate() {
            if let LinePlan::Accepted(accepted) = planned
                && let Some(port) = self.port_of(index)
            {
                let ours = self.our_line(index, port, accepted, random);
                let media = received(offered, accepted, &ours);
                news.extend(self.put(index, ours, Some(media)));
            } else {
                if matches!(planned, LinePlan::Accepted(_)) {
                    *planned = LinePlan::Rejected(LineRefusal::TooMany);
                }
                news.extend(self.put(index, dead(), None));
            }
        }
        for index in theirs.lines.len()..self.lines.len() {
            news.extend(self.put(index, dead(), None));
        }
        self.agreed = Some((theirs, plan));
        news
    }

    /// Our answer to what was adopted last.
    pub(crate) fn answer(&mut self) -> String {
        let ours = self.ours();
        self.publish(&ours, |agreed, side, ours| {
            let (theirs, plan) = agreed?;
            Some(answer::write_answer(theirs, plan, side, ours))
        })
    }

    /// Our offer of what was agreed last, in this direction, which holds once it is answered. In
    /// the direction that holds already it says what was said before: a mere refresh.
    pub(crate) fn reoffer(&mut self, direction: Direction) -> String {
        let mut ours = self.ours();
        if direction != self.direction {
            for line in ours.iter_mut().filter(|line| line.port != 0) {
                line.direction = direction;
            }
        }
        self.publish(&ours, |agreed, side, ours| {
            let (theirs, plan) = agreed?;
            Some(answer::write_reoffer(theirs, plan, side, ours))
        })
    }

    /// Our offer in the 200 to an INVITE without one: `count` lines, which are open at once, for
    /// sound may come before the ACK.
    pub(crate) fn offer(
        &mut self,
        count: usize,
        policy: &MediaPolicy,
        random: &mut Random,
    ) -> (String, Vec<LineNews>) {
        let with_keys = policy.srtp == SrtpPolicy::Require;
        let ports = self
            .spare
            .drain(..count.min(self.spare.len()))
            .collect::<Vec<_>>();
        let lines = ports.into_iter().map(|port| OurLine {
            port,
            direction: self.direction,
            crypto: with_keys.then(|| fresh_keys(1, Suite::AesCm128HmacSha1_80, random)),
        });
        let ours = lines.collect::<Vec<_>>();
        let text = self.publish(&ours, |_, side, ours| {
            Some(answer::write_offer(policy, side, ours))
        });
        let read = offer::parse(text.as_bytes())
            .map(|own| own.lines)
            .unwrap_or_default();
        let mut news = Vec::new();
        for (index, (ours, line)) in ours.into_iter().zip(read).enumerate() {
            let media = offered_by_us(&ours, line);
            news.extend(self.put(index, ours, Some(media)));
        }
        (text, news)
    }

    /// Whether an offer and an answer have met.
    pub(crate) fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// Ends every line.
    pub(crate) fn end(&mut self) -> Vec<LineNews> {
        let count = self.lines.len();
        (0..count)
            .flat_map(|index| self.put(index, dead(), None))
            .collect()
    }

    fn is_alive(&self, index: usize) -> bool {
        self.lines
            .get(index)
            .is_some_and(|line| line.media.is_some())
    }

    /// A line keeps its port while it lives.
    fn port_of(&mut self, index: usize) -> Option<u16> {
        if self.is_alive(index) {
            return self.lines.get(index).map(|line| line.ours.port);
        }
        (!self.spare.is_empty()).then(|| self.spare.remove(0))
    }

    /// Our side of an accepted line. Our key stays while the suite does.
    fn our_line(
        &self,
        index: usize,
        port: u16,
        accepted: &AcceptedLine,
        random: &mut Random,
    ) -> OurLine {
        let known = self
            .lines
            .get(index)
            .and_then(|line| line.ours.crypto.as_ref());
        let crypto = accepted.crypto.as_ref().map(|theirs| match known {
            Some(known) if known.suite == theirs.suite => CryptoLine {
                tag: theirs.tag,
                ..known.clone()
            },
            _ => fresh_keys(theirs.tag, theirs.suite, random),
        });
        OurLine {
            port,
            direction: permitted(accepted, self.direction),
            crypto,
        }
    }

    fn put(&mut self, index: usize, ours: OurLine, media: Option<MediaLine>) -> Option<LineNews> {
        while self.lines.len() <= index {
            self.lines.push(Line {
                ours: dead(),
                media: None,
            });
        }
        let line = self.lines.get_mut(index)?;
        line.ours = ours;
        let before = std::mem::replace(&mut line.media, media.clone());
        match (before, media) {
            (None, Some(media)) => Some(LineNews::Opened(index, media)),
            (Some(_), None) => Some(LineNews::Ended(index)),
            (Some(before), Some(media)) if before != media => Some(LineNews::Changed(index, media)),
            _ => None,
        }
    }

    fn ours(&self) -> Vec<OurLine> {
        self.lines.iter().map(|line| line.ours.clone()).collect()
    }

    /// Writes with the version at hand, and with the next one if that is not what we said last.
    fn publish(
        &mut self,
        ours: &[OurLine],
        write: impl Fn(Option<(&Description, &[LinePlan])>, &OurSide, &[OurLine]) -> Option<String>,
    ) -> String {
        let agreed = self
            .agreed
            .as_ref()
            .map(|(theirs, plan)| (theirs, plan.as_slice()));
        let same = write(agreed, &self.side, ours).unwrap_or_default();
        if same != self.text {
            self.side.version += 1;
            self.text = write(agreed, &self.side, ours).unwrap_or_default();
        }
        self.text.clone()
    }
}

/// What the offer permits of what we wish.
fn permitted(accepted: &AcceptedLine, wish: Direction) -> Direction {
    if accepted.permitted == Direction::Inactive {
        Direction::Inactive
    } else {
        wish
    }
}

fn dead() -> OurLine {
    OurLine {
        port: 0,
        direction: Direction::Inactive,
        crypto: None,
    }
}

/// What the receiver of a line must know.
fn received(offered: &OfferedLine, accepted: &AcceptedLine, ours: &OurLine) -> MediaLine {
    let address = offered.address.filter(|address| !address.is_unspecified());
    let remote = address.map(|address| SocketAddr::new(address, offered.port));
    let rtcp_port = match offered.rtcp {
        _ if accepted.rtcp_mux => Some(offered.port),
        Some((port, _)) => Some(port),
        None => offered.port.checked_add(1),
    };
    let rtcp_address = match offered.rtcp {
        Some((_, Some(named))) if !accepted.rtcp_mux => Some(named),
        _ => address,
    };
    MediaLine {
        port: ours.port,
        remote,
        remote_rtcp: rtcp_address
            .zip(rtcp_port)
            .map(|(address, port)| SocketAddr::new(address, port)),
        rtcp_mux: accepted.rtcp_mux,
        formats: accepted.formats.clone(),
        crypto: accepted.crypto.clone(),
        our_crypto: ours.crypto.clone(),
        label: offered.label.clone(),
        is_active: ours.direction == Direction::RecvOnly && !offered.is_held,
    }
}

/// A line of our own offer, before it is answered.
fn offered_by_us(ours: &OurLine, line: OfferedLine) -> MediaLine {
    MediaLine {
        port: ours.port,
        remote: None,
        remote_rtcp: None,
        rtcp_mux: false,
        formats: line.formats,
        crypto: None,
        our_crypto: ours.crypto.clone(),
        label: line.label,
        is_active: ours.direction == Direction::RecvOnly,
    }
}

/// Keys of our own: never those of the offer. RFC 4568 §6.1.
fn fresh_keys(tag: u32, suite: Suite, random: &mut Random) -> CryptoLine {
    let (key, salt) = suite.key_bytes();
    let mut keys = Keys {
        key: vec![0; key],
        salt: vec![0; salt],
        mki: None,
    };
    random(&mut keys.key);
    random(&mut keys.salt);
    CryptoLine {
        tag,
        suite,
        keys: vec![keys],
    }
}
