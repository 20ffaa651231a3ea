//! Challenges to the recording server's own requests, and whether its answers prove that it knows
//! the password. RFC 2617 §3.2, RFC 8760, with MD5 written from RFC 1321.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use uuid::Uuid;

use super::message::Message;

/// What the recording server must know before its requests in a dialog are heard.
#[derive(Clone)]
pub struct Challenge {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Realm.
    pub realm: String,
    /// What is asked for.
    pub algorithm: Algorithm,
    /// Challenge as a proxy does: 407 instead of 401.
    pub proxy: bool,
    nonce: String,
}

/// A digest's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5`
    Md5,
    /// `SHA-256`
    Sha256,
}

impl Challenge {
    /// A challenge with a nonce of its own, as a server does it.
    pub fn new(user: &str, password: &str, algorithm: Algorithm) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            realm: "recorded.example.com".to_owned(),
            algorithm,
            proxy: false,
            nonce: Uuid::new_v4().simple().to_string(),
        }
    }

    /// The response to a request that proves nothing; `None` for one that does.
    pub(super) fn response(&self, request: &Message) -> Option<Message> {
        if self.is_met(request) {
            return None;
        }
        let (status, reason, name) = match self.proxy {
            true => (407, "Proxy Authentication Required", "Proxy-Authenticate"),
            false => (401, "Unauthorized", "WWW-Authenticate"),
        };
        let mut response = Message::response(status, reason, request);
        let Self { realm, nonce, .. } = self;
        let algorithm = self.algorithm.as_str();
        let value = format!(
            "Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\""
        );
        response.add(name, &value);
        Some(response)
    }

    fn is_met(&self, request: &Message) -> bool {
        let name = match self.proxy {
            true => "Proxy-Authorization",
            false => "Authorization",
        };
        let Some(proof) = request
            .header(name)
            .and_then(|value| value.strip_prefix("Digest"))
        else {
            return false;
        };
        let said = |name: &str| {
            let mut parameters = proof.split(',').filter_map(|word| word.split_once('='));
            let found = parameters.find(|(there, _)| there.trim() == name);
            found.map_or("", |(_, value)| value.trim().trim_matches('"'))
        };
        let hash = |text: String| self.algorithm.hash(text.as_bytes());
        let Self {
            user,
            password,
            realm,
            nonce,
            ..
        } = self;
        let who = hash(format!("{user}:{realm}:{password}"));
        let what = hash(format!("{}:{}", request.method(), said("uri")));
        let proof = match said("qop") {
            "" => format!("{who}:{nonce}:{what}"),
            qop => {
                let (count, own) = (said("nc"), said("cnonce"));
                format!("{who}:{nonce}:{count}:{own}:{qop}:{what}")
            }
        };
        (said("username"), said("nonce"), said("response")) == (user, nonce, &hash(proof))
    }
}

impl Algorithm {
    fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hash(self, bytes: &[u8]) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Md5 => hex(&md5(bytes)),
            Self::Sha256 => hex(digest(&SHA256, bytes).as_ref()),
        }
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Challenge({})", self.algorithm.as_str())
    }
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    const TURNS: [[u32; 4]; 4] = [
        [7, 12, 17, 22],
        [5, 9, 14, 20],
        [4, 11, 16, 23],
        [6, 10, 15, 21],
    ];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(bytes.len() as u64 * 8).to_le_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.chunks_exact(64) {
        let word = |at: usize| {
            let bytes = [0, 1, 2, 3].map(|byte| block[at * 4 + byte]);
            u32::from_le_bytes(bytes)
        };
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, at) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let sine = ((step as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(sine);
            let sum = sum.wrapping_add(word(at % 16));
            let turned = sum.rotate_left(TURNS[step / 16][step % 4]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
        }
        for (word, more) in state.iter_mut().zip([a, b, c, d]) {
            *word = word.wrapping_add(more);
        }
    }
    let mut out = [0; 16];
    for (four, word) in out.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_is_that_of_rfc_1321() {
        let hash = |text: &str| Algorithm::Md5.hash(text.as_bytes());
        assert_eq!(hash(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hash("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        let long = "1234567890".repeat(8);
        assert_eq!(hash(&long), "57edf4a22be3c955ac49da2e2107b67a");
    }

    #[test]
    fn only_who_knows_the_password_is_heard() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let challenge = Challenge::new("srs", "secret", algorithm);
            let mut bye = Message::request("BYE", "sip:src@192.0.2.9");
            let refused = challenge.response(&bye).unwrap();
            let asked = refused.header("WWW-Authenticate").unwrap();
            assert!(asked.contains(&challenge.nonce) && refused.status() == 401);
            let hash = |text: String| algorithm.hash(text.as_bytes());
            let who = hash("srs:recorded.example.com:secret".to_owned());
            let what = hash("BYE:sip:src@192.0.2.9".to_owned());
            let nonce = &challenge.nonce;
            let proof = hash(format!("{who}:{nonce}:00000001:abc:auth:{what}"));
            let said = format!(
                "Digest username=\"srs\", realm=\"recorded.example.com\", nonce=\"{nonce}\", \
                 uri=\"sip:src@192.0.2.9\", qop=auth, nc=00000001, cnonce=\"abc\", \
                 response=\"{proof}\""
            );
            bye.add("Authorization", &said);
            assert_eq!(challenge.response(&bye), None);
            bye.set("Authorization", &said.replace("abc", "abd"));
            assert!(challenge.response(&bye).is_some());
        }
    }

    #[test]
    fn the_example_of_rfc_2617_is_met() {
        let mut challenge = Challenge::new("Mufasa", "Circle Of Life", Algorithm::Md5);
        challenge.realm = "testrealm@host.com".to_owned();
        challenge.nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093".to_owned();
        let mut request = Message::request("GET", "/dir/index.html");
        let said = format!(
            "Digest username=\"Mufasa\", nonce=\"{}\", uri=\"/dir/index.html\", qop=auth, \
             nc=00000001, cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\"",
            challenge.nonce
        );
        request.add("Authorization", &said);
        assert!(challenge.is_met(&request));
    }
}
