//! What the parties say in these stories: beginnings of the script's phrases, each up to a pause.
//! Sound is sent in its own time, so that a word instead of a sentence is most of a story.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rig::World;
use rig::placed::Speaking;
use sim::caller::siprec::SiprecCall;
use sim::hearing::{Hearing, Lexicon};
use sim::service::autotranscribe::Config;
use sim::speech::Phrase;

/// What the parties say first.
pub(crate) const GREETINGS: [&str; 2] = ["customer-hello", "agent-hello"];
/// What they say last.
pub(crate) const GOODBYES: [&str; 2] = ["customer-bye", "agent-bye"];
/// What is said between them, or to nobody.
pub(crate) const ASIDES: [&str; 2] = ["customer-aside", "agent-aside"];

/// The pause that ends an utterance.
pub(crate) const PAUSE: Duration = Duration::from_millis(400);

/// A word, of which phrase it is, and how many samples long.
const WORDS: [(&str, &str, usize); 6] = [
    ("agent-aside", "agent-anything-else", 6_400),
    ("agent-bye", "agent-goodbye", 7_200),
    ("agent-hello", "agent-greeting", 5_280),
    ("customer-aside", "customer-relieved", 7_200),
    ("customer-bye", "customer-goodbye", 7_360),
    ("customer-hello", "customer-greeting", 6_560),
];

/// One of the words.
pub(crate) fn word(id: &str) -> &'static Phrase {
    let mut words = ALL.iter();
    let found = words.find(|word| &*word.id == id);
    found.unwrap_or_else(|| panic!("no word {id}"))
}

/// Where a listener finds the beginning of a word, in milliseconds of the word itself.
pub(crate) fn onset(id: &str) -> u64 {
    let mut hearing = Hearing::new(Arc::clone(&LEXICON));
    let mut samples = word(id).samples.to_vec();
    samples.resize(samples.len() + 8_000, 0);
    hearing.hear(&samples)[0].start_ms
}

/// A service that hears the words, and nothing else.
pub(crate) fn attentive() -> Config {
    Config {
        lexicon: Some(Arc::clone(&LEXICON)),
        ..crate::support::deaf()
    }
}

/// A gateway that records for this machine, and such a service.
pub(crate) async fn recording() -> World {
    recording_with("").await
}

/// The same, with more configuration.
pub(crate) async fn recording_with(more: &str) -> World {
    World::recording_to(attentive(), more).await
}

/// Says a word on the line of its speaker, with the pause that ends it, and waits until all of it
/// has arrived.
pub(crate) async fn say(world: &World, mut call: &mut SiprecCall, id: &str) {
    call.speak(word(id)).await;
    world.arrived(&*call).await;
}

/// Both parties say something at once, and all of it has arrived.
pub(crate) async fn converse(world: &World, call: &mut SiprecCall, words: [&str; 2]) {
    let [customer, agent] = words.map(|id| &word(id).samples);
    call.converse(customer, agent).await.unwrap();
    call.silence(PAUSE).await.unwrap();
    world.arrived(&*call).await;
}

static ALL: LazyLock<Vec<Phrase>> = LazyLock::new(|| {
    let cut = |(id, of, samples): (&str, &str, usize)| {
        let phrase = rig::phrase(of).clone();
        Phrase {
            id: id.into(),
            text: id.into(),
            spoken: id.into(),
            samples: phrase.samples[..samples].into(),
            ..phrase
        }
    };
    WORDS.map(cut).to_vec()
});

static LEXICON: LazyLock<Arc<Lexicon>> =
    LazyLock::new(|| Arc::new(Lexicon::new(ALL.iter()).unwrap()));
