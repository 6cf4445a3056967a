//! Values inside the JSON that a provider sends, by dotted path.

use serde_json::{Map, Value};

/// The value at `path`: the names of nested objects, joined by dots, such as
/// `realm_access.roles`.
///
/// Names may hold dots themselves (`https://example.org/groups` is a usual name of
/// a claim): at each level the longest name that is there wins.
pub(crate) fn at<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let mut end = path.len();
    while let Some(dot) = path[..end].rfind('.') {
        if let Some(Value::Object(inner)) = object.get(&path[..dot])
            && let Some(value) = at(inner, &path[dot + 1..])
        {
            return Some(value);
        }
        end = dot;
    }
    None
}

/// One text: a text that is not blank, or a whole number. Nothing else can name
/// somebody or something.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Several texts: a list, or one text with blanks or commas between them (OIDC-2).
/// `None` if it is neither.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::String(list) => {
            let items = list.split([',', ' ', '\t', '\n']).filter(|item| !item.is_empty());
            Some(items.map(str::to_owned).collect())
        }
        Value::Null => Some(Vec::new()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Seconds, which some providers send as text.
pub(crate) fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn oidc_2_a_dotted_path_leads_into_nested_objects() {
        let Value::Object(claims) = json!({
            "sub": "1",
            "realm_access": { "roles": ["staff"] },
            "https://example.org/groups": ["a"],
            "https://example.org/x": { "y.z": 1 },
            "a.b": "whole",
            "a": { "b": "nested" },
        }) else {
            panic!("an object")
        };
        let rows = [
            ("sub", Some(json!("1"))),
            ("realm_access.roles", Some(json!(["staff"]))),
            ("https://example.org/groups", Some(json!(["a"]))),
            ("https://example.org/x.y.z", Some(json!(1))),
            ("a.b", Some(json!("whole"))),
            ("realm_access.none", None),
            ("sub.more", None),
            ("", None),
            (".", None),
        ];
        for (path, expected) in rows {
            assert_eq!(at(&claims, path), expected.as_ref(), "{path}");
        }
    }

    #[test]
    fn oidc_2_groups_are_a_list_or_a_text() {
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
        let rows = [
            (json!(["a", "b c", 7]), list(&["a", "b c", "7"])),
            (json!("a, b  c"), list(&["a", "b", "c"])),
            (json!(""), list(&[])),
            (json!(null), list(&[])),
            (json!([["a"]]), None),
            (json!({ "a": true }), None),
            (json!(true), None),
        ];
        for (value, expected) in rows {
            assert_eq!(texts(&value), expected, "{value}");
        }
    }
}
