//! SRTP and SRTCP keyed by SDES, with key derivation, keystream and tags of its own on AES and
//! HMAC. RFC 3711, RFC 4568, RFC 6188, RFC 7714.

use std::fmt;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a GCM tag.
const GCM_TAG: usize = 16;
/// Bytes of an SRTCP tag of the HMAC suites, whatever that of SRTP is. RFC 4568 §6.2.
const SRTCP_TAG: usize = 10;
/// SRTCP's first word behind the payload: this packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// What protects packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum Suite {
    /// AES-CM with tags of 32 bits.
    #[value(name = "AES_CM_128_HMAC_SHA1_32")]
    AesCm128HmacSha1_32,
    /// AES-CM with tags of 80 bits: the one everybody has.
    #[value(name = "AES_CM_128_HMAC_SHA1_80")]
    AesCm128HmacSha1_80,
    /// AES-GCM.
    #[value(name = "AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    /// AES-GCM with the longer key.
    #[value(name = "AEAD_AES_256_GCM")]
    AeadAes256Gcm,
}

/// Suite, master key and master salt of one direction: an `a=crypto` line.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// What the answer repeats.
    pub tag: u32,
    /// The suite.
    pub suite: Suite,
    /// Key and salt behind each other, as `inline:` has them.
    pub key_salt: Vec<u8>,
}

/// One direction's keys in use.
pub(super) struct Context {
    suite: Suite,
    media: Half,
    control: Half,
    /// Of the next SRTCP packet.
    control_index: u32,
}

/// The session keys of SRTP, or those of SRTCP.
struct Half {
    cipher: Cipher,
    /// 14 bytes; of GCM the last two are not used.
    salt: [u8; 14],
}

enum Cipher {
    Counter(Box<(EncryptingKey, hmac::Key)>),
    Gcm(LessSafeKey),
}

impl Suite {
    /// As it stands in `a=crypto`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    /// Bytes of the key and of the salt.
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
            Self::AesCm128HmacSha1_32 | Self::AesCm128HmacSha1_80 => (16, 14),
        }
    }

    /// Bytes of the tag of an SRTP packet.
    fn tag(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => GCM_TAG,
            Self::AesCm128HmacSha1_32 => 4,
            Self::AesCm128HmacSha1_80 => 10,
        }
    }
}

impl Crypto {
    /// A fresh key.
    pub fn random(suite: Suite) -> Self {
        let (key, salt) = suite.lengths();
        let mut key_salt = vec![0; key + salt];
        aws_lc_rs::rand::fill(&mut key_salt).expect("the system has random bytes");
        Self {
            tag: 1,
            suite,
            key_salt,
        }
    }

    /// Reads what stands behind `a=crypto:`; lifetime and further keys are passed over.
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_whitespace();
        let tag = words.next()?.parse().ok()?;
        let name = words.next()?;
        let suite = [
            Suite::AeadAes128Gcm,
            Suite::AeadAes256Gcm,
            Suite::AesCm128HmacSha1_32,
            Suite::AesCm128HmacSha1_80,
        ];
        let suite = suite.into_iter().find(|suite| suite.as_str() == name)?;
        let inline = words.next()?.strip_prefix("inline:")?;
        let key_salt = STANDARD.decode(inline.split(['|', ';']).next()?).ok()?;
        let (key, salt) = suite.lengths();
        (key_salt.len() == key + salt).then_some(Self {
            tag,
            suite,
            key_salt,
        })
    }

    /// The value of the `a=crypto` line.
    pub fn line(&self) -> String {
        let key_salt = STANDARD.encode(&self.key_salt);
        format!("{} {} inline:{key_salt}", self.tag, self.suite.as_str())
    }
}

impl Context {
    /// Derives the session keys. RFC 3711 §4.3, RFC 7714 §11.
    pub(super) fn new(crypto: &Crypto) -> Self {
        let (key, _) = crypto.suite.lengths();
        let (key, short) = crypto.key_salt.split_at(key);
        let mut salt = [0; 14];
        salt[..short.len()].copy_from_slice(short);
        Self {
            suite: crypto.suite,
            media: Half::new(crypto.suite, key, salt, 0),
            control: Half::new(crypto.suite, key, salt, 3),
            control_index: 0,
        }
    }

    /// Encrypts and signs an RTP packet with a header of 12 bytes; `index` is its sequence number
    /// with the rollovers above it.
    pub(super) fn protect(&self, packet: &mut Vec<u8>, index: u64) {
        let ssrc = word(packet, 8);
        match &self.media.cipher {
            Cipher::Counter(keys) => {
                let (key, sign) = &**keys;
                keystream(
                    key,
                    counter(self.media.salt, ssrc, index),
                    &mut packet[12..],
                );
                let mut signing = hmac::Context::with_key(sign);
                signing.update(packet);
                signing.update(&((index >> 16) as u32).to_be_bytes());
                let tag = signing.sign();
                packet.extend_from_slice(&tag.as_ref()[..self.suite.tag()]);
            }
            Cipher::Gcm(key) => {
                let mut iv = [0; 12];
                iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
                iv[6..].copy_from_slice(&index.to_be_bytes()[2..]);
                let (header, payload) = packet.split_at_mut(12);
                let tag = seal(key, self.media.nonce(iv), header, payload);
                packet.extend_from_slice(&tag);
            }
        }
    }

