//! What is in the files of a store.

use std::fs;
use std::path::Path;

/// Shorter words stand by chance in what is sealed, or in an id.
const WORD_BYTES_MIN: usize = 6;

/// Which of these words are in any file of a folder, log files included, upper or lower case.
pub(crate) fn words_in<'a>(folder: &Path, words: &[&'a str]) -> Vec<&'a str> {
    assert!(words.iter().all(|word| word.len() >= WORD_BYTES_MIN));
    let mut bytes = Vec::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "toml") {
            continue;
        }
        bytes.extend(fs::read(&path).unwrap().iter().map(u8::to_ascii_lowercase));
        names.push(path);
    }
    assert!(bytes.len() > 4096, "there is no store in {names:?}");
    let is_in = |word: &&&str| {
        let word = word.to_lowercase();
        bytes
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    };
    words.iter().filter(is_in).copied().collect()
}

/// The files of a folder, in alphabetical order.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
