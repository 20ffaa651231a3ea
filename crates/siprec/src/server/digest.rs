//! Answers to digest challenges. RFC 7616, RFC 8760: MD5 and SHA-256, with and without `auth`.

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::message::{Headers, Request, split_list};
use crate::trunk::Credentials;

/// A challenge that we can answer.
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As it was written.
    algorithm: Option<String>,
    is_sha: bool,
    has_auth: bool,
}

/// Adds the answer to the challenge of a 401 or 407 to `request`. False if there is none that can
/// be answered.
pub(super) fn authorize(
    request: &mut Request,
    challenged: (u16, &Headers),
    credentials: &Credentials,
    cnonce: &str,
) -> bool {
    let (status, headers) = challenged;
    let (asks, answers) = if status == 407 {
        ("Proxy-Authenticate", "Proxy-Authorization")
    } else {
        ("WWW-Authenticate", "Authorization")
    };
    let mut challenges = headers
        .all(asks)
        .filter_map(Challenge::parse)
        .collect::<Vec<_>>();
    challenges.sort_by_key(|challenge| !challenge.is_sha);
    let Some(challenge) = challenges.first() else {
        return false;
    };
    let answer = challenge.answer(credentials, request.method.as_str(), &request.uri, cnonce);
    request.headers.push(answers, answer);
    true
}

impl Challenge {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let param = |name: &str| {
            split_list(rest).find_map(|pair| {
                let (known, value) = pair.split_once('=')?;
                let same = known.trim().eq_ignore_ascii_case(name);
                same.then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        let algorithm = param("algorithm");
        let is_sha = match algorithm.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("MD5") => false,
            Some("SHA-256") => true,
            Some(_) => return None,
        };
        let qop = param("qop");
        let has_auth = qop.as_deref().is_some_and(|qop| {
            qop.split(',')
                .any(|option| option.trim().eq_ignore_ascii_case("auth"))
        });
        if qop.is_some() && !has_auth {
            return None;
        }
        Some(Self {
            realm: param("realm")?,
            nonce: param("nonce")?,
            opaque: param("opaque"),
            algorithm,
            is_sha,
            has_auth,
        })
    }

    fn answer(&self, credentials: &Credentials, method: &str, uri: &str, cnonce: &str) -> String {
        let Credentials { user, password } = credentials;
        let Self { realm, nonce, .. } = self;
        let secret = self.hash(&format!("{user}:{realm}:{password}"));
        let asked = self.hash(&format!("{method}:{uri}"));
        let response = if self.has_auth {
            self.hash(&format!("{secret}:{nonce}:00000001:{cnonce}:auth:{asked}"))
        } else {
            self.hash(&format!("{secret}:{nonce}:{asked}"))
        };
        let mut text = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\""
        );
        if let Some(algorithm) = &self.algorithm {
            text += &format!(", algorithm={algorithm}");
        }
        if let Some(opaque) = &self.opaque {
            text += &format!(", opaque=\"{opaque}\"");
        }
        if self.has_auth {
            text += &format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\"");
        }
        text
    }

    fn hash(&self, text: &str) -> String {
        if self.is_sha {
            hex(&Sha256::digest(text))
        } else {
            hex(&Md5::digest(text))
        }
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Method;

    /// The challenges and answers of RFC 7616 §3.9.1.
    #[test]
    fn the_examples_of_the_rfc_are_answered_as_it_says() {
        let credentials = Credentials {
            user: "Mufasa".to_owned(),
            password: "Circle of Life".to_owned(),
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let challenge = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let mut headers = Headers::default();
        headers.push("WWW-Authenticate", challenge("MD5"));
        let method = || Request::new(Method::Other("GET".to_owned()), "/dir/index.html");
        let mut request = method();
        assert!(authorize(
            &mut request,
            (401, &headers),
            &credentials,
            cnonce
        ));
        let answer = request.headers.get("Authorization").unwrap();
        assert!(
            answer.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""),
            "{answer}"
        );

        headers.push("WWW-Authenticate", challenge("SHA-256"));
        let mut request = method();
        assert!(authorize(
            &mut request,
            (401, &headers),
            &credentials,
            cnonce
        ));
        let answer = request.headers.get("Authorization").unwrap();
        let response = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert!(answer.contains(response), "{answer}");
    }

    #[test]
    fn an_algorithm_that_is_not_known_is_not_answered() {
        let mut headers = Headers::default();
        headers.push(
            "Proxy-Authenticate",
            "Digest realm=\"a\", nonce=\"b\", algorithm=TOKEN",
        );
        headers.push("Proxy-Authenticate", "Basic realm=\"a\"");
        let credentials = Credentials {
            user: String::new(),
            password: String::new(),
        };
        let mut request = Request::new(Method::Bye, "sip:192.0.2.1");
        assert!(!authorize(&mut request, (407, &headers), &credentials, "c"));
    }

    proptest! {
        #[test]
        fn any_challenge_is_answered_on_one_line_or_not_at_all(
            challenge in "(Digest )?\\PC{0,80}",
        ) {
            let mut headers = Headers::default();
            headers.push("WWW-Authenticate", &challenge);
            let credentials = Credentials {
                user: "recorder".to_owned(),
                password: "very secret".to_owned(),
            };
            let mut request = Request::new(Method::Bye, "sip:192.0.2.1");
            let is_answered = authorize(&mut request, (401, &headers), &credentials, "c");
            let answer = request.headers.get("Authorization");
            prop_assert_eq!(is_answered, answer.is_some());
            let is_safe = answer.is_none_or(|answer| {
                !answer.contains("very secret") && !answer.contains(['\r', '\n'])
            });
            prop_assert!(is_safe);
        }
    }
}
