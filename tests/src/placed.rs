//! What a story does with a call, whichever platform it was placed on.

use std::time::Duration;

use serde_json::Value;
use sim::caller::siprec::{self, SiprecCall};
use sim::caller::twilio::{self, TwilioCall};
use sim::speech::{Phrase, Role};

/// The pause that ends an utterance.
const PAUSE: Duration = Duration::from_millis(700);

/// A call that the API can be asked about.
pub trait Placed {
    /// Its name in the API.
    fn guid(&self) -> String;

    /// Whether these legs have received all that reached the gateway's socket.
    fn has_arrived(&self, legs: &[Value]) -> bool;
}

/// A call whose time goes on while something else is awaited.
///
/// A recording client sends sound from beginning to end, so a SIPREC call has to be lent mutably: a
/// sender that stops is a network that stalls. Twilio's media clock stands still meanwhile.
pub trait Ongoing: Placed {
    /// Awaits an event and lets the call go on until then.
    fn meanwhile<T>(&mut self, event: impl Future<Output = T>) -> impl Future<Output = T>;
}

/// A call that speaks.
pub trait Speaking: Ongoing {
    /// Says a phrase on the line of its speaker, with the pause that ends an utterance.
    fn speak(&mut self, phrase: &Phrase) -> impl Future<Output = ()>;
}

impl Placed for TwilioCall {
    fn guid(&self) -> String {
        self.call_sid().to_owned()
    }

    fn has_arrived(&self, legs: &[Value]) -> bool {
        legs.iter().all(|leg| {
            let side = match leg["side"] == "first" {
                true => twilio::Side::Inbound,
                false => twilio::Side::Outbound,
            };
            received(leg) >= self.sent(side).samples
        })
    }
}

impl Ongoing for &TwilioCall {
    async fn meanwhile<T>(&mut self, event: impl Future<Output = T>) -> T {
        event.await
    }
}

impl Ongoing for &mut TwilioCall {
    async fn meanwhile<T>(&mut self, event: impl Future<Output = T>) -> T {
        event.await
    }
}

impl Speaking for &mut TwilioCall {
    async fn speak(&mut self, phrase: &Phrase) {
        let side = match phrase.role {
            Role::Agent => twilio::Side::Outbound,
            Role::Customer => twilio::Side::Inbound,
        };
        self.say(side, &phrase.samples).await.unwrap();
        self.silence(PAUSE).await.unwrap();
    }
}

impl Placed for SiprecCall {
    fn guid(&self) -> String {
        Self::guid(self)
    }

    fn has_arrived(&self, legs: &[Value]) -> bool {
        // No line receives more than was sent on it, so it is enough that the sums agree.
        let sent = self.all_sent().map(|sent| {
            let lost: u64 = sent.lost.iter().map(|lost| lost.end - lost.start).sum();
            sent.samples - lost
        });
        legs.iter().map(received).sum::<u64>() >= sent.sum()
    }
}

impl Ongoing for &mut SiprecCall {
    async fn meanwhile<T>(&mut self, event: impl Future<Output = T>) -> T {
        self.silence_while(event).await.unwrap()
    }
}

impl Speaking for &mut SiprecCall {
    async fn speak(&mut self, phrase: &Phrase) {
        let side = match phrase.role {
            Role::Agent => siprec::Side::Agent,
            Role::Customer => siprec::Side::Customer,
        };
        self.say(side, &phrase.samples).await.unwrap();
        self.silence(PAUSE).await.unwrap();
        self.flush().await.unwrap();
    }
}

impl<P: Placed> Placed for &P {
    fn guid(&self) -> String {
        P::guid(self)
    }

    fn has_arrived(&self, legs: &[Value]) -> bool {
        P::has_arrived(self, legs)
    }
}

impl<P: Placed> Placed for &mut P {
    fn guid(&self) -> String {
        P::guid(self)
    }

    fn has_arrived(&self, legs: &[Value]) -> bool {
        P::has_arrived(self, legs)
    }
}

fn received(leg: &Value) -> u64 {
    leg["counters"]["received"].as_u64().unwrap_or(0)
}
