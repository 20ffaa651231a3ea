//! What happens to a call while it is recorded: holds, transfers, new lines, new keys.

use std::sync::Arc;
use std::time::Duration;

use super::agent::{Shared, lock};
use super::ending::{CallError, DialError, Refused};
use super::like::{Early, Hold};
use super::media::Sockets;
use super::message::Message;
use super::rtp::{First, Source};
use super::scene::Participant;
use super::srtp::{Context, Crypto};
use super::{Side, SiprecCall};

/// How often a request is tried again that met one of the recording server's own. RFC 3261 §14.1.
const GLARE_TRIES: usize = 5;
/// How long to wait before: the owner of the Call-ID waits longer.
const GLARE_WAIT: Duration = Duration::from_millis(2_100);
/// How far a change may put the media clock behind before it jumps.
const BEHIND_MAX: Duration = Duration::from_millis(100);

impl SiprecCall {
    /// Media is put on hold as the dialect does it; the clock goes on with `skip`, `silence` or
    /// anything that is said, and nothing of it is sent.
    ///
    /// # Errors
    /// When the recording server does not take it; so with all that follow.
    pub async fn hold(&mut self) -> Result<(), CallError> {
        let hold = self.options.like.shape().hold;
        self.hold_by(hold).await
    }

    /// The same, in that way.
    pub async fn hold_by(&mut self, hold: Hold) -> Result<(), CallError> {
        self.reinvite(true, |dialog| dialog.session.hold = Some(hold))
            .await
    }

    /// Media flows again.
    pub async fn resume(&mut self) -> Result<(), CallError> {
        self.reinvite(true, |dialog| dialog.session.hold = None)
            .await
    }

    /// One side's line alone is made inactive, or active again.
    pub async fn idle(&mut self, side: Side, idle: bool) -> Result<(), CallError> {
        let (_, line) = self.outlet(side).place;
        self.reinvite(true, |dialog| {
            if let Some(line) = dialog.session.lines.get_mut(line) {
                line.idle = idle;
            }
        })
        .await
    }

    /// One side's line is given up: port nought.
    pub async fn remove_line(&mut self, side: Side) -> Result<(), CallError> {
        let (_, line) = self.outlet(side).place;
        self.reinvite(true, |dialog| {
            if let Some(line) = dialog.session.lines.get_mut(line) {
                line.port = 0;
            }
        })
        .await
    }

    /// A call that was dialled early: the callee has answered, and both lines carry sound.
    pub async fn callee_answers(&mut self) -> Result<(), CallError> {
        let shape = self.options.like.shape();
        if shape.early == Early::OneLine {
            let shared = Arc::clone(&self.dialogs[0].0);
            let mut session = lock(&shared).session.clone();
            self.open_line(0, &mut session, &[shape.order[1]]).await?;
            lock(&shared).session = session;
        }
        self.reinvite(true, |dialog| {
            dialog.session.hold = None;
            dialog.session.scene.early = false;
        })
        .await
    }

    /// The agent hands over to somebody else: a new participant, a new port and a new source on the
    /// agent's line. NetSapiens ends the session and begins the next one of its group.
    pub async fn transfer(&mut self) -> Result<(), CallError> {
        let (agent, line) = (self.agent_index(), self.line_of(Side::Agent));
        let number = self.options.numbers[2].clone();
        let joins = |dialog: &mut super::dialog::Dialog| {
            let scene = &mut dialog.session.scene;
            scene.participants[agent] = Participant::new(&number, "Transferred");
        };
        if self.options.like.shape().transfer_anew {
            return self.begin_anew(joins).await;
        }
        self.new_source(Side::Agent);
        self.move_line(line).await?;
        self.reinvite(true, joins).await
    }

    /// Somebody joins on a line of their own.
    pub async fn add_line(&mut self) -> Result<(), CallError> {
        let number = self.options.numbers[2].clone();
        let shared = Arc::clone(&self.dialogs[0].0);
        let mut session = lock(&shared).session.clone();
        let joined = session.scene.participants.len();
        let third = Participant::new(&number, "Third");
        session.scene.participants.push(third);
        self.open_line(0, &mut session, &[joined]).await?;
        lock(&shared).session = session;
        self.sides.push(Side::Third);
        self.reinvite(true, |_| {}).await
    }

    /// All lines get new ports.
    pub async fn move_ports(&mut self) -> Result<(), CallError> {
        for line in 0..self.outlets.len() {
            self.move_line(line).await?;
        }
        self.reinvite(false, |_| {}).await
    }

    /// All lines get new SRTP keys.
    pub async fn rekey(&mut self) -> Result<(), CallError> {
        let Some(suite) = self.options.srtp else {
            return Err(CallError::NotTaken("a key"));
        };
        for outlet in &mut self.outlets {
            let crypto = Crypto::random(suite);
            // A new key begins with a rollover counter of nought.
            outlet.source.index &= 0xffff;
            outlet.keys = Some(Context::new(&crypto));
            let (dialog, line) = outlet.place;
            lock(&self.dialogs[dialog].0).session.lines[line].crypto = Some(crypto);
        }
        self.reinvite(false, |_| {}).await
    }

    /// A side's source begins anew without a word: another SSRC, other numbers.
    pub fn new_source(&mut self, side: Side) {
        let (line, position) = (self.line_of(side), self.position);
        self.outlets[line].source = Source::new(First::default(), position);
    }

