//! The kinds of values a key can want: how each is read, checked, described and shown.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use call::private::Private;

use super::tree::Entry;
use super::words::Words;
use super::{duration, size};

pub(super) mod parsed;
pub(super) mod urls;

const SECRET_BYTES_MAX: usize = 64 * 1024;

/// A kind of value.
pub(super) trait Kind {
    type Value;
    /// Whether a value must not be printed.
    const SECRET: bool = false;
    /// What is wanted, as in "expected …".
    fn wants(&self) -> String;
    fn read(&self, entry: &Entry, around: &Around) -> Result<Self::Value, Wrong>;
    /// As TOML; a secret as dots.
    fn show(&self, value: &Self::Value) -> String;
}

/// A kind that a key may want without having a default.
pub(super) trait Blank: Kind {
    /// Stands in for a value that is missing, so that the reading can go on to the next mistake.
    fn blank(&self) -> Self::Value;
}

/// What references and relative paths refer to.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The folder of the file; relative paths begin there.
    pub(super) folder: PathBuf,
    pub(super) variables: BTreeMap<String, String>,
}

/// Why a value is not of a kind.
#[derive(Debug)]
pub(super) enum Wrong {
    /// A sentence that says more than what was wanted.
    Because(String),
    /// Something else was wanted.
    Unlike,
}

/// An address and a port.
pub(super) struct Address;
/// A whole number.
pub(super) struct Count<N>(pub(super) RangeInclusive<N>);
/// The name of a file.
pub(super) struct File;
/// Yes or no.
pub(super) struct Flag;
/// Several of a kind, at most so many.
pub(super) struct List<K>(pub(super) K, pub(super) usize);
/// The name of a file that need not be there.
pub(super) struct NewFile;
/// A duration, or none, which is zero.
pub(super) struct OffOr(pub(super) RangeInclusive<Duration>);
/// A duration.
pub(super) struct Period(pub(super) RangeInclusive<Duration>);
/// A whole number from 1 to so many.
pub(super) struct Positive(pub(super) u32);
/// A secret, or where to find it.
pub(super) struct Secret;
/// A number of bytes.
pub(super) struct Size(pub(super) RangeInclusive<usize>);
/// Characters, so many.
pub(super) struct Text(pub(super) RangeInclusive<usize>);
/// One of the words of an enumeration.
pub(super) struct Word<W>(pub(super) PhantomData<W>);

impl Kind for Address {
    type Value = SocketAddr;

    fn wants(&self) -> String {
        "an address and a port, such as \"127.0.0.1:8080\"".to_owned()
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<SocketAddr, Wrong> {
        entry
            .node
            .text()
            .and_then(|text| text.parse().ok())
            .ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &SocketAddr) -> String {
        quoted(&value.to_string())
    }
}

impl<N: Copy + Display + PartialOrd + TryFrom<i64>> Kind for Count<N> {
    type Value = N;

    fn wants(&self) -> String {
        format!("a whole number, {} to {}", self.0.start(), self.0.end())
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<N, Wrong> {
        let number = entry
            .node
            .integer()
            .and_then(|number| N::try_from(number).ok());
        number
            .filter(|number| self.0.contains(number))
            .ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &N) -> String {
        value.to_string()
    }
}

impl Kind for File {
    type Value = PathBuf;

    fn wants(&self) -> String {
        "the name of a file, relative to the configuration file's folder".to_owned()
    }

    fn read(&self, entry: &Entry, around: &Around) -> Result<PathBuf, Wrong> {
        let name = entry
            .node
            .text()
            .filter(|name| !name.is_empty())
            .ok_or(Wrong::Unlike)?;
        let path = around.folder.join(name);
        match std::fs::File::open(&path) {
            Ok(_) => Ok(path),
            Err(error) => Err(cannot_read(&path, &error)),
        }
    }

    fn show(&self, value: &PathBuf) -> String {
        quoted(&value.display().to_string())
    }
}

impl Kind for Flag {
    type Value = bool;

