//! Sections that are wanted when another key names them: each speech service has one.

use super::{Field, Outlined, Section, Settings, Subsection};
use crate::config::words::{Service, Words};

/// Values that name sections.
pub(in crate::config) trait Names {
    fn names(&self) -> Vec<Service>;
}

/// A key whose value names sections.
pub(in crate::config) struct Naming<F>(F);

/// A section that is read if it is there, or if a key before it has named it.
pub(in crate::config) struct IfNamed<S>(Subsection<S>);

/// A key whose value names the section of a service, which is then wanted.
pub(in crate::config) fn naming<F: Field>(field: F) -> Naming<F>
where
    F::Value: Names,
{
    Naming(field)
}

/// The section of a service.
pub(in crate::config) fn if_named<S: Settings>() -> IfNamed<S> {
    IfNamed(super::section())
}

impl<F: Field> Field for Naming<F>
where
    F::Value: Names,
{
    type Value = F::Value;

    fn read(self, s: &mut Section<'_>, key: &'static str, meaning: &'static str) -> F::Value {
        let value = self.0.read(s, key, meaning);
        let names = value.names().into_iter().map(Words::word);
        s.reading.named.extend(names);
        value
    }
}

impl<S: Settings> Field for IfNamed<S> {
    type Value = Option<S>;

    fn read(self, s: &mut Section<'_>, key: &'static str, meaning: &'static str) -> Option<S> {
        let is_named = s.reading.named.contains(&key);
        if !is_named && !s.table.contains_key(key) && !s.reading.exhaustive {
            s.known.push(key);
            return None;
        }
        let at = s.reading.outline.len();
        let read = self.0.read(s, key, meaning);
        if let Some(Outlined::Section { is_optional, .. }) = s.reading.outline.get_mut(at) {
            *is_optional = !is_named;
        }
        Some(read)
    }
}

impl Names for Service {
    fn names(&self) -> Vec<Service> {
        vec![*self]
    }
}

impl Names for Vec<Service> {
    fn names(&self) -> Vec<Service> {
        self.clone()
    }
}

impl<N: Names> Names for Option<N> {
    fn names(&self) -> Vec<Service> {
        self.as_ref().map_or_else(Vec::new, Names::names)
    }
}
