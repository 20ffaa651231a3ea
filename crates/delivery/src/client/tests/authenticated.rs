//! Who we are: signatures, secrets, tokens.

use super::*;
use crate::endpoint::OAuth2;

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn verifies(seen: &Seen, secret: &str) -> bool {
    let webhook = standardwebhooks::Webhook::new(secret).unwrap();
    webhook.verify(&seen.body, &seen.headers).is_ok()
}

fn with_secrets(address: SocketAddr, secrets: &[&str]) -> Endpoint {
    Endpoint {
        secrets: secrets
            .iter()
            .map(|secret| (*secret).to_owned().into())
            .collect(),
        ..endpoint(address)
    }
}

#[tokio::test]
async fn others_verify_what_arrives_before_during_and_after_a_rotation() {
    let receiver = Receiver::saying(200, &[]).await;
    let client = client(&with_secrets(receiver.address, &[OLD]), &Limits::default());
    let secrets: [&[&str]; 2] = [&[OLD, NEW], &[NEW]];
    client.carry(letter()).await;
    for secrets in secrets {
        client
            .replace_secrets(&with_secrets(receiver.address, secrets))
            .unwrap();
        client.carry(letter()).await;
    }
    let seen = receiver.seen();
    let verified: Vec<_> = seen
        .iter()
        .map(|seen| (verifies(seen, OLD), verifies(seen, NEW)))
        .collect();
    assert_eq!(verified, [(true, false), (true, true), (false, true)]);
}

#[tokio::test]
async fn a_secret_goes_in_the_header_or_the_parameter_that_was_asked_for() {
    let receiver = Receiver::saying(200, &[]).await;
    let (name, secret) = ("x-api-key".to_owned(), Private::new("p&w =".to_owned()));
    let header = Authentication::Header {
        name,
        secret: secret.clone(),
    };
    let parameter = Authentication::Parameter {
        name: "code".to_owned(),
        secret,
    };
    for authentication in [header, parameter] {
        let endpoint = Endpoint {
            authentication,
            ..endpoint(receiver.address)
        };
        assert_eq!(post(&endpoint).await.class, Class::Delivered);
    }
    let seen = receiver.seen();
    assert_eq!(seen[0].headers["x-api-key"], "p&w =");
    assert_eq!(seen[0].uri, "/hook?x=1");
    assert_eq!(seen[1].uri, "/hook?x=1&code=p%26w+%3D");
}

#[tokio::test]
async fn what_goes_wrong_is_told_without_the_url_and_its_secret() {
    let (name, secret) = ("code".to_owned(), Private::new("geheim".to_owned()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let authentication = Authentication::Parameter { name, secret };
    let outcome = post(&Endpoint {
        authentication,
        ..endpoint(address)
    })
    .await;
    assert_eq!(outcome.why, "no connection");
}

/// Gives tokens `t0`, `t1` and so on at `/token`, and takes only those of `good`.
async fn issuer(good: &'static [&'static str]) -> Receiver {
    let given = Mutex::new(0);
    Receiver::start(move |seen, _| {
        if seen.uri != "/token" {
            let token = seen.headers["authorization"].to_str().unwrap();
            let is_good = good.contains(&token.trim_start_matches("Bearer "));
            return answer(if is_good { 200 } else { 401 }, &[], "");
        }
        let mut given = given.lock().unwrap();
        let token =
            format!(r#"{{"access_token":"t{given}","token_type":"Bearer","expires_in":60}}"#);
        *given += 1;
        answer(200, &[], token)
    })
    .await
}

fn with_tokens(address: SocketAddr, secret_in_body: bool) -> Endpoint {
    let oauth2 = OAuth2 {
        token_url: format!("http://{address}/token").parse().unwrap(),
        client_id: "anti phon".to_owned(),
        client_secret: "p:w".to_owned().into(),
        scope: Some("a b".to_owned()),
        audience: Some("crm".to_owned()),
        secret_in_body,
    };
    Endpoint {
        authentication: Authentication::OAuth2(oauth2),
        ..endpoint(address)
    }
}

fn fetches(receiver: &Receiver) -> usize {
    receiver
        .seen()
        .iter()
        .filter(|seen| seen.uri == "/token")
        .count()
}

#[tokio::test]
async fn a_token_is_fetched_once_for_many_that_need_it() {
    let receiver = issuer(&["t0"]).await;
    let client = client(&with_tokens(receiver.address, false), &Limits::default());
    let all = futures_util::future::join_all((0..8).map(|_| client.carry(letter()))).await;
    assert!(all.iter().all(|outcome| outcome.class == Class::Delivered));
    assert_eq!((fetches(&receiver), receiver.seen().len()), (1, 9));
    let asked = &receiver.seen()[0];
    assert_eq!(asked.headers["authorization"], "Basic YW50aStwaG9uOnAlM0F3");
    let form = "grant_type=client_credentials&scope=a+b&audience=crm";
    assert_eq!(asked.body, form);
}

#[tokio::test]
async fn the_client_may_prove_itself_in_the_body() {
    let receiver = issuer(&["t0"]).await;
    post(&with_tokens(receiver.address, true)).await;
    let asked = &receiver.seen()[0];
    assert!(!asked.headers.contains_key("authorization"));
    let form = str::from_utf8(&asked.body).unwrap();
    assert!(
        form.ends_with("&client_id=anti+phon&client_secret=p%3Aw"),
        "{form}"
    );
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let receiver = issuer(&["t1"]).await;
    assert_eq!(
        post(&with_tokens(receiver.address, false)).await.class,
        Class::Delivered
    );
    assert_eq!(fetches(&receiver), 2);
    let never = issuer(&[]).await;
    let outcome = post(&with_tokens(never.address, false)).await;
    assert_eq!(
        (outcome.class, outcome.why.as_str()),
        (Class::Refused, "status 401")
    );
    assert_eq!(fetches(&never), 2);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_runs_out() {
    let receiver = issuer(&["t0", "t1"]).await;
    let limits = Limits {
        token_skew: Duration::from_secs(59),
        ..Limits::default()
    };
    let client = client(&with_tokens(receiver.address, false), &limits);
    let grant = |life| {
        let text = format!(r#"{{"access_token":"x","token_type":"bearer","expires_in":{life}}}"#);
        Grant::read(text.as_bytes())
            .unwrap()
            .life(limits.token_skew)
            .as_secs()
    };
    assert_eq!((grant(3600), grant(60), grant(0)), (3541, 30, 0));
    client.carry(letter()).await;
    assert_eq!(fetches(&receiver), 1);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let answers: [(u16, &'static str, &str); 4] = [
        (500, "", "no token: status 500"),
        (200, "gibberish", "no token: the answer is none"),
        (
            200,
            r#"{"access_token":"x","token_type":"mac"}"#,
            "no token: it is no bearer token",
        ),
        (
            200,
            r#"{"access_token":"\n","token_type":"bearer"}"#,
            "no token: it is no bearer token",
        ),
    ];
    for (status, body, why) in answers {
        let receiver = Receiver::start(move |_, _| answer(status, &[], body)).await;
        let outcome = post(&with_tokens(receiver.address, false)).await;
        assert_eq!(outcome, Outcome::new(Class::Failed, why));
        assert_eq!(receiver.seen().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_with_a_token_has_its_bounds() {
    let receiver = Receiver::start(|_, _| answer(200, &[], vec![b' '; 100_000])).await;
    let outcome = post(&with_tokens(receiver.address, false)).await;
    assert_eq!(outcome.why, "no token: the answer is too long");
}
