//! The file and the environment as one tree of values, each with its place. Knows no key.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// What begins the name of a variable that overrides a key: `ANTIPHON__HTTP__LISTEN`.
pub(super) const PREFIX: &str = "ANTIPHON__";
const LIST_MAX: usize = 10_000;

/// Keys and their values.
pub(super) type Table = BTreeMap<String, Entry>;

/// A value and where it was given.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) node: Node,
    pub(super) place: Place,
}

/// A value, before anybody has asked for its type.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Flag(bool),
    /// As it was written.
    Fraction(String),
    Integer(i64),
    List(Vec<Entry>),
    /// From the environment: whoever asks decides what it is.
    Raw(String),
    Table(Table),
    Text(String),
    /// A date, or a whole number beyond 64 bits; no key wants one.
    Unusable,
}

/// Reads a file's text. All mistakes of syntax are told; what could be read is returned with them.
pub(super) fn parse(name: &Arc<str>, text: &str) -> (Table, Vec<Problem>) {
    let source = Source { name, text };
    let (table, errors) = DeTable::parse_recoverable(text);
    // The error's own Display quotes the line, which may hold a secret.
    let problem = |error: toml::de::Error| Problem {
        place: source.place(error.span().map_or(0, |span| span.start)),
        what: format!("this is not TOML: {}", error.message()),
    };
    (
        source.table(table.into_inner()),
        errors.into_iter().map(problem).collect(),
    )
}

/// Puts the environment's values over the file's.
pub(super) fn overlay(
    table: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        let place = Place::Variable(name.as_str().into());
        let put = match keys.split_first() {
            Some((first, rest)) if !keys.iter().any(String::is_empty) => {
                put(slot(table, first, &place), rest, &value, &place)
            }
            _ => Err("names no key: expected ANTIPHON__SECTION__KEY".to_owned()),
        };
        problems.extend(put.err().map(|what| Problem { place, what }));
    }
    problems
}

fn slot<'t>(table: &'t mut Table, key: &str, place: &Place) -> &'t mut Entry {
    let entry = || Entry {
        node: Node::Table(Table::new()),
        place: place.clone(),
    };
    table.entry(key.to_owned()).or_insert_with(entry)
}

fn put(entry: &mut Entry, keys: &[String], value: &str, place: &Place) -> Result<(), String> {
    let Some((key, rest)) = keys.split_first() else {
        *entry = Entry {
            node: Node::Raw(value.to_owned()),
            place: place.clone(),
        };
        return Ok(());
    };
    let index = key.parse::<usize>().ok();
    let fresh = matches!(&entry.node, Node::Table(table) if table.is_empty());
    if index.is_some() && fresh {
        entry.node = Node::List(Vec::new());
    }
    match (&mut entry.node, index) {
        (Node::List(list), Some(index)) if index <= list.len().min(LIST_MAX) => {
            if index == list.len() {
                list.push(Entry {
                    node: Node::Table(Table::new()),
                    place: place.clone(),
                });
            }
            put(&mut list[index], rest, value, place)
        }
        (Node::List(list), Some(index)) => Err(format!(
            "item {index} of a list that has {}: the next is {0}",
            list.len()
        )),
        (Node::Table(table), _) => put(slot(table, key, place), rest, value, place),
        _ => Err(format!(
            "`{key}` cannot be inside a value that is not a section"
        )),
    }
}

/// A text in which places are looked up.
struct Source<'s> {
    name: &'s Arc<str>,
    text: &'s str,
}

impl Source<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Place::File(self.name.clone(), line)
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<_>)| {
            let place = self.place(key.span().start);
            let key: std::borrow::Cow<'_, str> = key.into_inner();
            (
                key.into_owned(),
                Entry {
                    node: self.node(value.into_inner()),
                    place,
                },
            )
        };
        table.into_iter().map(entry).collect()
    }

    fn node(&self, value: DeValue<'_>) -> Node {
        match value {
            DeValue::String(text) => Node::Text(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Node::Unusable, Node::Integer),
            DeValue::Boolean(flag) => Node::Flag(flag),
            DeValue::Float(number) => Node::Fraction(number.as_str().to_owned()),
            DeValue::Datetime(_) => Node::Unusable,
            DeValue::Array(items) => {
                let item = |value: toml::Spanned<DeValue<'_>>| {
                    let place = self.place(value.span().start);
                    Entry {
                        node: self.node(value.into_inner()),
                        place,
                    }
                };
                Node::List(items.into_iter().map(item).collect())
            }
            DeValue::Table(table) => Node::Table(self.table(table)),
        }
    }
}

impl Node {
    /// A text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Raw(text) => Some(text),
            _ => None,
        }
    }

    /// Yes or no, if it is that.
    pub(super) fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            Self::Raw(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A whole number, if it is one.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Raw(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Items, if it is a list; the environment's are written as in TOML.
    pub(super) fn list(&self, place: &Place) -> Option<Vec<Entry>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Raw(text) => match parse_raw(text, place)? {
                Self::List(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// Keys and values, if it is a section; the environment's are written as in TOML.
    pub(super) fn table(&self, place: &Place) -> Option<Table> {
        match self {
            Self::Table(table) => Some(table.clone()),
            Self::Raw(text) => match parse_raw(text, place)? {
                Self::Table(table) => Some(table),
                _ => None,
            },
            _ => None,
        }
    }

    /// As it was written, in one line. Never called for what may be secret.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Fraction(number) => number.clone(),
            Self::Integer(number) => number.to_string(),
            Self::List(_) => "a list".to_owned(),
            Self::Raw(text) | Self::Text(text) => format!("{text:?}"),
            Self::Table(_) => "a section".to_owned(),
            Self::Unusable => "this value".to_owned(),
        }
    }
}

/// A value of the environment, as TOML; its parts have the variable as their place.
fn parse_raw(text: &str, place: &Place) -> Option<Node> {
    let value = DeValue::parse(text).ok()?.into_inner();
    let mut node = Source {
        name: &"".into(),
        text,
    }
    .node(value);
    stamp(&mut node, place);
    Some(node)
}

fn stamp(node: &mut Node, place: &Place) {
    let stamp_entry = |entry: &mut Entry| {
        entry.place = place.clone();
        stamp(&mut entry.node, place);
    };
    match node {
        Node::List(items) => items.iter_mut().for_each(stamp_entry),
        Node::Table(table) => table.values_mut().for_each(stamp_entry),
        _ => {}
    }
}
