use std::collections::HashMap;

use call::leg::LegConfig;
use call::name::{Guid, LegId, Role, Side};
use siprec::answer::{MediaPolicy, SrtpPolicy};
use siprec::identifiers::Identifier;
use siprec::roles::{Confidence, LineRole, Party, RolePolicy};
use siprec::server::SessionId;
use siprec::trunk::Trunk;
use tokio::sync::mpsc;

use super::*;
use crate::intake::{Arrival, Feed, Intake};

struct World {
    session: Session,
    intake: Intake,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    feeds: Vec<Feed>,
    orders: Vec<watch::Receiver<Order>>,
}

fn trunk(answer: BeforeStart, pause_on_stop: bool) -> Trunk {
    Trunk {
        name: "main".to_owned(),
        sources: Vec::new(),
        listeners: Vec::new(),
        tls_names: Vec::new(),
        users: Vec::new(),
        accept_anyway: false,
        identifiers: Vec::new(),
        roles: RolePolicy {
            customer_first: None,
            caller_is_customer: true,
        },
        media: MediaPolicy {
            codecs: Vec::new(),
            srtp: SrtpPolicy::Allow,
            lines_max: 2,
        },
        answer,
        pause_on_stop,
        accept_mixed: true,
        sessions_max: 10,
        media_address: None,
        contact: None,
        credentials: None,
        keep: Vec::new(),
    }
}

fn facts(identifiers: &[&str]) -> SessionFacts {
    let identifier = |text: &&str| Identifier {
        source: "Call-ID",
        raw: (*text).to_owned(),
        normal: (*text).to_owned(),
    };
    let role = |party| LineRole {
        party,
        reason: "it is so".to_owned(),
        confidence: Confidence::High,
        participant: None,
    };
    SessionFacts {
        session: SessionId(1),
        trunk: "main".to_owned(),
        identifiers: identifiers.iter().map(identifier).collect(),
        roles: vec![(0, role(Party::Customer)), (1, role(Party::Agent))],
        recording: siprec::metadata::Recording::default(),
        peer: "192.0.2.1:5060".parse().unwrap(),
    }
}

fn media(is_active: bool) -> MediaLine {
    MediaLine {
        port: 20_000,
        remote: None,
        remote_rtcp: None,
        rtcp_mux: false,
        formats: Vec::new(),
        crypto: None,
        our_crypto: None,
        label: Some("7".to_owned()),
        is_active,
    }
}

impl World {
    fn new(answer: BeforeStart, pause_on_stop: bool) -> Self {
        let facts = facts(&["one"]);
        let clock = Arc::new(SessionClock::new(Instant::now()));
        let call = Session::call_of(&facts);
        let wish = Wish {
            service: Some("deepgram".into()),
            parameters: Vec::new(),
        };
        let config = SiprecConfig {
            trunks: vec![trunk(answer, pause_on_stop)],
            wishes: HashMap::from([("main".to_owned(), wish)]),
            ..SiprecConfig::default()
        };
        let session = Session::new(Instant::now(), facts, call, clock, &config);
        let (intake, arrivals) = Intake::new(LegConfig::default());
        let mut world = Self {
            session,
            intake,
            arrivals,
            feeds: Vec::new(),
            orders: Vec::new(),
        };
        world.line(0, Side::First);
        world.line(1, Side::Second);
        world.heard();
        world
    }

    fn line(&mut self, index: usize, side: Side) {
        let introduction = self.session.introduce(side, (index, &media(true)), None);
        let clock = self.session.clock.media();
        let feed = self.intake.open(Instant::now(), clock, introduction);
        let (sender, orders) = watch::channel(Order::End(LineEnd::Ended));
        let entry = Entry::new(sender, feed.teller(), Some("7".to_owned()), true);
        self.session.insert(index, entry);
        self.feeds.push(feed);
        self.orders.push(orders);
    }

    fn heard(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Ok(arrival) = self.arrivals.try_recv() {
            heard.push(match arrival {
                Arrival::Pressed(LegId(id), _) => format!("pressed {id}"),
                Arrival::Granted(LegId(id)) => format!("granted {id}"),
                Arrival::Refused(LegId(id), why) => format!("refused {id}: {why}"),
                Arrival::Learned(learned) => format!("learned {}", learned.id),
                Arrival::Opened(opened) => format!("opened {}", opened.id),
                Arrival::Ended(id, _) => format!("ended {id}"),
            });
        }
        heard
    }
}

#[test]
fn the_first_leg_that_wants_sound_asks_and_each_is_answered() {
    let mut world = World::new(BeforeStart::Inactive, false);
    assert!(world.session.asks());
    assert_eq!(world.session.want(0, true), Some(true));
    assert_eq!(world.session.want(1, true), None);
    assert_eq!(world.heard(), Vec::<String>::new());
    world.session.granted(true, Ok(()));
    assert_eq!(world.heard(), ["granted 1", "granted 2"]);
}

#[test]
fn what_flows_already_is_granted_at_once() {
    let mut world = World::new(BeforeStart::Inactive, false);
    world.session.want(0, true);
    world.session.granted(true, Ok(()));
    assert_eq!(world.session.want(0, false), None, "it does not pause");
    assert_eq!(world.session.want(0, true), None);
    assert_eq!(world.heard(), ["granted 1", "granted 1"]);
}