    /// Encrypts and signs an RTCP compound packet. RFC 3711 §3.4, RFC 7714 §9.
    pub(super) fn protect_control(&mut self, packet: &mut Vec<u8>) {
        let (ssrc, index) = (word(packet, 4), self.control_index);
        self.control_index += 1;
        let trailer = (index | ENCRYPTED).to_be_bytes();
        match &self.control.cipher {
            Cipher::Counter(keys) => {
                let (key, sign) = &**keys;
                let iv = counter(self.control.salt, ssrc, u64::from(index));
                keystream(key, iv, &mut packet[8..]);
                packet.extend_from_slice(&trailer);
                let tag = hmac::sign(sign, packet);
                packet.extend_from_slice(&tag.as_ref()[..SRTCP_TAG]);
            }
            Cipher::Gcm(key) => {
                let nonce = self.control.nonce(control_iv(ssrc, index));
                let (header, payload) = packet.split_at_mut(8);
                let tag = seal(key, nonce, &[&*header, &trailer].concat(), payload);
                packet.extend_from_slice(&tag);
                packet.extend_from_slice(&trailer);
            }
        }
    }

    /// Checks and decrypts an RTCP compound packet; `None` when it is not the peer's.
    pub(super) fn open_control(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let ssrc = u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?);
        match &self.control.cipher {
            Cipher::Counter(keys) => {
                let (key, sign) = &**keys;
                let signed = packet.len().checked_sub(SRTCP_TAG)?;
                let end = signed.checked_sub(4).filter(|&end| end >= 8)?;
                let tag = hmac::sign(sign, &packet[..signed]);
                if tag.as_ref()[..SRTCP_TAG] != packet[signed..] {
                    return None;
                }
                let trailer = word(packet, end);
                let mut plain = packet[..end].to_vec();
                if trailer & ENCRYPTED != 0 {
                    let index = u64::from(trailer & !ENCRYPTED);
                    keystream(
                        key,
                        counter(self.control.salt, ssrc, index),
                        &mut plain[8..],
                    );
                }
                Some(plain)
            }
            Cipher::Gcm(key) => {
                let end = packet.len().checked_sub(4)?;
                let sealed = end.checked_sub(GCM_TAG).filter(|&sealed| sealed >= 8);
                sealed?;
                let trailer = word(packet, end);
                let nonce = self.control.nonce(control_iv(ssrc, trailer & !ENCRYPTED));
                let known = [&packet[..8], &packet[end..]].concat();
                let mut body = packet[8..end].to_vec();
                let plain = key.open_in_place(nonce, Aad::from(known), &mut body).ok()?;
                Some([&packet[..8], plain].concat())
            }
        }
    }
}

impl Half {
    fn new(suite: Suite, master: &[u8], master_salt: [u8; 14], label: u8) -> Self {
        let derive = |label, out: &mut [u8]| derive(master, master_salt, label, out);
        let mut salt = [0; 14];
        let cipher = match suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => {
                let mut key = vec![0; master.len()];
                derive(label, &mut key);
                derive(label + 2, &mut salt[..12]);
                let algorithm = if key.len() == 16 {
                    &aead::AES_128_GCM
                } else {
                    &aead::AES_256_GCM
                };
                let key = UnboundKey::new(algorithm, &key).expect("the key is as long as it must");
                Cipher::Gcm(LessSafeKey::new(key))
            }
            Suite::AesCm128HmacSha1_32 | Suite::AesCm128HmacSha1_80 => {
                let (mut key, mut sign) = ([0; 16], [0; 20]);
                derive(label, &mut key);
                derive(label + 1, &mut sign);
                derive(label + 2, &mut salt);
                let sign = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &sign);
                Cipher::Counter(Box::new((counter_key(&key), sign)))
            }
        };
        Self { cipher, salt }
    }

    /// RFC 7714 §8.1, §9.1.
    fn nonce(&self, mut iv: [u8; 12]) -> Nonce {
        for (byte, salt) in iv.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(iv)
    }
}

/// The key derivation function with a rate of nought. RFC 3711 §4.3.1, §4.3.3.
fn derive(master: &[u8], mut salt: [u8; 14], label: u8, out: &mut [u8]) {
    salt[7] ^= label;
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(&salt);
    out.fill(0);
    keystream(&counter_key(master), iv, out);
}

