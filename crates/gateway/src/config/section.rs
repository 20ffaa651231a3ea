//! Reads one section of the configuration, and keeps a record of every key it asked for.
//!
//! The record is what makes one declaration enough: the manual, the sample file, the printed
//! configuration and the list of known keys are all made of it.

use super::kind::{Around, Blank, Kind, Wrong};
use super::problem::{Place, Problem};
use super::tree::{Entry, Node, Table};

mod named;

pub(super) use named::{if_named, naming};

/// A reading under way: what was asked for, and what was wrong.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) around: Around,
    pub(super) outline: Vec<Outlined>,
    pub(super) problems: Vec<Problem>,
    /// Where a missing key is missing.
    pub(super) file: Place,
    /// Reads one entry of every list of sections, and every section that may be left out, so that
    /// the record has their keys.
    pub(super) exhaustive: bool,
    /// The sections that other keys have named.
    pub(super) named: Vec<&'static str>,
}

/// One part of the record, in the order of the declarations.
#[derive(Debug)]
pub(super) enum Outlined {
    Key(Row),
    Section {
        path: String,
        about: &'static str,
        repeated: bool,
        /// Whether it may be left out.
        is_optional: bool,
    },
}

/// One key that was asked for.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: &'static str,
    /// With the sections it is in.
    pub(super) name: String,
    pub(super) wants: String,
    pub(super) meaning: &'static str,
    pub(super) preset: Preset,
    /// As TOML, secrets as dots; `None` is not set.
    pub(super) value: Option<String>,
    /// Where it was given; `None` is nowhere.
    pub(super) place: Option<Place>,
}

