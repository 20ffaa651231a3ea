//! What a recorded call is called, in every form that somebody's equipment writes.

use uuid::Uuid;

/// The identifiers of one recorded call; each dialect uses those its equipment uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifiers {
    /// Avaya's Universal Call ID: node, sequence, Unix seconds.
    pub ucid: Ucid,
    /// Cisco's GUID: four numbers of 32 bits.
    pub guid: [u32; 4],
    /// Whatever needs a UUID.
    pub uuid: Uuid,
    /// The SIP Call-ID of the recorded call, with its `@`.
    pub call_id: String,
    /// The switch's running number.
    pub number: u32,
}

/// Avaya's Universal Call ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ucid {
    /// Which node made it.
    pub node: u16,
    /// Its running number there.
    pub sequence: u16,
    /// When, in Unix seconds.
    pub seconds: u32,
}

impl Identifiers {
    /// Identifiers that no other call has.
    pub fn random() -> Self {
        let uuid = Uuid::new_v4();
        let (high, low) = uuid.as_u64_pair();
        Self {
            ucid: Ucid {
                node: 2,
                sequence: high as u16,
                seconds: 1_600_000_000 + (low as u32 >> 4),
            },
            guid: [
                (high >> 32) as u32,
                high as u32,
                (low >> 32) as u32,
                low as u32,
            ],
            uuid,
            call_id: format!("{:x}@198.51.100.20", low),
            number: (low as u32) >> 1,
        }
    }

    /// The GUID as a `Cisco-Guid` header has it, each number with ten digits.
    pub fn guid_decimal(&self) -> String {
        self.guid.map(|word| format!("{word:010}")).join("-")
    }

    /// The GUID as 32 hexadecimal digits.
    pub fn guid_hex(&self) -> String {
        self.guid.map(|word| format!("{word:08x}")).concat()
    }
}

impl Ucid {
    /// 20 digits, as people and the control API write it.
    pub fn decimal(&self) -> String {
        format!("{:05}{:05}{:010}", self.node, self.sequence, self.seconds)
    }

    /// 16 hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:04X}{:04X}{:08X}", self.node, self.sequence, self.seconds)
    }

    /// In its wrapper, behind the protocol byte: as `User-to-User` has it.
    pub fn wrapped(&self) -> String {
        format!("00FA08{}", self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_the_published_ones() {
        let ucid = Ucid {
            node: 2,
            sequence: 54_239,
            seconds: 1_662_063_156,
        };
        assert_eq!(ucid.decimal(), "00002542391662063156");
        assert_eq!(ucid.wrapped(), "00FA080002D3DF63111234");
        let mut all = Identifiers::random();
        all.guid = [867_617_078, 32_318_833, 2_221_801_472, 2_236_962];
        assert_eq!(
            all.guid_decimal(),
            "0867617078-0032318833-2221801472-0002236962"
        );
        assert_eq!(all.guid_hex(), "33b6c93601ed2571846e000000222222");
    }
}
