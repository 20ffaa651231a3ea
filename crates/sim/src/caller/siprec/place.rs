//! How a call comes about: sockets, sessions, INVITEs.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use tokio::time::timeout;
use uuid::Uuid;

use super::agent::{Shared, UserAgent, lock};
use super::dialog::{Dialog, Ends};
use super::ending::{DialError, Refused};
use super::like::{Early, Lines, Shape};
use super::media::{Outlet, Sent, Sockets};
use super::message::Message;
use super::options::Options;
use super::rtcp::Reports;
use super::rtp::Source;
use super::scene::{Participant, Scene, Stream};
use super::sdp::Sdp;
use super::session::{Line, Session};
use super::srtp::{Context, Crypto};
use super::{SharedDialog, Side, SiprecCall};
use crate::caller::pace::Pace;
use crate::histogram::Histogram;
use crate::network::Network;

impl SiprecCall {
    /// Connects and places the call: all of its dialogs are answered and acknowledged.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(options: Options) -> Result<Self, DialError> {
        let agent = UserAgent::connect(&options).await?;
        Self::dial_over(&agent, options).await
    }

    /// The same over a way that many calls share.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial_over(agent: &UserAgent, options: Options) -> Result<Self, DialError> {
        let mut call = Self::prepare(agent, options).await?;
        let begun = Instant::now();
        let limit = call.options.dial_timeout;
        let placed = timeout(limit, call.invite_all()).await;
        placed.map_err(|_| DialError::Timeout(limit))??;
        call.answered_in = begun.elapsed();
        call.pace = Pace::new(
            tokio::time::Instant::now(),
            Duration::ZERO,
            call.options.speed,
        );
        call.begun = SystemTime::now();
        Ok(call)
    }

    /// Everything but the INVITEs.
    async fn prepare(agent: &UserAgent, options: Options) -> io::Result<Self> {
        let shape = options.like.shape();
        let mut call = Self {
            agent: agent.clone(),
            dialogs: Vec::new(),
            outlets: Vec::new(),
            sides: Side::BOTH.to_vec(),
            pace: Pace::new(tokio::time::Instant::now(), Duration::ZERO, options.speed),
            position: 0,
            begun: SystemTime::now(),
            outbox: BTreeMap::new(),
            posted: 0,
            lateness: Histogram::default(),
            answered_in: Duration::ZERO,
            options,
        };
        let scene = call.scene(agent);
        match shape.lines {
            Lines::Dialogs => {
                for speaker in shape.order {
                    call.dialog(shape, scene.clone(), &[vec![speaker]]).await?;
                }
            }
            Lines::Mixed => call.dialog(shape, scene, &[vec![0, 1]]).await?,
            Lines::Two => {
                let mut lines = shape.order.map(|speaker| vec![speaker]).to_vec();
                if call.options.early && shape.early == Early::OneLine {
                    lines.truncate(1);
                }
                call.dialog(shape, scene, &lines).await?;
            }
        }
        Ok(call)
    }

    /// The caller first, whoever that is.
    fn scene(&self, agent: &UserAgent) -> Scene {
        let [customer, agent_number, _] = &self.options.numbers;
        let mut participants = vec![
            Participant::new(customer, "Customer"),
            Participant::new(agent_number, "Agent"),
        ];
        if !self.options.customer_calls {
            participants.swap(0, 1);
        }
        Scene {
            ids: self.options.identifiers.clone(),
            session: Uuid::new_v4(),
            group: Uuid::new_v4(),
            sequence: 0,
            participants,
            streams: Vec::new(),
            early: self.options.early,
            host: agent.local().to_string(),
            dialog: String::new(),
            begun: Timestamp::now(),
        }
    }

    /// Which side a participant of a fresh scene is.
    fn side_of(&self, participant: usize) -> Side {
        match (participant == 0) == self.options.customer_calls {
            true => Side::Customer,
            false => Side::Agent,
        }
    }

    /// Adds a dialog with a line for each entry, which says who is heard there.
    async fn dialog(
        &mut self,
        shape: &'static Shape,
        mut scene: Scene,
        lines: &[Vec<usize>],
    ) -> io::Result<()> {
        let address = self.agent.local().ip();
        scene.dialog = dialog_name(shape, &scene, address);
        let mut session = Session {
            shape,
            scene,
            lines: Vec::new(),
            codecs: self.options.codecs.clone(),
            address,
            mux: self.options.mux,
            hold: None,
            theirs: None,
            ours: String::new(),
            id: u64::from(self.options.identifiers.number),
            version: 0,
        };
        if self.options.early && shape.early == Early::Inactive {
            session.hold = Some(shape.hold);
        }
        let place = self.dialogs.len();
        for speakers in lines {
            self.open_line(place, &mut session, speakers).await?;
        }
        let shared = self.share(session).await;
        self.dialogs.push(SharedDialog(shared));
        Ok(())
    }

    /// The next session of a group takes the place of one that is over.
    pub(super) async fn renew(&mut self, index: usize) {
        let (mut session, events) = {
            let dialog = lock(&self.dialogs[index].0);
            (dialog.session.clone(), dialog.events.clone())
        };
        session.scene.session = Uuid::new_v4();
        session.scene.sequence += 1;
        session.scene.dialog = dialog_name(session.shape, &session.scene, session.address);
        session.theirs = None;
        let shared = self.share(session).await;
        lock(&shared).events = events;
        self.dialogs[index] = SharedDialog(shared);
    }

    async fn share(&self, session: Session) -> Shared {
        let ends = Ends {
            transport: self.agent.transport(),
            local: self.agent.local(),
            peer: &self.options.target.address,
        };
        let dialog = Dialog::new(ends, session, &self.options);
        let shared: Shared = Arc::new(Mutex::new(dialog));
        self.agent.join(&shared).await;
        shared
    }

    /// Adds a media line to a session, with its sockets.
    pub(super) async fn open_line(
        &mut self,
        place: usize,
        session: &mut Session,
        speakers: &[usize],
    ) -> io::Result<()> {
        let (index, options) = (session.lines.len(), &self.options);
        let sides: Vec<Side> = speakers
            .iter()
            .map(|&speaker| match speaker {
                0 | 1 => self.side_of(speaker),
                _ => Side::Third,
            })
            .collect();
        let sockets = Sockets::bind(session.address, options.mux).await?;
        let [port, rtcp_port] = sockets.ports()?;
        let crypto = options.srtp.map(Crypto::random);
        let label = session.shape.sdp.labels[index.min(2)];
        let seed = options.seed ^ (self.outlets.len() as u64) << 32;
        let outlet = Outlet {
            sockets,
            place: (place, index),
            source: Source::new(options.first[sides[0] as usize], self.position),
            keys: crypto.as_ref().map(Context::new),
            opener: None,
            network: Network::new(seed, options.network),
            sent: Sent::default(),
            reports: Reports::default(),
            heard: 0,
            report_at: self.position,
            sides,
        };
        session
            .scene
            .streams
            .push(Stream::new(label, speakers.to_vec()));
        session.lines.push(Line {
            port,
            rtcp_port,
            label: label.to_owned(),
            crypto,
            idle: false,
        });
        self.outlets.push(outlet);
        Ok(())
    }

    /// Places every dialog that has not been placed yet.
    pub(super) async fn invite_all(&mut self) -> Result<(), DialError> {
        for index in 0..self.dialogs.len() {
            let fresh = lock(&self.dialogs[index].0).session.theirs.is_none();
            if fresh {
                self.invite(index).await?;
            }
        }
        Ok(())
    }

    async fn invite(&mut self, index: usize) -> Result<(), DialError> {
        let shared = Arc::clone(&self.dialogs[index].0);
        let offerless = self.options.is_offerless();
        let invite = {
            let mut dialog = lock(&shared);
            let offer = (!offerless).then(|| dialog.session.offer());
            dialog.invite(offer.as_deref(), true)
        };
        let response = self.invited(&shared, invite, offerless).await;
        let response = response.ok_or(DialError::Timeout(self.options.t1 * 64))?;
        if response.status() >= 300 {
            self.agent.leave(&shared).await;
            return Err(DialError::Refused(Box::new(Refused::of(response))));
        }
        Ok(())
    }

    /// Sends an INVITE, first or again, and sees it through: reliable provisionals, the answer, the
    /// ACK. Gives the last response; `None` when there was none.
    pub(super) async fn invited(
        &self,
        shared: &Shared,
        invite: Message,
        offerless: bool,
    ) -> Option<Message> {
        let (cseq, to) = (invite.cseq().0, lock(shared).next_hop());
        let mut exchange = self.agent.begin(invite, to).await;
        let response = loop {
            let Some(response) = exchange.next().await else {
                lock(shared).inviting = false;
                return None;
            };
            if response.status() >= 200 {
                break response;
            }
            self.acknowledge_provisional(shared, &response).await;
        };
        let accepted = response.status() < 300;
        let (ack, to) = {
            let mut dialog = lock(shared);
            dialog.inviting = false;
            if !accepted {
                return Some(response);
            }
            dialog.confirm(&response);
            let theirs = response.sdp().map(|text| Sdp::parse(&text));
            let answer = match theirs {
                Some(offer) if offerless => Some(dialog.session.answer(&offer)),
                Some(answer) => {
                    dialog.session.theirs = Some(answer);
                    None
                }
                None => None,
            };
            (dialog.ack(cseq, answer.as_deref()), dialog.next_hop())
        };
        self.agent.acknowledge(ack, to).await;
        Some(response)
    }

    /// RFC 3262 §4.
    async fn acknowledge_provisional(&self, shared: &Shared, response: &Message) {
        let Some(number) = response.header("RSeq") else {
            return;
        };
        let (prack, to) = {
            let mut dialog = lock(shared);
            dialog.confirm(response);
            let mut prack = dialog.request("PRACK");
            let (cseq, method) = response.cseq();
            prack.add("RAck", &format!("{number} {cseq} {method}"));
            (prack, dialog.next_hop())
        };
        self.agent.begin(prack, to).await.last().await;
    }
}

/// The Call-ID of a recording session; some equipment's has a meaning.
fn dialog_name(shape: &Shape, scene: &Scene, address: IpAddr) -> String {
    let random = Uuid::new_v4().simple();
    match shape.sdp.origin {
        "Sonus_UAC" => format!("{}_{random}@{address}", scene.ids.number),
        _ if shape.body.boundary.starts_with("OSS") => format!("B2B.{random}"),
        _ => format!("{random}@{address}"),
    }
}