/// What a key is when nobody sets it.
#[derive(Debug)]
pub(super) enum Preset {
    /// Unset, which is fine; an example.
    Optional(&'static str),
    /// Nothing can be done; an example.
    Required(&'static str),
    /// A default, as TOML.
    Value(String),
}

/// One section being read.
#[derive(Debug)]
pub(super) struct Section<'r> {
    reading: &'r mut Reading,
    path: String,
    table: Table,
    known: Vec<&'static str>,
}

/// How a field of a section is read from its key.
pub(super) trait Field {
    type Value;
    fn read(self, s: &mut Section<'_>, key: &'static str, meaning: &'static str) -> Self::Value;
}

/// A whole section as a value.
pub(super) trait Settings: Sized {
    const ABOUT: &'static str;
    fn read(section: &mut Section<'_>) -> Self;
}

pub(super) struct Optional<K>(K, &'static str);
pub(super) struct Preselected<K: Kind>(K, K::Value);
pub(super) struct Required<K>(K, &'static str);
pub(super) struct Subsection<S>(std::marker::PhantomData<S>);
pub(super) struct Tables<S>(usize, std::marker::PhantomData<S>);

/// A key that may be left out; `example` is for the sample file.
pub(super) fn optional<K: Kind>(kind: K, example: &'static str) -> Optional<K> {
    Optional(kind, example)
}

/// A key with a default.
pub(super) fn preset<K: Kind>(kind: K, value: K::Value) -> Preselected<K> {
    Preselected(kind, value)
}

/// A key that must be set; `example` is for the sample file.
pub(super) fn required<K: Blank>(kind: K, example: &'static str) -> Required<K> {
    Required(kind, example)
}

/// A section in a section.
pub(super) fn section<S: Settings>() -> Subsection<S> {
    Subsection(std::marker::PhantomData)
}

/// A list of sections, at most so many: `[[…]]`.
pub(super) fn tables<S: Settings>(max: usize) -> Tables<S> {
    Tables(max, std::marker::PhantomData)
}

impl Reading {
    /// Reads the whole tree.
    pub(super) fn root<S: Settings>(&mut self, table: Table) -> S {
        self.section(String::new(), table)
    }

    fn section<S: Settings>(&mut self, path: String, table: Table) -> S {
        let mut section = Section {
            reading: self,
            path,
            table,
            known: Vec::new(),
        };
        let settings = S::read(&mut section);
        section.refuse_the_rest();
        settings
    }
}

impl Section<'_> {
    /// Tells a mistake that no single key shows, at the place of one of them.
    pub(super) fn refuse(&mut self, key: &str, what: &str) {
        let name = self.name(key);
        let is_it = |row: &Row| {
            let rest = name.strip_prefix(&row.name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut outlined = self.reading.outline.iter().rev();
        let place = outlined.find_map(|outlined| match outlined {
            Outlined::Key(row) if is_it(row) => row.place.clone(),
            _ => None,
        });
        let place = place.unwrap_or_else(|| self.reading.file.clone());
        let what = format!("{name} {what}");
        self.reading.problems.push(Problem { place, what });
    }

    /// Tells a mistake inside the value of a key.
    pub(super) fn refuse_inside(&mut self, (key, part): (&str, &str), place: &Place, what: &str) {
        self.reading.problems.push(Problem {
            place: place.clone(),
            what: format!("{}.{part} {what}", self.name(key)),
        });
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Entry> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// The value of a key, if it is there and right; if it is there and wrong that is told.
    fn value<K: Kind>(&mut self, key: &'static str, kind: &K) -> (Option<K::Value>, Option<Place>) {
        let Some(entry) = self.take(key) else {
            return (None, None);
        };
        let value = kind.read(&entry, &self.reading.around);
        let told = |wrong| self.tell_wrong(key, kind, &entry, wrong);
        (value.map_err(told).ok(), Some(entry.place))
    }

    fn tell_wrong<K: Kind>(&mut self, key: &str, kind: &K, entry: &Entry, wrong: Wrong) {
        let name = self.name(key);
        let what = match wrong {
            Wrong::Because(why) => format!("{name}: {why}"),
            Wrong::Unlike if K::SECRET => format!("{name}: expected {}", kind.wants()),
            Wrong::Unlike => {
                format!("{name} = {}: expected {}", entry.node.shown(), kind.wants())
            }
        };
        self.reading.problems.push(Problem {
            place: entry.place.clone(),
            what,
        });
    }

    fn tell_missing(&mut self, key: &str, wants: &str) {
        let name = self.name(key);
        let variable = variable(&name);
        let what = format!("{name} is missing: expected {wants}; it can be set as {variable} too");
        let place = self.reading.file.clone();
        self.reading.problems.push(Problem { place, what });
    }

    fn record(&mut self, row: Row) {
        self.reading.outline.push(Outlined::Key(row));
    }

    fn outline(&mut self, path: &str, about: &'static str, repeated: bool) {
        self.reading.outline.push(Outlined::Section {
            path: path.to_owned(),
            about,
            repeated,
            is_optional: false,
        });
    }

    fn refuse_the_rest(self) {
        for (key, entry) in &self.table {
            let nearest = self.known.iter().max_by(|a, b| {
                strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b))
            });
            let nearest = nearest.map_or_else(String::new, |nearest| self.name(nearest));
            let what = format!(
                "unknown key {}; the nearest known is {nearest}",
                self.name(key)
            );
            self.reading.problems.push(Problem {
                place: entry.place.clone(),
                what,
            });
        }
    }
}

impl<K: Kind> Field for Optional<K> {
    type Value = Option<K::Value>;

    fn read(self, s: &mut Section<'_>, key: &'static str, meaning: &'static str) -> Self::Value {
        let Self(kind, example) = self;
        let (value, place) = s.value(key, &kind);
        let (wants, shown) = (kind.wants(), value.as_ref().map(|value| kind.show(value)));
        let preset = Preset::Optional(example);
        let name = s.name(key);
        s.record(Row {
            key,
            name,
            wants,
            meaning,
            preset,
            value: shown,
            place,
        });
        value
    }
}

impl<K: Kind> Field for Preselected<K> {
    type Value = K::Value;

    fn read(self, s: &mut Section<'_>, key: &'static str, meaning: &'static str) -> Self::Value {
        let Self(kind, preset) = self;
        let shown_preset = kind.show(&preset);
        let (value, place) = s.value(key, &kind);
        let value = value.unwrap_or(preset);
        let (wants, shown) = (kind.wants(), Some(kind.show(&value)));
        let preset = Preset::Value(shown_preset);
        let name = s.name(key);
        s.record(Row {
            key,
            name,
            wants,
            meaning,
            preset,
            value: shown,
            place,
        });
        value
    }
}

impl<K: Blank> Field for Required<K> {
    type Value = K::Value;

    fn read(self, s: &mut Section<'_>, key: &'static str, meaning: &'static str) -> Self::Value {
        let Self(kind, example) = self;
        let (value, place) = s.value(key, &kind);
        let wants = kind.wants();
        if place.is_none() {
            s.tell_missing(key, &wants);
        }
        let shown = value.as_ref().map(|value| kind.show(value));
        let preset = Preset::Required(example);
        let name = s.name(key);
        s.record(Row {
            key,
            name,
            wants,
            meaning,
            preset,
            value: shown,
            place,
        });
        value.unwrap_or_else(|| kind.blank())
    }
}

impl<S: Settings> Field for Subsection<S> {
    type Value = S;

    fn read(self, s: &mut Section<'_>, key: &'static str, _: &'static str) -> S {
        let path = s.name(key);
        s.outline(&path, S::ABOUT, false);
        let table = match s.take(key) {
            None => Table::new(),
            Some(Entry {
                node: Node::Table(table),
                ..
            }) => table,
            Some(entry) => {
                let what = format!("{path} = {}: expected a section", entry.node.shown());
                s.reading.problems.push(Problem {
                    place: entry.place,
                    what,
                });
                Table::new()
            }
        };
        s.reading.section(path, table)
    }
}

impl<S: Settings> Field for Tables<S> {
    type Value = Vec<S>;

    fn read(self, s: &mut Section<'_>, key: &'static str, _: &'static str) -> Vec<S> {
        let path = s.name(key);
        let found = s.take(key);
        let place = found
            .as_ref()
            .map_or_else(|| s.reading.file.clone(), |e| e.place.clone());
        let items = match found.as_ref().map(|entry| entry.node.list(&entry.place)) {
            None if s.reading.exhaustive => {
                vec![Entry {
                    node: Node::Table(Table::new()),
                    place: place.clone(),
                }]
            }
            None => Vec::new(),
            Some(Some(items)) if items.len() <= self.0 => items,
            Some(_) => {
                let what = format!("{path}: expected a list of at most {} sections", self.0);
                s.reading.problems.push(Problem { place, what });
                Vec::new()
            }
        };
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let Node::Table(table) = item.node else {
                let what = format!("{path}.{index}: expected a section");
                s.reading.problems.push(Problem {
                    place: item.place,
                    what,
                });
                continue;
            };
            s.outline(&path, S::ABOUT, true);
            let file = std::mem::replace(&mut s.reading.file, item.place);
            read.push(s.reading.section(format!("{path}.{index}"), table));
            s.reading.file = file;
        }
        read
    }
}

/// The variable that overrides a key.
pub(super) fn variable(name: &str) -> String {
    format!(
        "{}{}",
        super::tree::PREFIX,
        name.to_uppercase().replace('.', "__")
    )
}