    fn wants(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<bool, Wrong> {
        entry.node.flag().ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    const SECRET: bool = K::SECRET;

    fn wants(&self) -> String {
        format!("a list of at most {}, each {}", self.1, self.0.wants())
    }

    fn read(&self, entry: &Entry, around: &Around) -> Result<Vec<K::Value>, Wrong> {
        let items = entry.node.list(&entry.place).ok_or(Wrong::Unlike)?;
        if items.len() > self.1 {
            return Err(Wrong::Unlike);
        }
        let read = |(index, item)| {
            self.0.read(item, around).map_err(|wrong| match wrong {
                Wrong::Because(why) => Wrong::Because(format!("item {index}: {why}")),
                Wrong::Unlike => {
                    Wrong::Because(format!("item {index}: expected {}", self.0.wants()))
                }
            })
        };
        items.iter().enumerate().map(read).collect()
    }

    fn show(&self, value: &Vec<K::Value>) -> String {
        let items: Vec<String> = value.iter().map(|item| self.0.show(item)).collect();
        format!("[{}]", items.join(", "))
    }
}

impl Kind for NewFile {
    type Value = PathBuf;

    fn wants(&self) -> String {
        "the name of a file, relative to the configuration file's folder".to_owned()
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<PathBuf, Wrong> {
        let name = entry.node.text().filter(|name| !name.is_empty());
        name.map(PathBuf::from).ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &PathBuf) -> String {
        quoted(&value.display().to_string())
    }
}

impl Kind for OffOr {
    type Value = Duration;

    fn wants(&self) -> String {
        format!("\"off\" or {}", Period(self.0.clone()).wants())
    }

    fn read(&self, entry: &Entry, around: &Around) -> Result<Duration, Wrong> {
        match entry.node.text() {
            Some("off") => Ok(Duration::ZERO),
            _ => Period(self.0.clone()).read(entry, around),
        }
    }

    fn show(&self, value: &Duration) -> String {
        match value.is_zero() {
            true => quoted("off"),
            false => Period(self.0.clone()).show(value),
        }
    }
}

impl Kind for Period {
    type Value = Duration;

    fn wants(&self) -> String {
        let (least, most) = (
            duration::show(*self.0.start()),
            duration::show(*self.0.end()),
        );
        format!("a duration, {least:?} to {most:?}")
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<Duration, Wrong> {
        let period = entry.node.text().and_then(duration::parse);
        period
            .filter(|period| self.0.contains(period))
            .ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &Duration) -> String {
        quoted(&duration::show(*value))
    }
}

impl Kind for Positive {
    type Value = NonZeroU32;

    fn wants(&self) -> String {
        Count(1..=self.0).wants()
    }

    fn read(&self, entry: &Entry, around: &Around) -> Result<NonZeroU32, Wrong> {
        let number = Count(1..=self.0).read(entry, around)?;
        NonZeroU32::new(number).ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &NonZeroU32) -> String {
        value.to_string()
    }
}

impl Kind for Secret {
    type Value = Private<String>;

    const SECRET: bool = true;

    fn wants(&self) -> String {
        "a secret: the value itself, `file:NAME` or `env:NAME`".to_owned()
    }

    fn read(&self, entry: &Entry, around: &Around) -> Result<Private<String>, Wrong> {
        let given = entry.node.text().ok_or(Wrong::Unlike)?;
        let (secret, whence) = if let Some(name) = given.strip_prefix("file:") {
            let path = around.folder.join(name);
            let text = std::fs::read_to_string(&path).map_err(|e| cannot_read(&path, &e))?;
            (
                text.trim_end_matches(['\r', '\n']).to_owned(),
                path.display().to_string(),
            )
        } else if let Some(name) = given.strip_prefix("env:") {
            let value = around.variables.get(name).ok_or_else(|| {
                Wrong::Because(format!("the environment variable {name} is not set"))
            })?;
            (value.clone(), format!("the environment variable {name}"))
        } else {
            (given.to_owned(), "the secret".to_owned())
        };
        match secret.len() {
            0 => Err(Wrong::Because(format!("{whence} is empty"))),
            1..=SECRET_BYTES_MAX => Ok(Private::new(secret)),
            _ => Err(Wrong::Because(format!(
                "{whence} is longer than {SECRET_BYTES_MAX} bytes"
            ))),
        }
    }

    fn show(&self, value: &Private<String>) -> String {
        quoted(&value.to_string())
    }
}

impl Blank for Secret {
    fn blank(&self) -> Private<String> {
        Private::default()
    }
}

impl Kind for Size {
    type Value = usize;

    fn wants(&self) -> String {
        let (least, most) = (size::show(*self.0.start()), size::show(*self.0.end()));
        format!("a number of bytes, {least:?} to {most:?}")
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<usize, Wrong> {
        let number = entry
            .node
            .integer()
            .and_then(|number| usize::try_from(number).ok());
        let bytes = number.or_else(|| entry.node.text().and_then(size::parse));
        bytes
            .filter(|bytes| self.0.contains(bytes))
            .ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &usize) -> String {
        quoted(&size::show(*value))
    }
}

impl Kind for Text {
    type Value = String;

    fn wants(&self) -> String {
        format!(
            "a text of {} to {} characters",
            self.0.start(),
            self.0.end()
        )
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<String, Wrong> {
        let text = entry.node.text().ok_or(Wrong::Unlike)?;
        let fits = self.0.contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then(|| text.to_owned()).ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &String) -> String {
        quoted(value)
    }
}

impl Blank for Text {
    fn blank(&self) -> String {
        String::new()
    }
}

impl<W: Words> Kind for Word<W> {
    type Value = W;

    fn wants(&self) -> String {
        let words: Vec<String> = W::ALL.iter().map(|(_, word)| quoted(word)).collect();
        words.join(" or ")
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<W, Wrong> {
        let text = entry.node.text().ok_or(Wrong::Unlike)?;
        W::ALL
            .iter()
            .find(|(_, word)| *word == text)
            .map(|(found, _)| *found)
            .ok_or(Wrong::Unlike)
    }

    fn show(&self, value: &W) -> String {
        quoted(value.word())
    }
}

/// One of the words of an enumeration.
pub(super) fn word<W: Words>() -> Word<W> {
    Word(PhantomData)
}

/// As a TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Wrong {
    Wrong::Because(format!("cannot read {}: {error}", path.display()))
}
