//! SRTP sealed from the formulas of RFC 3711 §4 and RFC 7714, on AES and HMAC alone.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;

use super::super::Suite;

/// One sender's session keys.
#[derive(Clone)]
pub(super) struct Seal {
    suite: Suite,
    rtp: Session,
    rtcp: Session,
    mki: Vec<u8>,
}

#[derive(Clone)]
struct Session {
    key: Vec<u8>,
    salt: Vec<u8>,
    auth: Vec<u8>,
}

/// An empty receiver report.
pub(super) fn report(ssrc: u32) -> Vec<u8> {
    let mut report = vec![0x80, 201, 0, 1];
    report.extend(ssrc.to_be_bytes());
    report.extend([0x81, 202, 0, 3]);
    report.extend(ssrc.to_be_bytes());
    report.extend([1, 3, b'a', b'@', b'b', 0, 0, 0]);
    report
}

impl Seal {
    pub(super) fn master(suite: Suite, seed: u8) -> (Vec<u8>, Vec<u8>) {
        let (key, salt) = suite.key_bytes();
        let bytes = |length, step: u8| {
            (0..length as u8)
                .map(|at| at.wrapping_mul(step).wrapping_add(seed))
                .collect()
        };
        (bytes(key, 7), bytes(salt, 13))
    }

    pub(super) fn new(suite: Suite, seed: u8, mki: &[u8]) -> Self {
        let (key, salt) = Self::master(suite, seed);
        Self {
            suite,
            rtp: Session::derive(&key, &salt, 0),
            rtcp: Session::derive(&key, &salt, 3),
            mki: mki.to_vec(),
        }
    }

    pub(super) fn rtp(&self, packet: &[u8], roc: u32) -> Vec<u8> {
        let mut header = 12 + 4 * usize::from(packet[0] & 15);
        if packet[0] & 0x10 != 0 {
            let words = u16::from_be_bytes([packet[header + 2], packet[header + 3]]);
            header += 4 + 4 * usize::from(words);
        }
        let (sequence, ssrc) = (&packet[2..4], &packet[8..12]);
        let index = [&roc.to_be_bytes()[..], sequence].concat();
        if let Suite::AeadAes128Gcm | Suite::AeadAes256Gcm = self.suite {
            let iv = [&[0, 0], ssrc, &index].concat();
            let sealed = self.rtp.gcm(&iv, &packet[..header], &packet[header..]);
            return [&packet[..header], &sealed, &self.mki].concat();
        }
        let text = self.rtp.counter(ssrc, &index, &packet[header..]);
        self.tagged(&[&packet[..header], &text].concat(), roc)
    }

    /// As it is, with a good tag.
    pub(super) fn tagged(&self, packet: &[u8], roc: u32) -> Vec<u8> {
        let tag = self.rtp.tag(&[packet, &roc.to_be_bytes()].concat());
        let length = match self.suite {
            Suite::AesCm128HmacSha1_32 => 4,
            _ => 10,
        };
        [packet, &self.mki, &tag[..length]].concat()
    }

    pub(super) fn rtcp(&self, packet: &[u8], index: u32) -> Vec<u8> {
        let (header, text) = packet.split_at(8);
        let word = (index | 1 << 31).to_be_bytes();
        let index = index.to_be_bytes();
        let ssrc = &header[4..];
        if let Suite::AeadAes128Gcm | Suite::AeadAes256Gcm = self.suite {
            let iv = [&[0, 0], ssrc, &[0, 0], &index].concat();
            let sealed = self.rtcp.gcm(&iv, &[header, &word].concat(), text);
            return [header, &sealed, &word, &self.mki].concat();
        }
        let index = [&[0, 0], &index[..]].concat();
        let text = self.rtcp.counter(ssrc, &index, text);
        let front = [header, &text, &word].concat();
        let tag = self.rtcp.tag(&front);
        [&front, &self.mki[..], &tag[..10]].concat()
    }
}

impl Session {
    /// RFC 3711 §4.3; `label` is that of the cipher's key.
    fn derive(key: &[u8], salt: &[u8], label: u8) -> Self {
        let prf = |label: u8, length| {
            let mut block = [0; 16];
            block[..salt.len()].copy_from_slice(salt);
            block[7] ^= label;
            keystream(key, block, &vec![0; length])
        };
        Self {
            key: prf(label, key.len()),
            auth: prf(label + 1, 20),
            salt: prf(label + 2, salt.len()),
        }
    }

    /// RFC 3711 §4.1.1.
    fn counter(&self, ssrc: &[u8], index: &[u8], text: &[u8]) -> Vec<u8> {
        let mut block = [0; 16];
        block[4..8].copy_from_slice(ssrc);
        block[8..14].copy_from_slice(index);
        for (byte, salt) in block.iter_mut().zip(&self.salt) {
            *byte ^= salt;
        }
        keystream(&self.key, block, text)
    }

    /// RFC 7714 §8.1, §9.1.
    fn gcm(&self, iv: &[u8], aad: &[u8], text: &[u8]) -> Vec<u8> {
        let iv: Vec<u8> = iv.iter().zip(&self.salt).map(|(a, b)| a ^ b).collect();
        let algorithm = match self.key.len() {
            16 => &AES_128_GCM,
            _ => &AES_256_GCM,
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &self.key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&iv).unwrap();
        let mut text = text.to_vec();
        key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut text)
            .unwrap();
        text
    }

    fn tag(&self, bytes: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.auth);
        hmac::sign(&key, bytes).as_ref().to_vec()
    }
}

fn keystream(key: &[u8], block: [u8; 16], text: &[u8]) -> Vec<u8> {
    let algorithm = match key.len() {
        16 => &AES_128,
        _ => &AES_256,
    };
    let key = EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).unwrap()).unwrap();
    let mut text = text.to_vec();
    key.less_safe_encrypt(&mut text, EncryptionContext::Iv128(block.into()))
        .unwrap();
    text
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn keys_are_derived_as_in_rfc_3711_appendix_b_3() {
    let session = Session::derive(
        &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        &hex("0EC675AD498AFEEBB6960B3AABE6"),
        0,
    );
    assert_eq!(session.key, hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(session.salt, hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(
        session.auth,
        hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
    );
}

#[test]
fn the_keystream_is_that_of_rfc_3711_appendix_b_2() {
    let session = Session {
        key: hex("2B7E151628AED2A6ABF7158809CF4F3C"),
        salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
        auth: Vec::new(),
    };
    let stream = session.counter(&[0; 4], &[0; 6], &[0; 48]);
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
                    41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream, hex(expected));
}

#[test]
fn gcm_is_sealed_as_in_rfc_7714_section_16_1_1() {
    let session = Session {
        key: hex("000102030405060708090a0b0c0d0e0f"),
        salt: hex("517569642070726f2071756f"),
        auth: Vec::new(),
    };
    let seal = Seal {
        suite: Suite::AeadAes128Gcm,
        rtp: session.clone(),
        rtcp: session,
        mki: Vec::new(),
    };
    let header = hex("8040f17b 8041f8d3 5501a0b2");
    let packet = [&header, &b"Gallia est omnis divisa in partes tres"[..]].concat();
    let expected = "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
                    36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce";
    assert_eq!(seal.rtp(&packet, 0)[12..], hex(expected));
}
