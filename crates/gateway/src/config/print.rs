//! The record of a reading, printed: as the manual, as the sample file, as what would be run with.

use super::section::{Outlined, Preset, Row};

const COLUMNS: usize = 98;

const MANUAL: &str = "\
# Configuration

<!-- Made from crates/gateway/src/config/settings; `make docs` makes it again. -->

`antiphon serve --config antiphon.toml` reads one TOML file. `antiphon check --config antiphon.toml`
prints what it would run with, and exits with 64 if anything is wrong; every mistake is told at
once, with its line. Unknown keys are mistakes.

Every key can be overridden by an environment variable: `ANTIPHON__`, the section and the key in
capitals, with `__` between: `ANTIPHON__HTTP__LISTEN=0.0.0.0:8080`. Items of a list are counted from
0: `ANTIPHON__API_KEYS__0__SECRET`. A whole list is written as in TOML:
`ANTIPHON__TWILIO__AUTH_TOKENS='[\"env:TWILIO_AUTH_TOKEN\"]'`.

- **Durations** are whole numbers with `ms`, `s`, `m`, `h` or `d`: `\"100ms\"`, `\"1m30s\"`.
- **Sizes** are numbers of bytes, plain or with `KiB`, `MiB` or `GiB`: `65536`, `\"64KiB\"`.
- **Secrets** are given as they are, as `\"file:NAME\"`, what a file holds without the line's end,
  or as `\"env:NAME\"`, an environment variable. They are never printed or logged.
- **Files** are relative to the folder of the configuration file.

SIGHUP reads the file again and takes over `api_keys`, Twilio's tokens, keys and secrets, the
credentials of trunks and of speech services, and the secrets of webhooks; the rest needs a restart
([replacing credentials](operations.md#replacing-credentials)).
[`deploy/antiphon.toml`](../deploy/antiphon.toml) has every key with its default.
";

const SAMPLE: &str = "\
# Antiphon's configuration: every key, with its default. What is commented out has none; what is
# marked as required must be set, here or in the environment. docs/config.md explains the rest.
#
# Made from crates/gateway/src/config/settings; `make docs` makes it again.
";

/// What the gateway would run with: TOML that can be read again, but for the secrets.
pub(super) fn effective(outline: &[Outlined], warnings: &[String]) -> String {
    let mut text = String::new();
    for warning in warnings {
        text += &format!("# Warning: {warning}\n");
    }
    for outlined in outline {
        match outlined {
            Outlined::Section { path, repeated, .. } => text += &header(path, *repeated),
            Outlined::Key(Row {
                key, value: None, ..
            }) => text += &format!("# {key} is not set\n"),
            Outlined::Key(Row {
                key,
                value: Some(value),
                place: None,
                ..
            }) => {
                text += &format!("{key} = {value}\n");
            }
            Outlined::Key(Row {
                key,
                value: Some(value),
                place: Some(place),
                ..
            }) => {
                text += &format!("{key} = {value} # {place}\n");
            }
        }
    }
    text.trim_start().to_owned()
}

/// A sample file that means the same as an empty one.
pub(super) fn sample(outline: &[Outlined]) -> String {
    let mut text = SAMPLE.to_owned();
    // Entries of lists have no default, and sections that nothing names need not be there, so all
    // their lines are commented out.
    let mut hidden = false;
    for outlined in outline {
        match outlined {
            Outlined::Section {
                path,
                about,
                repeated,
                is_optional,
            } => {
                hidden = *repeated || *is_optional;
                text += "\n";
                text += &comment(about);
                let prefix = if hidden { "# " } else { "" };
                text += &format!("{prefix}{}", header(path, *repeated).trim_start());
            }
            Outlined::Key(row) => text += &sample_row(row, hidden),
        }
    }
    text
}

/// The manual: a table a section.
pub(super) fn manual(outline: &[Outlined]) -> String {
    let mut text = MANUAL.to_owned();
    for outlined in outline {
        match outlined {
            Outlined::Section {
                path,
                about,
                repeated,
                ..
            } => {
                let header = header(path, *repeated);
                text += &format!("\n## `{}`\n\n{}\n\n", header.trim(), plain(about));
                text += "| key | default | meaning |\n|---|---|---|\n";
            }
            Outlined::Key(row) => {
                let preset = match &row.preset {
                    Preset::Optional(_) => "not set".to_owned(),
                    Preset::Required(_) => "**required**".to_owned(),
                    Preset::Value(value) => format!("`{value}`"),
                };
                let (key, meaning) = (row.key, plain(row.meaning));
                text += &format!("| `{key}` | {preset} | {meaning} *{}.* |\n", wants(row));
            }
        }
    }
    text
}

fn sample_row(row: &Row, hidden: bool) -> String {
    let (prefix, value) = match &row.preset {
        Preset::Optional(example) | Preset::Required(example) => ("# ", literal(example)),
        Preset::Value(value) => (if hidden { "# " } else { "" }, value.clone()),
    };
    let required = matches!(row.preset, Preset::Required(_)) && !hidden;
    let mark = if required { "Required. " } else { "" };
    let note = comment(&format!("{mark}{} ({}.)", plain(row.meaning), wants(row)));
    format!("{note}{prefix}{} = {value}\n", row.key)
}

/// An example as TOML: numbers, flags and lists as they are, the rest as strings.
fn literal(example: &str) -> String {
    let is_list = example.starts_with('[');
    let is_bare = is_list || example.parse::<i64>().is_ok() || example.parse::<bool>().is_ok();
    if is_bare {
        example.to_owned()
    } else {
        super::kind::quoted(example)
    }
}

/// What is wanted, beginning with a capital.
fn wants(row: &Row) -> String {
    let mut characters = row.wants.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}

fn header(path: &str, repeated: bool) -> String {
    if repeated {
        format!("\n[[{path}]]\n")
    } else {
        format!("\n[{path}]\n")
    }
}

/// Doc comments begin each line with a blank.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As comment lines.
fn comment(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("it begins with one");
        if line.chars().count() + word.chars().count() + 1 > COLUMNS {
            lines.push(format!(" {word}"));
        } else {
            *line += &format!(" {word}");
        }
    }
    lines.into_iter().map(|line| format!("#{line}\n")).collect()
}
