//! Looks for a passage of sound in the memory of a process.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// What is read at a time.
const PIECE: usize = 1 << 20;
/// Memory is looked at word by word; a run that is longer than this has a whole one in it.
const WORD: usize = 8;
/// So many bytes must agree, which chance does not bring about.
const RUN: usize = 40;

/// A passage, to be found wherever a run of it lies.
pub struct Needle {
    bytes: Vec<u8>,
    /// Where each word of it begins, whatever the alignment.
    words: HashMap<[u8; WORD], usize>,
    /// The words' first three bytes, for a quick no.
    heads: Vec<bool>,
}

impl Needle {
    /// A passage in one of its encodings.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut heads = vec![false; 1 << 24];
        let mut words = HashMap::new();
        for (at, run) in bytes.windows(RUN).enumerate() {
            let word = *run.first_chunk().unwrap();
            heads[head(&word)] = true;
            words.insert(word, at);
        }
        Self {
            bytes,
            words,
            heads,
        }
    }

    /// How many bytes of `memory` lie in runs of the passage, by words.
    pub fn found_in(&self, memory: &[u8]) -> usize {
        let (words, _) = memory.as_chunks::<WORD>();
        let found = words.iter().enumerate().filter(|(index, word)| {
            **word != [0; WORD]
                && self.heads[head(word)]
                && self.words.get(*word).is_some_and(|&at| {
                    let run = &self.bytes[at..at + RUN];
                    memory[index * WORD..].starts_with(run)
                })
        });
        found.count() * WORD
    }
}

/// How much of each needle lies in the writable memory of a process.
pub fn search(pid: i32, needles: &[&Needle]) -> Vec<usize> {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = vec![0; needles.len()];
    let mut looked_at = 0;
    for (from, to) in writable(pid) {
        let mut at = from;
        while at < to {
            // Pieces overlap, so that no run is cut in two.
            let mut piece = vec![0; ((to - at) as usize).min(PIECE + RUN)];
            // A page that cannot be read was given back since, or is a device's.
            if memory.read_exact_at(&mut piece, at).is_ok() {
                looked_at += piece.len();
                for (found, needle) in found.iter_mut().zip(needles) {
                    *found += needle.found_in(&piece);
                }
            }
            at += PIECE as u64;
        }
    }
    assert!(
        looked_at > PIECE,
        "the memory of the process could not be read"
    );
    found
}

fn writable(pid: i32) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let map = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        rest.starts_with("rw").then(|| (address(from), address(to)))
    };
    maps.lines().filter_map(map).collect()
}

fn head(word: &[u8; WORD]) -> usize {
    usize::from(word[0]) | usize::from(word[1]) << 8 | usize::from(word[2]) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_wherever_it_lies_and_half_of_it_too() {
        let passage: Vec<u8> = (0..500_u32).map(|at| (at * at % 251) as u8).collect();
        let needle = Needle::new(passage.clone());
        for shift in 0..WORD {
            let mut memory = vec![7; 1000];
            memory[100 + shift..164 + shift].copy_from_slice(&passage[200..264]);
            assert!(needle.found_in(&memory) > 0, "shifted by {shift}");
            memory[100 + shift + 20] ^= 1;
            memory[100 + shift + 50] ^= 1;
            assert_eq!(needle.found_in(&memory), 0, "broken into pieces");
        }
    }
}
