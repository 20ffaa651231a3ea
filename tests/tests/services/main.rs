//! Stories of speech services that fail, for each of the services: what the consumer sees, that the
//! call goes on, and that the counts add up. `docs/services-faults.md` has them as a table.
//!
//! - a socket that breaks while somebody speaks: `breaks::*`
//! - a socket that is refused, late or not accepted: `refusals::*`
//! - a service that says strange things, or does not end as it should: `strange::*`
//! - sockets that are ended by rule, for lack of sound or for their age: `rules::*`
//! - outages, and pauses and stops within them: `outages::*`
//! - another service in place of one that fails: `turns::*`
//! - another service because somebody wishes so: `wishes::*`
//! - credentials that are replaced while calls run: `credentials::*`
//! - what only AssemblyAI asks for: `assemblyai::*`

#![expect(clippy::unwrap_used, reason = "a story fails by panic")]

/// A story of each service.
macro_rules! for_each_service {
    ($($story:ident;)*) => {$(
        mod $story {
            use sim::service::Protocol;

            #[tokio::test(flavor = "multi_thread")]
            async fn assemblyai() {
                super::$story(Protocol::AssemblyAi).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn autotranscribe() {
                super::$story(Protocol::AutoTranscribe).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn deepgram() {
                super::$story(Protocol::Deepgram).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn vosk() {
                super::$story(Protocol::Vosk).await;
            }
        }
    )*};
}

mod assemblyai;
mod breaks;
mod credentials;
mod outages;
#[expect(dead_code, reason = "who calls here has no name, and presses no key")]
#[path = "../privacy/page.rs"]
mod page;
mod proof;
mod refusals;
mod rules;
mod story;
mod strange;
mod turns;
mod wishes;

/// The test whose body is a gateway.
const GATEWAY: &str = "a_gateway_of_its_own";

#[test]
#[ignore = "it is the gateway's process when a story wants one"]
fn a_gateway_of_its_own() {
    rig::apart::serve();
}
