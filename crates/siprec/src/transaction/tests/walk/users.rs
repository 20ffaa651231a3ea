//! Who asks at the near end, and who answers at the far one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::scene::{answer, plain};
use super::network::Chance;
use crate::message::{Method, Request, Response};
use crate::transaction::{ClientId, Event, Flow, ServerId, Transactions};

/// A request and what became of it.
struct Asked {
    flow: Flow,
    request: Request,
    branch: String,
    finals: Vec<u16>,
    is_timed_out: bool,
    is_cancelled: bool,
}

#[derive(Default)]
pub(super) struct Asker {
    pub(super) begun: u64,
    asked: BTreeMap<ClientId, Asked>,
    acknowledged: u64,
}

/// What the far user will do with one request.
struct Plan {
    request: Request,
    finals: Option<u16>,
    repeat: Duration,
    repeats: u32,
}

#[derive(Default)]
pub(super) struct Server {
    seen: BTreeSet<String>,
    /// Calls that it answers soon.
    prompt: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
    plans: BTreeMap<ServerId, Plan>,
    due: BTreeSet<(Instant, ServerId, u16)>,
}

impl Asker {
    pub(super) fn begin(
        &mut self,
        now: Instant,
        flow: Flow,
        near: &mut Transactions,
        chance: &mut Chance,
    ) {
        let pending = self.asked.values_mut().rev().find(|asked| {
            let is_open = asked.finals.is_empty() && !asked.is_timed_out;
            is_open && !asked.is_cancelled && asked.request.method == Method::Invite
        });
        self.begun += 1;
        let (flow, request, branch) = match pending.filter(|_| chance.one_in(3)) {
            Some(invite) => {
                invite.is_cancelled = true;
                (invite.flow.clone(), cancel(invite), invite.branch.clone())
            }
            None => {
                let method = ["INVITE", "OPTIONS"][chance.below(2) as usize];
                let mut request = plain(method);
                request.headers.set("Call-ID", self.begun);
                (flow, request, format!("branch{}", self.begun))
            }
        };
        let id = near.request(now, flow.clone(), request.clone(), &branch);
        let asked = Asked {
            flow,
            request,
            branch,
            finals: Vec::new(),
            is_timed_out: false,
            is_cancelled: false,
        };
        self.asked.insert(id, asked);
    }

    pub(super) fn hear(&mut self, event: Event, near: &mut Transactions) {
        match event {
            Event::Response(id, flow, response) if response.status >= 200 => {
                let asked = self.asked.get_mut(&id).unwrap();
                assert!(!asked.is_timed_out, "no answer comes after a time-out");
                asked.finals.push(response.status);
                if asked.request.method == Method::Invite && response.status < 300 {
                    self.acknowledged += 1;
                    let branch = match self.acknowledged % 4 {
                        0 => asked.branch.clone(),
                        _ => format!("ack{}", self.acknowledged),
                    };
                    let ack = acknowledge(&asked.request, &response, &branch);
                    near.send(flow, ack.encode());
                }
            }
            Event::TimedOut(id) => {
                let asked = self.asked.get_mut(&id).unwrap();
                assert!(!asked.is_timed_out, "a time-out comes once");
                asked.is_timed_out = true;
            }
            Event::Response(..) | Event::Stray(_) => {}
            other => panic!("the near end is no server: {other:?}"),
        }
    }

    /// One final answer or a time-out each; no time-out where nothing is lost and the far user is
    /// prompt.
    pub(super) fn check(&self, seed: u64, is_lossless: bool, server: &Server) {
        assert_eq!(self.asked.len() as u64, self.begun);
        for (id, asked) in &self.asked {
            let method = asked.request.method.as_str();
            let mut finals = asked.finals.clone();
            if method == "INVITE" && finals.first().is_some_and(|status| *status < 300) {
                finals.dedup();
            }
            let ends = finals.len() + usize::from(asked.is_timed_out);
            assert_eq!(ends, 1, "SEED={seed}: {id:?} {method} {:?}", asked.finals);
            let is_datagram = asked.flow.connection == 0;
            let is_prompt = method == "CANCEL" || server.prompt.contains(&call(&asked.request));
            if is_lossless && is_datagram && is_prompt {
                assert!(!asked.is_timed_out, "SEED={seed}: {id:?} is answered");
            }
        }
    }
}

impl Server {
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _, _)| *due)
    }

    pub(super) fn hear(&mut self, now: Instant, event: Event, chance: &mut Chance) {
        match event {
            Event::Request(id, _, request) => {
                let name = format!("{:?} {}", request.headers.cseq(), call(&request));
                assert!(
                    self.seen.insert(name),
                    "a request is seen once: {request:?}"
                );
                self.plan(now, id, *request, chance);
            }
            Event::Ack(_, ack) => {
                self.acknowledged.insert(call(&ack));
            }
            Event::Cancelled(id) => {
                self.due.insert((now, id, 487));
            }
            Event::Merged(_) => {}
            other => panic!("the far end asks nothing: {other:?}"),
        }
    }

    /// Provisional responses now and then; a final one soon, late, or for OPTIONS never.
    fn plan(&mut self, now: Instant, id: ServerId, request: Request, chance: &mut Chance) {
        let mut wait = |most| Duration::from_millis(chance.below(most));
        let early = now + wait(3_000);
        let soon = now + wait(4_000);
        let late = now + Duration::from_secs(185) + wait(1_000);
        for status in [180, 183] {
            if chance.one_in(3) {
                self.due.insert((early, id, status));
            }
        }
        let status = [200, 200, 404, 486][chance.below(4) as usize];
        let is_invite = request.method == Method::Invite;
        match chance.below(10) {
            0 if is_invite => self.due.insert((late, id, status)),
            0 | 1 if !is_invite => false,
            _ => {
                self.prompt.insert(call(&request));
                self.due.insert((soon, id, status))
            }
        };
        let plan = Plan {
            request,
            finals: None,
            repeat: Duration::from_millis(500),
            repeats: 0,
        };
        self.plans.insert(id, plan);
    }

    pub(super) fn answer_due(&mut self, now: Instant, far: &mut Transactions) {
        while let Some((due, id, status)) = self.due.first().copied()
            && due <= now
        {
            self.due.pop_first();
            let plan = self.plans.get_mut(&id).unwrap();
            let is_repetition = plan.finals == Some(status);
            let is_decided = plan.finals.is_some() && !is_repetition;
            let is_over = is_repetition && self.acknowledged.contains(&call(&plan.request));
            if is_decided || is_over {
                continue;
            }
            far.respond(now, id, &answer(&plan.request, status));
            if status < 200 {
                continue;
            }
            plan.finals = Some(status);
            plan.repeats += 1;
            if plan.request.method == Method::Invite && status < 300 && plan.repeats <= 11 {
                self.due.insert((now + plan.repeat, id, status));
                plan.repeat = (plan.repeat * 2).min(Duration::from_secs(4));
            }
        }
    }
}

fn call(request: &Request) -> String {
    request.headers.call_id().unwrap().to_owned()
}

fn cancel(invite: &Asked) -> Request {
    let mut cancel = plain("CANCEL");
    cancel.headers.set("Call-ID", call(&invite.request));
    cancel
}

fn acknowledge(invite: &Request, response: &Response, branch: &str) -> Request {
    let mut ack = plain("ACK");
    ack.headers.set("Call-ID", call(invite));
    ack.headers.set("To", response.headers.get("To").unwrap());
    let via = format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch}");
    ack.headers.push("Via", via);
    ack
}
