//! What our signature code says to questions on stdin, each a line of JSON, for a program that asks
//! Twilio's own library the same. It shows the tokens it is given to nobody.

use std::io::{BufRead, Write};

use call::private::Private;
use ingress::twilio::signature::{BadSignature, Signed, Verifier, compute};
use serde_json::{Value, json};
use url::Url;

/// One question.
#[derive(serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Question {
    /// What is the signature?
    Compute {
        token: String,
        url: String,
        params: Vec<(String, String)>,
    },
    /// Is this the signature?
    Verify {
        public_url: String,
        auth_tokens: Vec<String>,
        shared_keys: Vec<(String, String)>,
        path: String,
        query: Option<String>,
        signature: Option<String>,
        settings: Option<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let mut answers = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let question = serde_json::from_str(&line?)?;
        writeln!(answers, "{}", answer(question)?)?;
    }
    answers.flush()?;
    Ok(())
}

fn answer(question: Question) -> anyhow::Result<Value> {
    Ok(match question {
        Question::Compute { token, url, params } => {
            let params: Vec<(&str, &str)> = params
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            json!(compute(&token, &url, &params))
        }
        Question::Verify {
            public_url,
            auth_tokens,
            shared_keys,
            path,
            query,
            signature,
            settings,
        } => {
            let auth_tokens: Vec<_> = auth_tokens.into_iter().map(Private::new).collect();
            let shared_keys: Vec<_> = shared_keys
                .into_iter()
                .map(|(id, secret)| (id, Private::new(secret)))
                .collect();
            let verifier = Verifier::new(&Url::parse(&public_url)?, &auth_tokens, &shared_keys);
            let signed = Signed {
                path: &path,
                query: query.as_deref(),
                signature: signature.as_deref(),
                settings: settings.as_deref(),
            };
            json!(match verifier.verify(&signed) {
                Ok(()) => "good",
                Err(BadSignature::Mismatch) => "mismatch",
                Err(BadSignature::Missing) => "missing",
                Err(BadSignature::Unknown) => "unknown",
            })
        }
    })
}