fn counter_key(key: &[u8]) -> EncryptingKey {
    let algorithm = if key.len() == 16 {
        &cipher::AES_128
    } else {
        &cipher::AES_256
    };
    let key = UnboundCipherKey::new(algorithm, key).expect("the key is as long as it must");
    EncryptingKey::ctr(key).expect("AES has a counter mode")
}

/// RFC 3711 §4.1.1.
fn counter(salt: [u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(&salt);
    for (byte, ssrc) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
        *byte ^= ssrc;
    }
    for (byte, index) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
        *byte ^= index;
    }
    iv
}

fn keystream(key: &EncryptingKey, iv: [u8; 16], bytes: &mut [u8]) {
    let context = EncryptionContext::Iv128(iv.into());
    key.less_safe_encrypt(bytes, context)
        .expect("counter mode takes any number of bytes");
}

fn seal(key: &LessSafeKey, nonce: Nonce, known: &[u8], payload: &mut [u8]) -> Vec<u8> {
    let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(known), payload);
    let tag = sealed.expect("a packet is not too long to be sealed");
    tag.as_ref().to_vec()
}

fn control_iv(ssrc: u32, index: u32) -> [u8; 12] {
    let mut iv = [0; 12];
    iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
    iv[8..].copy_from_slice(&index.to_be_bytes());
    iv
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({}, {})", self.tag, self.suite.as_str())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.suite.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text
            .chars()
            .filter(|digit| !digit.is_whitespace())
            .collect();
        let pairs = digits.chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    const SUITES: [Suite; 4] = [
        Suite::AeadAes128Gcm,
        Suite::AeadAes256Gcm,
        Suite::AesCm128HmacSha1_32,
        Suite::AesCm128HmacSha1_80,
    ];

    #[test]
    fn keys_are_derived_as_in_rfc_3711_b_3() {
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt: [u8; 14] = hex("0EC675AD498AFEEBB6960B3AABE6").try_into().unwrap();
        let derived = |label, length| {
            let mut out = vec![0; length];
            derive(&master, salt, label, &mut out);
            out
        };
        assert_eq!(derived(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        let auth = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE
                    E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25
                    6D6E919A48B610EF17C2041E47403576";
        let auth = hex(auth);
        assert_eq!(derived(1, auth.len()), auth);
    }

    #[test]
    fn the_keystream_is_that_of_rfc_3711_b_2() {
        let key = counter_key(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
        let mut stream = [0; 48];
        keystream(&key, counter(salt, 0, 0), &mut stream);
        let expected = "E03EAD0935C95E80E166B16DD92B4EB4
                        D23513162B02D0F72A43A2FE4A5F97AB
                        41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream.to_vec(), hex(expected));
    }

    #[test]
    fn gcm_seals_as_in_rfc_7714_16_1() {
        let key = UnboundKey::new(&aead::AES_128_GCM, &hex("000102030405060708090a0b0c0d0e0f"));
        let mut salt = [0; 14];
        salt[..12].copy_from_slice(&hex("517569642070726f2071756f"));
        let half = Half {
            cipher: Cipher::Gcm(LessSafeKey::new(key.unwrap())),
            salt,
        };
        let context = Context {
            suite: Suite::AeadAes128Gcm,
            control: Half::new(Suite::AeadAes128Gcm, &[0; 16], [0; 14], 3),
            media: half,
            control_index: 0,
        };
        let mut packet = hex("8040f17b8041f8d35501a0b2");
        packet.extend_from_slice(b"Gallia est omnis divisa in partes tres");
        context.protect(&mut packet, 0xf17b);
        let expected = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca
                        be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1
                        6a9152cf 765ee439 0cce";
        assert_eq!(packet, hex(expected));
    }

    #[test]
    fn a_control_packet_is_opened_with_the_key_that_sealed_it_and_no_other() {
        for suite in SUITES {
            let crypto = Crypto::random(suite);
            let mut context = Context::new(&crypto);
            let plain: Vec<u8> = (0..40).collect();
            for _ in 0..3 {
                let mut packet = plain.clone();
                context.protect_control(&mut packet);
                assert_eq!(context.open_control(&packet), Some(plain.clone()));
                let stranger = Context::new(&Crypto::random(suite));
                assert_eq!(stranger.open_control(&packet), None);
                packet[12] ^= 1;
                assert_eq!(context.open_control(&packet), None);
            }
            assert_eq!(context.open_control(&plain[..9]), None);
        }
    }

    #[test]
    fn a_crypto_line_is_read_as_it_was_written() {
        for suite in SUITES {
            let crypto = Crypto::random(suite);
            assert_eq!(Crypto::parse(&crypto.line()), Some(crypto.clone()));
            let more = format!("{}|2^31|1:1 KDR=0", crypto.line());
            assert_eq!(Crypto::parse(&more), Some(crypto));
        }
        assert_eq!(Crypto::parse("1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"), None);
    }
}
