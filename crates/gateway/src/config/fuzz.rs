//! The body of the fuzz target: any text as a configuration.

use std::collections::BTreeMap;
use std::path::Path;

use super::tree::{self, Node, Table};
use super::{Config, ConfigError, print, read};

/// Feeds arbitrary text to the reader; a defect panics. What would be run with can be read again.
pub fn fuzz(data: &[u8]) {
    let file = Path::new("/nonexistent/fuzz.toml");
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if names_a_file(&tree::parse(&"fuzz.toml".into(), text).0) {
        return;
    }
    let (config, reading) = read(file, text, BTreeMap::new(), false);
    let printed = print::effective(&reading.outline, &config.warnings());
    let problems = reading.problems;
    if !problems.is_empty() {
        let told = ConfigError { problems }.to_string();
        assert!(!told.is_empty(), "a mistake is not told");
        return;
    }
    let told = (config.server(), config.api(), config.twilio());
    drop((told, config.patience(), config.open_files_max()));
    if let Err(error) = Config::parse(file, &printed, []) {
        panic!("what is printed cannot be read: {error}\n{printed}");
    }
}

/// Whether it leads outside of itself, where this machine's files would have a say.
fn names_a_file(table: &Table) -> bool {
    fn leads_out(node: &Node) -> bool {
        match node {
            Node::List(items) => items.iter().any(|item| leads_out(&item.node)),
            Node::Table(table) => names_a_file(table),
            Node::Text(text) => text.starts_with('/') || text.starts_with("file:/"),
            Node::Flag(_)
            | Node::Fraction(_)
            | Node::Integer(_)
            | Node::Raw(_)
            | Node::Unusable => false,
        }
    }
    table.values().any(|entry| leads_out(&entry.node))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = include_str!("../../../../tests/fuzz/seeds/config/everything.toml");

    #[test]
    fn the_good_text_is_good() {
        let read = Config::parse(Path::new("good.toml"), GOOD, []);
        assert!(read.is_ok(), "{read:?}");
    }

    proptest! {
        #[test]
        fn any_text(text in ".{0,200}") {
            fuzz(text.as_bytes());
        }

        #[test]
        fn a_good_text_with_a_line_replaced(
            at in 0..GOOD.lines().count(),
            line in "\\[{0,2}(http|twilio|limits|log)?\\]{0,2}|[a-z_]{0,9} = [0-9\"\\[a-z]{0,9}",
        ) {
            let mut lines: Vec<&str> = GOOD.lines().collect();
            lines[at] = &line;
            fuzz(lines.join("\n").as_bytes());
        }
    }
}
