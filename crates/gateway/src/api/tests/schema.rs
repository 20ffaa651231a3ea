//! As much of JSON Schema as the description uses; a keyword that is not known here is an error, so
//! that nothing is passed over in silence.

use serde_json::{Map, Value};

/// What of `value` is not as `schema` wants it.
pub(super) fn check(doc: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = schema.as_object().ok_or("a schema must be an object")?;
    if let Some(name) = schema.get("$ref") {
        let pointer = name.as_str().unwrap().trim_start_matches('#');
        let target = doc.pointer(pointer).ok_or_else(|| format!("no {name}"))?;
        return check(doc, target, value);
    }
    for (keyword, wanted) in schema {
        keyword_holds(doc, schema, keyword, wanted, value)?;
    }
    Ok(())
}

fn keyword_holds(
    doc: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
    wanted: &Value,
    value: &Value,
) -> Result<(), String> {
    let unlike = || Err(format!("{value} is not {keyword} {wanted}"));
    let list = || wanted.as_array().unwrap().iter();
    let holds = match keyword {
        "title" | "description" | "default" | "example" | "examples" => true,
        "format" => has_format(wanted.as_str().unwrap(), value),
        "type" => has_type(wanted, value),
        "enum" => list().any(|one| one == value),
        "minimum" => value
            .as_f64()
            .is_none_or(|value| value >= wanted.as_f64().unwrap()),
        "maximum" => value
            .as_f64()
            .is_none_or(|value| value <= wanted.as_f64().unwrap()),
        "minLength" => length(value).is_none_or(|length| length >= wanted.as_u64().unwrap()),
        "maxLength" => length(value).is_none_or(|length| length <= wanted.as_u64().unwrap()),
        "maxItems" => value
            .as_array()
            .is_none_or(|all| all.len() as u64 <= wanted.as_u64().unwrap()),
        "pattern" => value
            .as_str()
            .is_none_or(|text| matches(wanted.as_str().unwrap(), text)),
        "required" => {
            let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
            !value.is_object() || list().all(has)
        }
        "items" => {
            for item in value.as_array().into_iter().flatten() {
                check(doc, wanted, item)?;
            }
            true
        }
        "properties" => {
            for (name, property) in wanted.as_object().unwrap() {
                if let Some(value) = value.get(name) {
                    check(doc, property, value).map_err(|wrong| format!("{name}: {wrong}"))?;
                }
            }
            true
        }
        "allOf" => {
            for one in list() {
                check(doc, one, value)?;
            }
            true
        }
        "oneOf" => list().filter(|one| check(doc, one, value).is_ok()).count() == 1,
        _ => panic!("{keyword} is not known; in {schema:?}"),
    };
    if holds { Ok(()) } else { unlike() }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    if let Some(several) = wanted.as_array() {
        return several.iter().any(|one| has_type(one, value));
    }
    match wanted.as_str().unwrap() {
        "null" => value.is_null(),
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("type {other} is not known"),
    }
}

fn has_format(format: &str, value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    match format {
        "uuid" => text.parse::<uuid::Uuid>().is_ok(),
        "uri" => text.parse::<url::Url>().is_ok(),
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "int32" | "int64" => value.as_u64().is_some(),
        other => panic!("format {other} is not known"),
    }
}

/// The patterns that the description uses, each written out.
fn matches(pattern: &str, text: &str) -> bool {
    let alternatives = pattern
        .strip_prefix("^(")
        .and_then(|rest| rest.strip_suffix(")$"));
    match (pattern, alternatives) {
        ("^[!-~]([ -~]*[!-~])?$", _) => {
            let is_visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
            !text.is_empty() && text.trim() == text && text.bytes().all(is_visible)
        }
        ("^[0-9]+$", _) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        ("^[A-Za-z0-9._-]+$", _) => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !text.is_empty() && text.bytes().all(is_plain)
        }
        ("^[0-9]{3}-[0-9]{2,3}$", _) => text.len() <= 7 && text.as_bytes()[3] == b'-',
        ("^([eE][nN]|[eE][sS])-[uU][sS]$", _) => {
            ["en-us", "es-us"].contains(&text.to_lowercase().as_str())
        }
        ("^SUCCESS$", _) => text == "SUCCESS",
        ("^live$", _) => text == "live",
        ("^ready$", _) => text == "ready",
        ("^utterances$", _) => text == "utterances",
        ("^(version=)?1$", _) => ["1", "version=1"].contains(&text),
        ("^(format=)?(csv|jsonl)$", _) => {
            ["csv", "jsonl"].contains(&text.trim_start_matches("format="))
        }
        ("^(dt=)?[0-9]{4}-[0-9]{2}-[0-9]{2}$", _) => {
            let date = text.trim_start_matches("dt=");
            date.len() == 10 && date.parse::<jiff::civil::Date>().is_ok()
        }
        ("^hr=[0-9]{2}(/mi=00)?$", _) => text.starts_with("hr="),
        ("^[0-9A-HJKMNP-TV-Z]{26}$", _) => {
            let is_good = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
            text.len() == 26 && text.bytes().all(is_good)
        }
        ("^antiphon$", _) => text == "antiphon",
        (_, Some(words))
            if words
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'|') =>
        {
            words.split('|').any(|word| word == text)
        }
        _ => panic!("pattern {pattern} is not known"),
    }
}