    /// A session refresh: the same description once more.
    pub async fn refresh(&mut self) -> Result<(), CallError> {
        for index in 0..self.dialogs.len() {
            let shared = Arc::clone(&self.dialogs[index].0);
            let invite = {
                let mut dialog = lock(&shared);
                let same = dialog.session.ours.clone();
                dialog.invite(Some(&same), false)
            };
            let response = self.invited(&shared, invite, false).await;
            accepted(response, "answer to the refresh")?;
        }
        Ok(())
    }

    /// All of the metadata in an UPDATE without a description.
    pub async fn update_metadata(&mut self) -> Result<(), CallError> {
        for index in 0..self.dialogs.len() {
            let update = {
                let mut dialog = lock(&self.dialogs[index].0);
                let mut update = dialog.request("UPDATE");
                dialog.fill(&mut update, None, true);
                update
            };
            self.ask(index, update, "answer to the UPDATE").await?;
        }
        Ok(())
    }

    /// Asks how the recording server is, inside the dialog.
    pub async fn ping(&mut self) -> Result<Message, CallError> {
        let options = lock(&self.dialogs[0].0).request("OPTIONS");
        self.ask(0, options, "answer to the OPTIONS").await
    }

    /// Any request with a body of any type.
    pub async fn request(
        &mut self,
        method: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<Message, CallError> {
        let mut request = lock(&self.dialogs[0].0).request(method);
        if !body.is_empty() {
            request.add("Content-Type", kind);
            request.body = body.to_vec();
        }
        self.ask(0, request, "answer").await
    }

    /// Sends a request of a dialog and gives its last response, if that is a good one.
    pub(super) async fn ask(
        &self,
        index: usize,
        request: Message,
        what: &'static str,
    ) -> Result<Message, CallError> {
        let to = lock(&self.dialogs[index].0).next_hop();
        let mut exchange = self.agent.begin(request, to).await;
        accepted(exchange.last().await, what)
    }

    /// Changes every dialog and offers what has come of it.
    async fn reinvite(
        &mut self,
        metadata: bool,
        mut change: impl FnMut(&mut super::dialog::Dialog),
    ) -> Result<(), CallError> {
        // What was said before must not be sent to where what follows goes.
        self.flush().await?;
        for index in 0..self.dialogs.len() {
            let shared = Arc::clone(&self.dialogs[index].0);
            change(&mut lock(&shared));
            self.offer(&shared, metadata).await?;
        }
        self.catch_up();
        Ok(())
    }

    /// What was not said while an answer took long is not said late: the media clock has gone on.
    fn catch_up(&mut self) {
        let late = self.pace.due(self.media_time()).elapsed();
        if self.options.speed > 0.0 && late > BEHIND_MAX {
            let passed = late.mul_f64(self.options.speed).as_millis();
            let packet = self.options.packet.as_millis();
            self.skip(self.options.packet * (passed / packet) as u32);
        }
    }

    async fn offer(&self, shared: &Shared, metadata: bool) -> Result<(), CallError> {
        const WHAT: &str = "answer to the re-INVITE";
        for attempt in 1.. {
            let invite = {
                let mut dialog = lock(shared);
                let offer = dialog.session.offer();
                dialog.invite(Some(&offer), metadata)
            };
            let response = self.invited(shared, invite, false).await;
            let glare = response
                .as_ref()
                .is_some_and(|response| response.status() == 491);
            if !glare || attempt == GLARE_TRIES {
                return accepted(response, WHAT).map(|_| ());
            }
            tokio::time::sleep(GLARE_WAIT).await;
        }
        Err(CallError::Timeout(WHAT))
    }

    /// New sockets for a line; the next offer tells.
    async fn move_line(&mut self, line: usize) -> Result<(), CallError> {
        let sockets = Sockets::bind(self.agent.local().ip(), self.options.mux).await?;
        let [port, rtcp_port] = sockets.ports()?;
        let outlet = &mut self.outlets[line];
        outlet.sockets = sockets;
        let (dialog, line) = outlet.place;
        let line = &mut lock(&self.dialogs[dialog].0).session.lines[line];
        (line.port, line.rtcp_port) = (port, rtcp_port);
        Ok(())
    }

    /// The next session of the group, over the same lines.
    async fn begin_anew(
        &mut self,
        mut change: impl FnMut(&mut super::dialog::Dialog),
    ) -> Result<(), CallError> {
        self.flush().await?;
        self.bye_all().await?;
        for index in 0..self.dialogs.len() {
            self.renew(index).await;
            change(&mut lock(&self.dialogs[index].0));
        }
        self.new_source(Side::Agent);
        self.invite_all().await.map_err(|error| match error {
            DialError::Io(error) => CallError::Io(error),
            DialError::Refused(refused) => CallError::Refused(refused),
            DialError::Timeout(_) => CallError::Timeout("answer to the INVITE"),
        })
    }

    fn agent_index(&self) -> usize {
        usize::from(self.options.customer_calls)
    }
}

fn accepted(response: Option<Message>, what: &'static str) -> Result<Message, CallError> {
    let response = response.ok_or(CallError::Timeout(what))?;
    if response.status() >= 300 {
        return Err(CallError::Refused(Box::new(Refused::of(response))));
    }
    Ok(response)
}
