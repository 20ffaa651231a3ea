//! A speech service's own parameters, as a section of a service or of a trunk holds them.
//!
//! Which there are, and what they may be, is the service's to say; here they are only read.

use std::sync::Arc;

use call::private::Private;
use call::start::Wish;

use super::kind::{Around, Kind, Secret, Wrong, quoted};
use super::problem::Place;
use super::section::Section;
use super::tree::{Entry, Node, Table};
use super::words::Service;

/// Parameters in the order of their names, each with its value and where it was given.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<Parameter>);

#[derive(Clone, Debug)]
struct Parameter {
    name: Arc<str>,
    /// JSON or a bare word.
    value: Private<String>,
    place: Place,
}

/// A table of parameters.
pub(super) struct ParameterTable;

impl Parameters {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each name and its value, as JSON or a bare word.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(Parameter::pair)
    }

    /// As what a stream wishes for.
    pub fn wished(&self) -> Vec<(Arc<str>, Private<String>)> {
        let wished = |one: &Parameter| (Arc::clone(&one.name), one.value.clone());
        self.0.iter().map(wished).collect()
    }

    /// Tells which of them, at `key`, the service does not have, or not so.
    pub(super) fn check(&self, service: Service, key: &'static str, s: &mut Section<'_>) {
        for one in &self.0 {
            if let Err(bad) = service.check([one.pair()]) {
                s.refuse_inside((key, &one.name), &one.place, &bad.what);
            }
        }
    }
}

impl Parameter {
    fn pair(&self) -> (&str, &str) {
        (&self.name, self.value.reveal())
    }
}

/// Wherever they were given.
impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        self.pairs().eq(other.pairs())
    }
}

impl Kind for ParameterTable {
    type Value = Parameters;

    fn wants(&self) -> String {
        "a table of the service's own parameters".to_owned()
    }

    fn read(&self, entry: &Entry, around: &Around) -> Result<Parameters, Wrong> {
        let table = entry.node.table(&entry.place).ok_or(Wrong::Unlike)?;
        if table.len() > Wish::PARAMETERS_MAX {
            let why = format!("expected at most {} parameters", Wish::PARAMETERS_MAX);
            return Err(Wrong::Because(why));
        }
        read(&table, around).map(Parameters).map_err(Wrong::Because)
    }

    fn show(&self, value: &Parameters) -> String {
        if value.is_empty() {
            return "{}".to_owned();
        }
        let shown = value.pairs().map(|(name, value)| match is_secret(name) {
            true => format!("{} = \"•••\"", key(name)),
            false => format!("{} = {}", key(name), toml_of(value)),
        });
        format!("{{ {} }}", shown.collect::<Vec<_>>().join(", "))
    }
}

fn read(table: &Table, around: &Around) -> Result<Vec<Parameter>, String> {
    let parameter = |(name, entry): (&String, &Entry)| {
        if !Wish::is_name(name) {
            return Err(format!("{name:?} cannot be a parameter's name"));
        }
        let value = match is_secret(name) {
            true => Secret.read(entry, around).map_err(|wrong| match wrong {
                Wrong::Because(why) => format!("{name}: {why}"),
                Wrong::Unlike => format!("{name}: expected {}", Secret.wants()),
            })?,
            false => json_of(&entry.node).map(Private::new).ok_or_else(|| {
                format!("{name}: expected a text, a number, true or false, or a list of these")
            })?,
        };
        let most = Wish::VALUE_BYTES_MAX;
        if value.reveal().len() > most {
            return Err(format!("{name}: expected at most {most} bytes"));
        }
        Ok(Parameter {
            name: name.as_str().into(),
            value,
            place: entry.place.clone(),
        })
    };
    table.iter().map(parameter).collect()
}

/// Whether a parameter is how others know the service by: it is read as secrets are and not shown.
fn is_secret(name: &str) -> bool {
    name.contains("auth")
}

/// A plain value, or a list of such, as JSON; the environment's texts are JSON or bare words.
fn json_of(node: &Node) -> Option<String> {
    Some(match node {
        Node::Flag(flag) => flag.to_string(),
        Node::Fraction(number) => {
            let number: f64 = number.parse().ok()?;
            serde_json::Number::from_f64(number)?.to_string()
        }
        Node::Integer(number) => number.to_string(),
        Node::List(items) => {
            let plain = |item: &Entry| match item.node {
                Node::List(_) => None,
                _ => json_of(&item.node),
            };
            let items: Vec<_> = items.iter().map(plain).collect::<Option<_>>()?;
            format!("[{}]", items.join(","))
        }
        Node::Raw(text) => text.clone(),
        Node::Table(_) | Node::Unusable => return None,
        Node::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
    })
}

