//! What is a word when one searches for it.

/// The most words of a question that are looked for.
pub const QUERY_WORDS_MAX: usize = 64;

/// The most characters of a word that count.
pub const WORD_CHARS_MAX: usize = 64;

/// The words of a text: runs of letters and digits of any script, upper and lower case alike.
/// Scripts that put no blanks between words give longer words than they have.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(folded)
}

/// The words one asks for, each once, at most [`QUERY_WORDS_MAX`].
pub(crate) fn asked(texts: &[String]) -> Vec<String> {
    let mut asked: Vec<String> = Vec::new();
    for word in texts.iter().flat_map(|text| words(text)) {
        if asked.len() < QUERY_WORDS_MAX && !asked.contains(&word) {
            asked.push(word);
        }
    }
    asked
}

/// By way of the upper case, so that letters with two lower ones (σ and ς) or without an upper one
/// of their own (ß) meet.
fn folded(word: &str) -> String {
    if word.is_ascii() {
        let mut word = word.to_ascii_lowercase();
        word.truncate(WORD_CHARS_MAX);
        return word;
    }
    let upper = word.chars().flat_map(char::to_uppercase);
    upper
        .flat_map(char::to_lowercase)
        .take(WORD_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn a_word_is_a_run_of_letters_and_digits() {
        assert_eq!(
            all("Order no. 4711, please!"),
            ["order", "no", "4711", "please"]
        );
        assert_eq!(all("don't"), ["don", "t"]);
        assert_eq!(all("#### ... "), [""; 0]);
    }

    #[test]
    fn upper_and_lower_case_are_alike_in_every_script() {
        assert_eq!(all("STRASSE"), all("straße"));
        assert_eq!(all("ΟΔΟΣ"), all("οδος"));
        assert_eq!(all("МОСКВА Ñandú"), ["москва", "ñandú"]);
    }

    #[test]
    fn a_question_has_at_most_so_many_words_each_once() {
        let many: Vec<String> = (0..100).map(|n| format!("Word{n} word{n}")).collect();
        let asked = asked(&many);
        assert_eq!(asked.len(), QUERY_WORDS_MAX);
        assert_eq!(asked[1], "word1");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn words_are_short_and_a_text_in_capitals_has_the_same(
            text in "[a-zA-Zà-þÀ-ÞА-яßΣσς0-9 .,'-]{0,90}",
        ) {
            for word in words(&text) {
                prop_assert!(!word.is_empty() && word.chars().count() <= WORD_CHARS_MAX);
            }
            let upper = text.to_uppercase();
            prop_assert_eq!(all(&text), all(&upper));
        }
    }
}
