//! What a key may do.

/// One of the things that a key may do, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Erase conversations, see and replay dead letters.
    Admin,
    /// Start, stop, pause and resume.
    Control,
    /// The file exporter.
    Export,
    /// Calls, events, messages and conversations.
    Transcripts,
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scope {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Control, Self::Export, Self::Transcripts];

    /// As the configuration and errors name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Control => "control",
            Self::Export => "export",
            Self::Transcripts => "transcripts",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Scopes {
    /// Every scope.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether a scope is among them.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it_and_nothing_else() {
        for one in Scope::ALL {
            let set: Scopes = [one, one].into_iter().collect();
            for other in Scope::ALL {
                assert_eq!(set.has(other), one == other);
            }
            assert!(Scopes::all().has(one) && !Scopes::default().has(one));
        }
    }
}
