//! When each word of an utterance was said, as well as one can know.

/// One word of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// With its punctuation.
    pub(super) text: &'a str,
    pub(super) start_ms: u64,
    /// Punctuation takes its share of the time, but the word ends before it.
    pub(super) end_ms: u64,
}

impl<'a> Word<'a> {
    /// Without the punctuation behind it.
    pub(super) fn bare(&self) -> &'a str {
        self.text.trim_end_matches(['.', ',', '?', '!'])
    }
}

/// The words of an utterance, which share its time by their letters.
pub(super) fn words(text: &str, start_ms: u64, end_ms: u64) -> Vec<Word<'_>> {
    let letters = text.split_whitespace().map(str::len).sum::<usize>().max(1) as u64;
    let at = |letter: u64| start_ms + (end_ms - start_ms) * letter / letters;
    let mut before = 0;
    let mut words = Vec::new();
    for text in text.split_whitespace() {
        let mut word = Word {
            text,
            start_ms: at(before),
            end_ms: 0,
        };
        word.end_ms = at(before + word.bare().len() as u64);
        before += text.len() as u64;
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_share_the_time_of_their_utterance_by_their_letters() {
        let words = words("Pay now, please.", 1000, 2400);
        let times: Vec<_> = words
            .iter()
            .map(|word| (word.bare(), word.start_ms, word.end_ms))
            .collect();
        assert_eq!(
            times,
            [
                ("Pay", 1000, 1300),
                ("now", 1300, 1600),
                ("please", 1700, 2300)
            ]
        );
        assert!(super::words(" ", 0, 10).is_empty());
    }
}
