use proptest::prelude::*;

use super::*;

fn sealer() -> Sealer {
    Vault::new(&[1; 32], None)
        .unwrap()
        .sealer(&[2; 32])
        .unwrap()
}

fn place(row: i64) -> Place {
    Place::new(Table::Utterances, row)
}

#[test]
fn what_is_sealed_twice_differs_and_opens_alike() {
    let sealer = sealer();
    let (first, second) = (
        sealer.seal(place(1), b"four").unwrap(),
        sealer.seal(place(1), b"four"),
    );
    assert_ne!(first, second.unwrap());
    assert_eq!(sealer.open(place(1), &first).unwrap(), b"four");
}

#[test]
fn a_text_opens_only_in_its_own_row_table_and_conversation() {
    let sealed = sealer().seal(place(1), b"four").unwrap();
    assert!(sealer().open(place(2), &sealed).is_err());
    assert!(
        sealer()
            .open(Place::new(Table::Events, 1), &sealed)
            .is_err()
    );
    let other = Vault::new(&[1; 32], None)
        .unwrap()
        .sealer(&[3; 32])
        .unwrap();
    assert!(other.open(place(1), &sealed).is_err());
    let key = Key::parse(&[9; 32]).unwrap();
    let other = Vault::new(&[1; 32], Some(&key))
        .unwrap()
        .sealer(&[2; 32])
        .unwrap();
    assert!(other.open(place(1), &sealed).is_err());
}

#[test]
fn terms_of_one_key_say_nothing_about_those_of_another() {
    let key = Key::parse(&[9; 32]).unwrap();
    let (plain, keyed) = (Vault::new(&[1; 32], None), Vault::new(&[1; 32], Some(&key)));
    let (plain, keyed) = (plain.unwrap(), keyed.unwrap());
    let word = |vault: &Vault, word| vault.term(TermKind::Word, word);
    assert_eq!(word(&plain, "refund"), word(&plain, "refund"));
    assert_ne!(word(&plain, "refund"), word(&plain, "refunds"));
    assert_ne!(word(&plain, "refund"), word(&keyed, "refund"));
    assert_ne!(
        word(&plain, "refund"),
        plain.term(TermKind::Sender, "refund")
    );
    assert!((0..1 << TERM_BITS).contains(&word(&plain, "refund")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_sealed_opens_as_it_was(text: Vec<u8>, row in 0..i64::MAX) {
        let sealer = sealer();
        let sealed = sealer.seal(place(row), &text).unwrap();
        prop_assert_eq!(sealer.open(place(row), &sealed).unwrap(), text);
    }

    #[test]
    fn one_wrong_bit_anywhere_is_found(text: Vec<u8>, at: prop::sample::Index, bit in 0_u32..8) {
        let sealer = sealer();
        let mut sealed = sealer.seal(place(1), &text).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1_u8 << bit;
        prop_assert!(sealer.open(place(1), &sealed).is_err());
    }

    #[test]
    fn anything_at_all_can_be_tried(data: Vec<u8>) {
        fuzz(&data);
    }
}