#[test]
fn a_refusal_reaches_every_leg_that_waits_and_the_next_start_asks_again() {
    let mut world = World::new(BeforeStart::Inactive, false);
    world.session.want(0, true);
    world.session.want(1, true);
    world.session.granted(true, Err("488"));
    assert_eq!(world.heard(), ["refused 1: 488", "refused 2: 488"]);
    world.session.want(0, false);
    assert_eq!(world.session.want(0, true), Some(true));
}

#[test]
fn a_refusal_between_the_wishes_of_two_legs_is_the_answer_to_both() {
    let mut world = World::new(BeforeStart::Inactive, false);
    assert_eq!(world.session.want(0, true), Some(true));
    world.session.granted(true, Err("488"));
    assert_eq!(world.session.want(0, false), None, "its stream has failed");
    assert_eq!(world.session.want(1, true), None, "nobody asks again");
    assert_eq!(world.heard(), ["refused 1: 488", "refused 2: 488"]);
    assert_eq!(world.session.want(1, false), None);
    for first in [1, 0] {
        assert_eq!(
            world.session.want(first, true),
            Some(true),
            "the next start"
        );
        assert_eq!(world.session.want(1 - first, true), None);
        world.session.granted(true, Err("503"));
        assert_eq!(world.heard(), ["refused 1: 503", "refused 2: 503"]);
    }
}

#[test]
fn a_refusal_that_a_leg_never_asked_about_does_not_outlive_the_start() {
    let mut world = World::new(BeforeStart::Inactive, false);
    world.session.want(0, true);
    world.session.granted(true, Err("488"));
    world.line(2, Side::Second);
    assert_eq!(world.session.want(2, true), Some(true), "it came later");
    assert_eq!(world.session.want(1, true), None, "and is asked for by now");
    world.heard();
    world.session.granted(true, Ok(()));
    assert_eq!(world.heard(), ["granted 2", "granted 3"]);
    world.session.want(1, false);
    assert_eq!(world.session.want(1, true), None);
    assert_eq!(world.heard(), ["granted 2"]);
}

#[test]
fn the_last_leg_that_stops_pauses_where_the_trunk_says_so() {
    let mut world = World::new(BeforeStart::RecvOnly, true);
    world.session.want(0, true);
    world.session.want(1, true);
    world.session.granted(true, Ok(()));
    assert_eq!(world.session.want(0, false), None);
    assert_eq!(world.session.want(1, false), Some(false));
    assert_eq!(world.session.want(1, true), Some(true));
}

#[test]
fn an_answer_to_an_earlier_question_grants_nothing() {
    let mut world = World::new(BeforeStart::RecvOnly, true);
    world.session.want(0, true);
    assert_eq!(world.session.want(0, false), Some(false));
    assert_eq!(world.session.want(0, true), Some(true));
    world.session.granted(true, Ok(()));
    world.session.granted(false, Ok(()));
    assert_eq!(world.heard(), Vec::<String>::new());
    world.session.granted(true, Ok(()));
    assert_eq!(world.heard(), ["granted 1"]);
}

#[test]
fn a_trunk_that_just_receives_asks_nobody() {
    assert!(!World::new(BeforeStart::RecvOnly, false).session.asks());
}

#[test]
fn what_is_learned_is_told_to_every_leg() {
    let mut world = World::new(BeforeStart::RecvOnly, false);
    world.session.learn(facts(&["one", "two"]));
    assert_eq!(world.heard(), ["learned 1", "learned 2"]);
}

#[test]
fn a_leg_is_introduced_with_its_names_role_and_reason() {
    let world = World::new(BeforeStart::RecvOnly, false);
    let told = world
        .session
        .introduce(Side::Second, (1, &media(true)), None);
    assert_eq!(told.call.guid, Guid::parse("one").unwrap());
    let role = told.role.unwrap();
    assert_eq!((role.role, role.confidence), (Role::Agent, "high"));
    let known = |key| told.identifiers.iter().find(|(name, _)| *name == key);
    assert_eq!(known("label").unwrap().1, "7");
    assert_eq!(known("callId").unwrap().1, "one");
    let service = told.wish.service.as_deref();
    assert_eq!(service, Some("deepgram"), "as its trunk wishes");
}

#[test]
fn only_the_silence_of_every_active_line_is_silence() {
    let mut world = World::new(BeforeStart::RecvOnly, false);
    assert!(!world.session.fall_silent(0, true));
    assert!(world.session.fall_silent(1, true));
    assert!(!world.session.fall_silent(1, false));
    world.session.change(1, media(false));
    assert!(world.session.fall_silent(0, true), "the other is on hold");
    world.session.change(0, media(false));
    assert!(!world.session.fall_silent(0, true), "all are on hold");
}

#[test]
fn a_line_that_takes_anothers_place_ends_it() {
    let mut world = World::new(BeforeStart::RecvOnly, false);
    world.line(0, Side::First);
    let order = world.orders[0].borrow().clone();
    assert!(matches!(order, Order::End(LineEnd::Removed)));
}
