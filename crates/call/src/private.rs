//! What a caller said, dialled or is called prints as dots.

use std::fmt;

/// A value that must not reach a log. `Debug` and `Display` print dots; only [`Private::reveal`]
/// shows it, and a search for that word finds every place that does.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the peer or the API answer it is meant for.
    pub fn reveal(&self) -> &T {
        &self.0
    }

    /// The value itself, by value.
    pub fn into_revealed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl<T> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl<T> From<T> for Private<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_value_prints_as_dots() {
        let number = Private::new("+15551234567".to_owned());
        assert_eq!(format!("{number} {number:?}"), "••• •••");
        assert_eq!(number.reveal(), "+15551234567");
    }
}
