//! What these stories share: who is turned away, and who does not notice.

use std::time::Duration;

use rig::shown::{heard, until_metric};
use rig::{World, eventually, phrase};
use sim::caller::siprec::{DialError, Message, RawDialog, Refused, SiprecCall};
use sim::caller::twilio::{DialError as TwilioDialError, Options, Refusal, Side, TwilioCall};
use sim::control;
use sim::speech::Role;

/// How long the gateway may take for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Two lines of μ-law that lead nowhere.
pub(crate) const SDP: &str = "v=0\r\no=src 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n\
    t=0 0\r\nm=audio 9 RTP/AVP 0\r\na=label:1\r\na=sendonly\r\n\
    m=audio 9 RTP/AVP 0\r\na=label:2\r\na=sendonly\r\n";

/// The API, asked about Twilio's calls.
pub(crate) fn twilio(world: &World) -> control::Gateway {
    world.api.on("twilio")
}

/// A call of each platform that is transcribed, beside whatever goes wrong.
pub(crate) struct Witnesses {
    recorded: SiprecCall,
    forked: TwilioCall,
}

impl Witnesses {
    pub(crate) async fn of(world: &World) -> Self {
        let mut recorded = world.record().await;
        world.start(&mut recorded).await;
        world.say(&mut recorded, "customer-greeting").await;
        let forked = world.dial().await;
        let guid = forked.call_sid().to_owned();
        let start = control::Start::of(&guid);
        let api = twilio(world);
        let started = recorded.silence_while(api.start(&start)).await;
        let started = started.unwrap().unwrap();
        assert!(started.is_ok(), "{}", started.complaint());
        Self { recorded, forked }
    }

    /// Lets the calls go on meanwhile.
    pub(crate) async fn beside<T>(&mut self, trouble: impl Future<Output = T>) -> T {
        self.recorded.silence_while(trouble).await.unwrap()
    }

    /// They can be stopped and started, speak on, and every word of theirs was heard.
    pub(crate) async fn assert_unharmed(self, world: &World) {
        let Self {
            mut recorded,
            mut forked,
        } = self;
        let account = &phrase("customer-account").samples;
        forked.say(Side::Inbound, account).await.unwrap();
        forked.silence(Duration::from_millis(700)).await.unwrap();
        world.stop(&mut recorded).await;
        world.start(&mut recorded).await;
        world.say(&mut recorded, "customer-goodbye").await;
        world.stop(&mut recorded).await;
        let guid = forked.call_sid().to_owned();
        let said = forked.sent(Side::Inbound).samples;
        let api = twilio(world);
        let stopped = recorded.silence_while(api.stop(&guid)).await;
        let stopped = stopped.unwrap().unwrap();
        assert!(stopped.is_ok(), "{}", stopped.complaint());
        assert_eq!(stopped.confirmed_bytes("customer"), Some(2 * said));
        assert_eq!(heard(world, &guid, Role::Customer), ["customer-account"]);
        assert_eq!(
            heard(world, &recorded.guid(), Role::Customer),
            ["customer-greeting", "customer-goodbye"]
        );
        forked.hang_up().await.unwrap();
        recorded.hang_up().await.unwrap();
    }
}

/// How the gateway answers OPTIONS.
pub(crate) async fn options(world: &World) -> Message {
    let mut raw = RawDialog::open(&world.recording_options()).await.unwrap();
    let request = raw.request("OPTIONS", None);
    ask(&mut raw, &request).await
}

/// Sends a request and gives its final answer; that of a refused INVITE is acknowledged.
pub(crate) async fn ask(raw: &mut RawDialog, request: &Message) -> Message {
    raw.send(request).await.unwrap();
    let answer = raw.answer(PATIENCE).await.expect("an answer");
    if request.method() == "INVITE" && answer.status() >= 300 {
        let ack = raw.ack(request, &answer);
        raw.send(&ack).await.unwrap();
    }
    answer
}

/// A session is refused.
pub(crate) async fn session_refused(world: &World) -> Refused {
    match world.try_record(|_| {}).await {
        Err(DialError::Refused(refused)) => *refused,
        other => panic!("the session was not refused: {other:?}"),
    }
}

/// A media stream is refused.
pub(crate) async fn stream_refused(options: Options) -> Refusal {
    match TwilioCall::dial(options).await {
        Err(TwilioDialError::Refused(refusal)) => refusal,
        other => panic!("the stream was not refused: {other:?}"),
    }
}

/// Everybody who is new is sent away, and told why where that is no secret.
pub(crate) async fn takes_nobody(world: &World, reason: &str, words: &str) {
    let refusals = format!("antiphon_admission_refusals_total{{reason=\"{reason}\"}}");
    let before = world.metric(&refusals).await;
    let refused = session_refused(world).await;
    assert_eq!((refused.status, refused.retry_after), (503, Some(5)));
    let warning = refused.warning.unwrap_or_default();
    assert!(warning.contains(words), "{warning}");
    let answer = options(world).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("Retry-After"), Some("5"));
    assert!(answer.header("Warning").unwrap().contains(words));
    let refusal = stream_refused(world.options().await).await;
    assert_eq!(
        (refusal.status, refusal.header("retry-after")),
        (503, Some("5"))
    );
    assert!(refusal.body.contains("503-01"), "{}", refusal.body);
    assert!(!refusal.body.contains(words), "{}", refusal.body);
    let ready = world.api.get("/health/ready").await.unwrap();
    assert_eq!((ready.status, ready.code()), (503, Some("503-01")));
    let message = ready.body["error"]["message"].as_str().unwrap();
    assert!(message.contains(words), "{message}");
    assert_eq!(world.api.get("/health/live").await.unwrap().status, 200);
    // A session and a stream; who only asks is not one who was turned away.
    assert_eq!(world.metric(&refusals).await, before + 2.0);
    let upgrades = "antiphon_twilio_upgrades_total{result=\"overloaded\"}";
    assert!(world.metric(upgrades).await >= 1.0);
}

/// Waits until the gateway says that there is too much of something, or not any more.
pub(crate) async fn until_overloaded(world: &World, reason: &str, is_overloaded: bool) {
    let series = format!("antiphon_overloaded{{reason=\"{reason}\"}}");
    until_metric(world, &series, |value| (value == 1.0) == is_overloaded).await;
}

/// Everybody is taken again: a call of each platform comes and goes.
pub(crate) async fn takes_everybody(world: &World) {
    let ready = async { while world.api.get("/health/ready").await.unwrap().status != 200 {} };
    eventually("readiness", ready).await;
    assert_eq!(options(world).await.status(), 200);
    world.record().await.hang_up().await.unwrap();
    world.dial().await.hang_up().await.unwrap();
}
