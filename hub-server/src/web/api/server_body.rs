//! What a request says about a server (hub-contract 5.4).

use axum::body::Bytes;
use hub_names::ServerName;
use serde_json::{Map, Value};

use crate::web::{error::ApiError, request};

/// What the body of a start or an addition says. All may be missing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wish {
    pub(super) display_name: Option<String>,
    pub(super) options: Option<Value>,
}

/// What the body of a change says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Edit {
    pub(super) name: Option<ServerName>,
    pub(super) display_name: Option<String>,
    pub(super) options: Option<Value>,
}

/// Reads the body of a start: `user_options` and `display_name`, or in the older
/// form the options as a whole.
pub(super) fn wish(body: &Bytes) -> Result<Wish, ApiError> {
    let Some(mut fields) = object(body)? else { return Ok(Wish::default()) };
    if fields.is_empty() {
        return Ok(Wish::default());
    }
    if !fields.contains_key("user_options") && !fields.contains_key("display_name") {
        return Ok(Wish { display_name: None, options: Some(Value::Object(fields)) });
    }
    let display_name = display_name(fields.remove("display_name"))?;
    Ok(Wish { display_name, options: options(fields.remove("user_options"))? })
}

/// Reads the body of a change.
pub(super) fn edit(body: &Bytes) -> Result<Edit, ApiError> {
    let mut fields = object(body)?.unwrap_or_default();
    if fields.is_empty() {
        return Err(ApiError::bad_request("Must specify at least one field to modify."));
    }
    let name = match fields.remove("name") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => {
            let bad = |_| ApiError::bad_request("Invalid server_name: it is no name");
            Some(name.parse().map_err(bad)?)
        }
        Some(_) => return Err(ApiError::bad_request("name must be a string")),
    };
    let display_name = display_name(fields.remove("display_name"))?;
    let options = match fields.remove("user_options") {
        None => None,
        Some(options @ Value::Object(_)) => Some(options),
        Some(_) => return Err(ApiError::bad_request("user_options must be a dict")),
    };
    if let Some(key) = fields.keys().next() {
        let key: String = key.chars().take(64).collect();
        return Err(ApiError::bad_request(format!(
            "Unexpected field: {key:?}, supported fields: name, display_name, user_options"
        )));
    }
    Ok(Edit { name, display_name, options })
}

fn object(body: &Bytes) -> Result<Option<Map<String, Value>>, ApiError> {
    match request::json::<Value>(body)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(fields)),
        Some(_) => Err(ApiError::bad_request("Body must be a JSON object")),
    }
}

/// An empty one is none.
fn display_name(value: Option<Value>) -> Result<Option<String>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err(ApiError::bad_request("display_name must be a string")),
    }
}

fn options(value: Option<Value>) -> Result<Option<Value>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(options @ Value::Object(_)) => Ok(Some(options)),
        Some(_) => Err(ApiError::bad_request("user_options must be an object or null")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wished(text: &str) -> Option<Wish> {
        wish(&Bytes::copy_from_slice(text.as_bytes())).ok()
    }

    #[test]
    fn a_start_takes_both_forms_of_options() {
        let wish = |display: Option<&str>, options: Option<Value>| {
            Some(Wish { display_name: display.map(str::to_owned), options })
        };
        let rows = [
            ("", wish(None, None)),
            ("{}", wish(None, None)),
            (r#"{"image": "x"}"#, wish(None, Some(json!({ "image": "x" })))),
            (r#"{"user_options": {}}"#, wish(None, Some(json!({})))),
            (r#"{"user_options": null}"#, wish(None, None)),
            (r#"{"display_name": "Lab", "image": "x"}"#, wish(Some("Lab"), None)),
            (r#"{"user_options": 1}"#, None),
            (r#"{"display_name": 1}"#, None),
            ("[]", None),
        ];
        for (body, expected) in rows {
            assert_eq!(wished(body), expected, "{body}");
        }
    }

    #[test]
    fn a_change_says_something_and_nothing_unknown() {
        for body in ["", "{}", r#"{"state": {}}"#, r#"{"name": 1}"#, r#"{"user_options": null}"#] {
            assert!(edit(&Bytes::copy_from_slice(body.as_bytes())).is_err(), "{body}");
        }
        let edit = edit(&Bytes::from_static(br#"{"name": "lab"}"#)).unwrap();
        assert_eq!(edit.name.unwrap().as_str(), "lab");
    }
}
