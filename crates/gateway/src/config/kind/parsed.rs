//! Values that have a text of their own: listeners, networks, ranges of ports.

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use super::{Around, Kind, Wrong, quoted};
use crate::config::tree::Entry;

/// Whatever can be read from a text and written as one.
pub(in crate::config) struct Parsed<T> {
    wants: &'static str,
    of: PhantomData<T>,
}

/// Whatever can be read from a text and written as one; `wants` says what that is.
pub(in crate::config) fn parsed<T>(wants: &'static str) -> Parsed<T> {
    Parsed {
        wants,
        of: PhantomData,
    }
}

impl<T> Kind for Parsed<T>
where
    T: FromStr<Err: Display> + Display,
{
    type Value = T;

    fn wants(&self) -> String {
        self.wants.to_owned()
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<T, Wrong> {
        let text = entry.node.text().ok_or(Wrong::Unlike)?;
        text.parse().map_err(|error| {
            let wants = self.wants;
            Wrong::Because(format!(
                "{text:?} cannot be used ({error}): expected {wants}"
            ))
        })
    }

    fn show(&self, value: &T) -> String {
        quoted(&value.to_string())
    }
}