/// As TOML: what is JSON as that, all else as a text.
fn toml_of(value: &str) -> String {
    use serde_json::Value;
    let plain = |json: &Value| match json {
        Value::Bool(flag) => Some(flag.to_string()),
        // TOML has no larger ones.
        Value::Number(number) if number.is_i64() || number.is_f64() => Some(number.to_string()),
        Value::String(text) => Some(quoted(text)),
        _ => None,
    };
    let json = serde_json::from_str::<Value>(value).ok();
    let shown = json.and_then(|json| match &json {
        Value::Array(items) => {
            let items = items.iter().map(plain).collect::<Option<Vec<_>>>();
            items.map(|items| format!("[{}]", items.join(", ")))
        }
        json => plain(json),
    });
    shown.unwrap_or_else(|| quoted(value))
}

/// A bare key where it can be one.
fn key(name: &str) -> String {
    if name.contains('.') {
        quoted(name)
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::tree;
    use super::*;

    /// Reads a file that has nothing but a table `p`.
    fn read_text(text: &str) -> Result<Parameters, String> {
        let (table, problems) = tree::parse(&"x.toml".into(), text);
        assert_eq!(problems, []);
        let variables = BTreeMap::from([("NAME".to_owned(), "hush".to_owned())]);
        let around = Around {
            variables,
            ..Around::default()
        };
        ParameterTable
            .read(&table["p"], &around)
            .map_err(|wrong| match wrong {
                Wrong::Because(why) => why,
                Wrong::Unlike => ParameterTable.wants(),
            })
    }

    #[test]
    fn values_are_told_on_as_json() {
        let parameters = read_text(
            "[p]\ntext = \"300\"\nwhole = 300\nshare = 0.4\nflag = true\nlist = [\"a\", 1]\n\
             webhook_auth_header_value = \"env:NAME\"",
        )
        .unwrap();
        let expected = [
            ("flag", "true"),
            ("list", "[\"a\",1]"),
            ("share", "0.4"),
            ("text", "\"300\""),
            ("webhook_auth_header_value", "hush"),
            ("whole", "300"),
        ];
        assert_eq!(parameters.pairs().collect::<Vec<_>>(), expected);
        let shown = "{ flag = true, list = [\"a\", 1], share = 0.4, text = \"300\", \
                     webhook_auth_header_value = \"•••\", whole = 300 }";
        assert_eq!(ParameterTable.show(&parameters), shown);
        assert!(!format!("{parameters:?}").contains("hush"));
    }

    #[test]
    fn what_is_no_value_of_a_parameter_is_told_with_its_name() {
        let kinds = "expected a text, a number, true or false, or a list of these";
        for (text, told) in [
            ("p = 7", ParameterTable.wants()),
            ("[p]\nx = {}", format!("x: {kinds}")),
            ("[p]\nx = 1979-05-27", format!("x: {kinds}")),
            ("[p]\nx = nan", format!("x: {kinds}")),
            ("[p]\nx = [[1]]", format!("x: {kinds}")),
            (
                "[p]\n\"a b\" = 1",
                "\"a b\" cannot be a parameter's name".to_owned(),
            ),
            (
                "[p]\nwebhook_auth_header_value = 7",
                format!("webhook_auth_header_value: expected {}", Secret.wants()),
            ),
        ] {
            assert_eq!(read_text(text).unwrap_err(), told, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_means_the_same_when_it_is_read_again(
            text in any::<String>(), word in "[a-z0-9\"\\[\\]{}., ]{0,9}", number in any::<i32>(),
            name in "[a-z._-]{1,9}",
        ) {
            // What JSON is read by does not keep the last digit of each.
            let number = f64::from(number) / 8.0;
            prop_assume!(!name.contains("auth"));
            let texts = [
                serde_json::json!([text, true]).to_string(),
                serde_json::json!(text).to_string(),
                serde_json::json!(number).to_string(),
                word,
            ];
            for value in texts.into_iter().filter(|value| value != "null") {
                let given = Parameters(vec![Parameter {
                    name: name.as_str().into(),
                    value: Private::new(value.clone()),
                    place: Place::Variable("X".into()),
                }]);
                let shown = ParameterTable.show(&given);
                let again = read_text(&format!("p = {shown}")).unwrap();
                let (_, read) = again.pairs().next().unwrap();
                let meant = serde_json::from_str::<serde_json::Value>(&value);
                let is_plain = match &meant {
                    Ok(serde_json::Value::Array(items)) => {
                        items.iter().all(|item| !item.is_array() && !item.is_object())
                            && !items.iter().any(serde_json::Value::is_null)
                    }
                    Ok(json) => !json.is_object() && !json.is_null(),
                    Err(_) => false,
                };
                let expected = match meant {
                    Ok(meant) if is_plain => meant,
                    _ => serde_json::Value::from(value),
                };
                let read: serde_json::Value = serde_json::from_str(read).unwrap();
                prop_assert_eq!(read, expected);
            }
        }
    }
}
