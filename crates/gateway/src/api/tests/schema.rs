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

fn matches(pattern: &str, text: &str) -> bool {
    regex::Regex::new(pattern).unwrap().is_match(text)
}
