use proptest::prelude::*;

use super::*;

fn token() -> impl Strategy<Value = Token> {
    let marks = (any::<Option<String>>(), any::<Option<String>>());
    (any::<String>(), any::<(u64, u64)>(), marks).prop_map(|(content, (start, end), marks)| Token {
        content: content.into(),
        start: Duration::from_micros(start),
        end: Duration::from_micros(end),
        punctuation_after: marks.0,
        punctuation_before: marks.1,
    })
}

fn alternatives() -> impl Strategy<Value = Vec<Alternative>> {
    let tokens = prop::collection::vec(token(), 0..6);
    let alternative = (any::<String>(), tokens).prop_map(|(text, tokens)| Alternative {
        text: text.into(),
        tokens,
    });
    prop::collection::vec(alternative, 0..4)
}

#[test]
fn a_count_that_cannot_be_true_reserves_nothing() {
    let mut bytes = vec![VERSION, 0];
    write_number(&mut bytes, u64::MAX);
    assert_eq!(Spoken::decode(&bytes), Err(Garbled));
}

#[test]
fn a_number_beyond_64_bits_is_refused() {
    let bytes = [&[VERSION][..], &[0xff; 9], &[0x02]].concat();
    assert_eq!(Spoken::decode(&bytes), Err(Garbled));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_alike(sender: String, alternatives in alternatives()) {
        let bytes = Spoken::encode(&sender, &alternatives);
        let read = Spoken::decode(&bytes).unwrap();
        prop_assert_eq!(read.sender.reveal(), &sender);
        prop_assert_eq!(&read.alternatives, &alternatives);
        fuzz(&bytes);
    }

    #[test]
    fn whatever_is_cut_off_or_added_is_noticed(
        sender: String,
        alternatives in alternatives(),
        at: prop::sample::Index,
    ) {
        let mut bytes = Spoken::encode(&sender, &alternatives);
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(Spoken::decode(cut), Err(Garbled));
        bytes.push(0);
        prop_assert_eq!(Spoken::decode(&bytes), Err(Garbled));
    }

    #[test]
    fn anything_at_all_can_be_read(data: Vec<u8>) {
        fuzz(&data);
        let versioned = [&[VERSION][..], &data].concat();
        fuzz(&versioned);
    }
}
