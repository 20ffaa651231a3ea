//! A gateway that is killed again and again while calls run and their receiver fails: what the
//! messages API has answered once is kept and delivered, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rig::apart::Apart;
use rig::{World, eventually};
use sha2::{Digest, Sha256};
use sim::caller::twilio::TwilioCall;
use sim::webhook::{Faults, Receiver, Taken};

use crate::GATEWAY;
use crate::scene::{begin, finals_of, kept_in, messages, receiver, try_say, until_open, webhook};

const KILLS: u8 = 12;

/// A life lasts so long at most, in milliseconds.
const LIFE_MS: u16 = 1_500;

/// Another seed is another sequence of lives.
const SEED: u8 = 5;

/// Of a hundred deliveries so many fail.
const FAILING: u8 = 30;

/// Ids of messages that the API has answered, by call.
type Answered = BTreeMap<String, BTreeSet<String>>;

/// Lives, and their ends at random.
struct Lives {
    gateway: Apart,
    receiver: Receiver,
    answered: Answered,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_before_a_kill_is_kept_and_delivered_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver(Faults::random(FAILING, 11)).await;
    let more = kept_in(folder.path()) + &webhook("story", &receiver.url(), "");
    let gateway = Apart::new(rig::service_config(), &more, GATEWAY, folder.path()).await;
    let mut lives = Lives {
        gateway,
        receiver,
        answered: Answered::new(),
    };
    for kill in 0..KILLS {
        lives.live_and_die(kill).await;
        lives.gateway.start_again().await;
    }
    let whole = lives.answered.values().filter(|ids| !ids.is_empty());
    assert!(
        whole.count() > usize::from(KILLS) / 2,
        "too little was said"
    );
    lives.everything_arrives().await;
    lives.gateway.end().await;
}

impl Lives {
    /// Two calls talk until the gateway is killed, at a moment that nobody chose.
    async fn live_and_die(&mut self, kill: u8) {
        let world = &self.gateway.world;
        let [mut one, mut other] = [begin(world).await, begin(world).await];
        let guids = [&one, &other].map(|call| call.call_sid().to_owned());
        let dice = Sha256::digest([SEED, kill]);
        let life_ms = u16::from_be_bytes([dice[0], dice[1]]) % LIFE_MS;
        let life = Duration::from_millis(life_ms.into());
        let mut seen = BTreeMap::new();
        tokio::select! {
            // The moment is the point: nothing is waited for.
            () = tokio::time::sleep(life) => {}
            () = talk(&mut one, &["customer-greeting", "agent-greeting"]) => {}
            () = talk(&mut other, &["agent-balance", "customer-account"]) => {}
            () = look(world, &guids, &mut seen) => {}
        }
        self.gateway.kill().await;
        self.answered.append(&mut seen);
    }

    /// What was answered is still there, all that is there is delivered, and in its order.
    async fn everything_arrives(&self) {
        let world = &self.gateway.world;
        until_open(world).await;
        for (guid, answered) in &self.answered {
            let kept = ids(world, guid).await;
            let lost: Vec<_> = answered.iter().filter(|id| !kept.contains(id)).collect();
            assert!(
                lost.is_empty(),
                "{lost:?} of {guid} were answered and are not kept"
            );
            let all = |taken: &[Taken]| {
                let taken = finals_of(taken, guid);
                kept.iter().all(|id| taken.contains(&format!("msg_{id}")))
            };
            eventually("every message to be delivered", self.receiver.wait_for(all)).await;
        }
        assert_eq!(self.receiver.complaints(), Vec::<String>::new());
        let counts = self.receiver.counts();
        assert!(counts.faults > 0 && counts.out_of_order == 0, "{counts}");
    }
}

async fn talk(call: &mut TwilioCall, phrases: &[&str]) {
    for id in phrases.iter().cycle().take(100) {
        if !try_say(call, id).await {
            break;
        }
    }
    std::future::pending().await
}

/// Asks for the calls' messages again and again and remembers them.
async fn look(world: &World, guids: &[String; 2], seen: &mut Answered) {
    loop {
        for guid in guids {
            let ids = ids(world, guid).await;
            seen.entry(guid.clone()).or_default().extend(ids);
        }
    }
}

async fn ids(world: &World, guid: &str) -> Vec<String> {
    let messages = messages(world, guid).await;
    let messages = messages.as_array().into_iter().flatten();
    messages
        .map(|message| message["messageId"].as_str().unwrap().to_owned())
        .collect()
}
