//! A service's own parameters: one table a service says what each is called and what it may be.
//!
//! For services that take them in the query of their address (AssemblyAI, Deepgram). Parameters
//! come as pairs of name and text from a configuration file, from a start or from what brings a
//! call's media; all three are read here, once, so that a mistake is told before a call suffers
//! from it. Values may be a caller's name: they are told to the service and to nobody else.

use serde_json::Value as Json;

use call::private::Private;
use call::start::Wish;

use crate::service::BadParameter;

/// All parameters of a service.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The service's name: `deepgram`.
    pub service: &'static str,
    /// How it wants several values of one parameter.
    pub lists: Lists,
    /// The parameters, in alphabetical order.
    pub rows: &'static [Row],
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in the query.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any of these.
    Either(&'static [Self]),
    /// `true` or `false`.
    Flag,
    /// A number within these bounds.
    Fraction {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// One value or several.
    List {
        /// What each may be.
        of: &'static Self,
        /// How many there may be.
        items_max: usize,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The service has it, but it is not to be set here; the words say why, after its name.
    Refused(&'static str),
    /// The old name of another one, which it is read as.
    Renamed(&'static str),
    /// Any text that is not empty and has no control characters.
    Text {
        /// How many characters it may have.
        chars_max: usize,
    },
    /// A whole number within these bounds.
    Whole {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
}

/// How several values of one parameter are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// `name=["a","b"]`
    Json,
    /// `name=a&name=b`
    Repeated,
}

/// Parameters that were read by a table, or set by the service itself; in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    given: Vec<(&'static str, Private<Value>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Many(Vec<String>),
    One(String),
}

impl Table {
    /// Reads pairs of name and text. A text is JSON (`true`, `300`, `"a word"`, `["a","b"]`) or
    /// else a bare word.
    pub fn read<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Parameters, BadParameter> {
        let mut parameters = Parameters::default();
        for (name, text) in pairs {
            let row = self.row(name)?;
            if parameters.has(row.name) {
                return Err(bad(name, "is given twice"));
            }
            let value = row.kind.read(text).map_err(|what| bad(name, what))?;
            parameters.given.push((row.name, Private::new(value)));
        }
        Ok(parameters)
    }

    /// Whether a wish can be fulfilled.
    pub fn check(&self, wish: &Wish) -> Result<(), BadParameter> {
        self.read(pairs(wish)).map(drop)
    }

    /// What a wish asks of this service. A stream may have come here from another service: what was
    /// wished of that one is not for this.
    pub fn wished(&self, wish: &Wish) -> Parameters {
        let other = wish
            .service
            .as_deref()
            .is_some_and(|name| name != self.service);
        if other {
            return Parameters::default();
        }
        let mut parameters = Parameters::default();
        for pair in pairs(wish) {
            parameters = parameters.over(self.read([pair]).unwrap_or_default());
        }
        parameters
    }

    fn row(&self, name: &str) -> Result<&'static Row, BadParameter> {
        let named = |name: &str| self.rows.iter().find(|row| row.name == name);
        let found = named(name).and_then(|row| match row.kind {
            Kind::Renamed(name) => named(name),
            _ => Some(row),
        });
        found.ok_or_else(|| {
            let nearest = self.rows.iter().max_by(|a, b| {
                let likeness = |row: &Row| strsim::jaro_winkler(name, row.name);
                likeness(a).total_cmp(&likeness(b))
            });
            let nearest = nearest.map_or("none", |row| row.name);
            let service = self.service;
            let what = format!("is no parameter of {service}; the nearest is {nearest}");
            bad(name, what)
        })
    }
}

impl Kind {
    /// What it wants, after "must be".
    pub(crate) fn wants(&self) -> String {
        match self {
            Self::Either(kinds) => {
                let wants: Vec<_> = kinds.iter().map(Self::wants).collect();
                wants.join(", or ")
            }
            Self::Flag => "true or false".to_owned(),
            Self::Fraction { min, max } => format!("a number from {min} to {max}"),
            Self::List { of, items_max } => format!("at most {items_max} of: {}", of.wants()),
            Self::OneOf(words) => match words {
                [word] => (*word).to_owned(),
                words => format!("one of {}", words.join(", ")),
            },
            Self::Refused(_) => "left out".to_owned(),
            Self::Renamed(name) => format!("called {name}"),
            Self::Text { chars_max } => format!("text of at most {chars_max} characters"),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
        }
    }

    fn read(&self, text: &str) -> Result<Value, String> {
        if let Self::Refused(why) = self {
            return Err((*why).to_owned());
        }
        let text = text.trim();
        let value = match serde_json::from_str(text) {
            Ok(Json::Array(items)) => items
                .iter()
                .map(word)
                .collect::<Option<_>>()
                .map(Value::Many),
            Ok(Json::Null | Json::Object(_)) => None,
            Ok(Json::String(word)) => Some(Value::One(word)),
            // As it is written: a number is not to be rounded here.
            Ok(Json::Bool(_) | Json::Number(_)) | Err(_) => Some(Value::One(text.to_owned())),
        };
        let value = match (self, value) {
            (Self::List { .. }, Some(Value::One(item))) => Some(Value::Many(vec![item])),
            (_, value) => value,
        };
        let fits = value.filter(|value| match (self, value) {
            (Self::List { of, items_max }, Value::Many(items)) => {
                items.len() <= *items_max && items.iter().all(|item| of.takes(item))
            }
            (kind, Value::One(item)) => kind.takes(item),
            (_, Value::Many(_)) => false,
        });
        fits.ok_or_else(|| format!("must be {}", self.wants()))
    }

    fn takes(&self, text: &str) -> bool {
        match self {
            Self::Either(kinds) => kinds.iter().any(|kind| kind.takes(text)),
            Self::Flag => matches!(text, "true" | "false"),
            Self::Fraction { min, max } => {
                let number = text.parse::<f64>();
                number.is_ok_and(|number| (*min..=*max).contains(&number))
            }
            Self::List { .. } | Self::Refused(_) | Self::Renamed(_) => false,
            Self::OneOf(words) => words.contains(&text),
            Self::Text { chars_max } => {
                let is_plain = !text.is_empty() && !text.chars().any(char::is_control);
                is_plain && text.chars().count() <= *chars_max
            }
            Self::Whole { min, max } => {
                let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
                is_plain
                    && text
                        .parse()
                        .is_ok_and(|number| (*min..=*max).contains(&number))
            }
        }
    }
}

impl Parameters {
    /// Whether this one is given.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// These, and where they say nothing, `other`.
    #[must_use]
    pub fn over(mut self, other: Self) -> Self {
        for (name, value) in other.given {
            if !self.has(name) {
                self.given.push((name, value));
            }
        }
        self
    }

    /// One that has a single value, for the service to act on.
    pub(crate) fn single(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Many(_) => None,
            Value::One(text) => Some(text),
        }
    }

    /// One that takes several values, for the service to act on.
    pub(crate) fn items(&self, name: &str) -> Vec<&str> {
        match self.value(name) {
            None => Vec::new(),
            Some(Value::Many(items)) => items.iter().map(String::as_str).collect(),
            Some(Value::One(item)) => vec![item],
        }
    }

    /// Sets one that is not given.
    pub(crate) fn preset(&mut self, name: &'static str, text: impl Into<String>) {
        if !self.has(name) {
            let value = Private::new(Value::One(text.into()));
            self.given.push((name, value));
        }
    }

    /// Takes one out again.
    pub(crate) fn remove(&mut self, name: &str) {
        self.given.retain(|(known, _)| *known != name);
    }

    /// Adds values to one that takes several.
    pub(crate) fn add(&mut self, name: &'static str, items: impl IntoIterator<Item = String>) {
        let mut all = match self.value(name) {
            None => Vec::new(),
            Some(Value::Many(items)) => items.clone(),
            Some(Value::One(item)) => vec![item.clone()],
        };
        for item in items {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        self.given.retain(|(known, _)| *known != name);
        if !all.is_empty() {
            self.given.push((name, Private::new(Value::Many(all))));
        }
    }

    /// For the query, in the order they came; to be encoded.
    pub(crate) fn pairs(&self, lists: Lists) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        for (name, value) in &self.given {
            match (value.reveal(), lists) {
                (Value::Many(items), Lists::Json) => {
                    pairs.push((*name, crate::json::write(items)));
                }
                (Value::Many(items), Lists::Repeated) => {
                    pairs.extend(items.iter().map(|item| (*name, item.clone())));
                }
                (Value::One(text), _) => pairs.push((*name, text.clone())),
            }
        }
        pairs
    }

    /// How many values it has.
    pub(crate) fn count(&self, name: &str) -> usize {
        match self.value(name) {
            None => 0,
            Some(Value::Many(items)) => items.len(),
            Some(Value::One(_)) => 1,
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let found = self.given.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.reveal())
    }
}

fn pairs(wish: &Wish) -> impl Iterator<Item = (&str, &str)> {
    let parameters = wish.parameters.iter();
    parameters.map(|(name, value)| (&**name, value.reveal().as_str()))
}

/// One value in a list.
fn word(json: &Json) -> Option<String> {
    match json {
        Json::String(word) => Some(word.clone()),
        Json::Bool(_) | Json::Number(_) => Some(json.to_string()),
        Json::Array(_) | Json::Null | Json::Object(_) => None,
    }
}

fn bad(name: &str, what: impl Into<String>) -> BadParameter {
    // The name comes from outside and goes into answers and logs.
    let name = name.chars().filter(|char| !char.is_control());
    BadParameter {
        name: name.take(64).collect(),
        what: what.into(),
    }
}

#[cfg(test)]
mod tests;
