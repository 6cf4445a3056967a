//! Whether our answer is what JupyterHub's was, as far as a client can tell.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{harness::Answer, opaque::Opaque, recording::Exchange};

/// Fields whose values are another moment's, another process' or another machine's.
const VOLATILE: [&str; 21] = [
    "created",
    "created_at",
    "started",
    "last_activity",
    "last_exchanged_at",
    "expires_at",
    "id",
    "token",
    "token_id",
    "access_token",
    "code",
    "accept_url",
    "session_id",
    "target",
    "pid",
    "command",
    "python",
    "sys_executable",
    "version",
    "class",
    "state",
];
/// Fields that we add.
const OURS: [&str; 5] = ["certificate", "warning", "health", "last_failure", "culling"];
/// Fields of the answer that a proxy or the connection is about.
const NOT_COMPARED: [&str; 1] = ["content-security-policy"];

/// Everything in which the answers differ.
pub(crate) fn differences(recorded: &Exchange, ours: &Answer, opaque: &Opaque) -> Vec<String> {
    let mut found = Vec::new();
    if recorded.status != ours.status.as_u16() {
        found.push(format!("status {} instead of {}", ours.status.as_u16(), recorded.status));
        return found;
    }
    for (name, value) in &recorded.reply {
        // Nothing is of no type.
        let of_nothing = name == "content-type" && ours.text.is_empty();
        if name == "set-cookie" || of_nothing || NOT_COMPARED.contains(&name.as_str()) {
            continue;
        }
        match ours.headers.get(name).and_then(|value| value.to_str().ok()) {
            None => found.push(format!("no field {name}")),
            Some(own) if name == "content-type" => {
                let kind = |text: &str| text.split(';').next().unwrap_or_default().to_owned();
                if kind(own) != kind(value) {
                    found.push(format!("content-type {own} instead of {value}"));
                }
            }
            Some(own) if name == "location" => {
                let expected = opaque.put_into(value);
                if address(own) != address(&expected) {
                    found.push(format!("location {own} instead of {expected}"));
                }
            }
            Some(_) => {}
        }
    }
    cookies(recorded, ours, &mut found);
    if let Some(expected) = recorded.answer() {
        match serde_json::from_str::<Value>(&ours.text) {
            Ok(own) => shape("", &expected, &own, &mut found),
            Err(_) => found.push(format!("no JSON: {:?}", ours.text)),
        }
    }
    found
}

/// An address in its parts; neither the order of a query nor what is escaped in it
/// matters.
fn address(text: &str) -> (&str, BTreeSet<(String, String)>) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let mut pairs: BTreeSet<_> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        // A place of our own, in which the recorded hub's secret is not to be found.
        .filter(|(key, _)| key != "_xsrf")
        .collect();
    pairs.retain(|(key, value)| !key.is_empty() || !value.is_empty());
    (path, pairs)
}

/// Names of cookies that are set, and the attributes that decide who gets them.
fn cookies(recorded: &Exchange, ours: &Answer, found: &mut Vec<String>) {
    let attributes = |line: &str| -> (String, BTreeSet<String>) {
        let mut parts = line.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().split('=').next().unwrap_or_default();
        let kept = parts.filter(|part| {
            let part = part.to_ascii_lowercase();
            part.starts_with("path=")
                || part.starts_with("domain=")
                || matches!(part.as_str(), "httponly" | "secure")
        });
        let mut kept: BTreeSet<_> = kept.map(str::to_ascii_lowercase).collect();
        // How long it is kept is what we decide; whether it is, is not.
        let lower = line.to_ascii_lowercase();
        if lower.contains("; max-age=") || lower.contains("; expires=") {
            kept.insert("outlives the browser".to_owned());
        }
        (name.to_owned(), kept)
    };
    let own: Vec<_> = ours
        .headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(attributes)
        .collect();
    for (name, expected) in recorded.replies("set-cookie").map(attributes) {
        match own.iter().find(|(key, _)| *key == name) {
            None => found.push(format!("cookie {name} is not set")),
            Some((_, got)) if *got != expected => {
                found.push(format!("cookie {name} with {got:?} instead of {expected:?}"));
            }
            Some(_) => {}
        }
    }
}

/// Field by field: the same names, the same types, and the same values where they
/// do not depend on the moment.
fn shape(at: &str, expected: &Value, own: &Value, found: &mut Vec<String>) {
    match (expected, own) {
        (Value::Object(expected), Value::Object(own)) => {
            for (key, value) in expected {
                let at = format!("{at}.{key}");
                match own.get(key) {
                    None => found.push(format!("no {at}")),
                    Some(own) if VOLATILE.contains(&key.as_str()) => kind(&at, value, own, found),
                    Some(own) => shape(&at, value, own, found),
                }
            }
            for key in own.keys().filter(|key| !expected.contains_key(*key)) {
                if !OURS.contains(&key.as_str()) {
                    found.push(format!("{at}.{key} is not theirs"));
                }
            }
        }
        (Value::Array(expected), Value::Array(own)) => {
            let texts = |list: &[Value]| -> Option<BTreeSet<String>> {
                list.iter().map(|one| one.as_str().map(str::to_owned)).collect()
            };
            match (texts(expected), texts(own)) {
                (Some(expected), Some(own)) if expected != own => {
                    let missing: Vec<_> = expected.difference(&own).collect();
                    let more: Vec<_> = own.difference(&expected).collect();
                    found.push(format!("{at}: without {missing:?}, with {more:?}"));
                }
                (Some(_), Some(_)) => {}
                _ if expected.len() != own.len() => {
                    found.push(format!("{at} has {} instead of {}", own.len(), expected.len()));
                }
                _ => {
                    for (at_index, (expected, own)) in expected.iter().zip(own).enumerate() {
                        shape(&format!("{at}[{at_index}]"), expected, own, found);
                    }
                }
            }
        }
        _ if expected == own => {}
        (Value::String(expected), Value::String(own)) if at.ends_with(".scope") => {
            // A set in words (RFC 6749, 3.3).
            let set = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
            if set(own) != set(expected) {
                found.push(format!("{at} is {own} instead of {expected}"));
            }
        }
        (Value::String(expected), Value::String(own)) if at.ends_with(".url") => {
            if address(own) != address(expected) {
                found.push(format!("{at} is {own} instead of {expected}"));
            }
        }
        // Where they say nothing, a word of ours is welcome.
        (Value::Null, Value::String(_)) if at == ".message" => {}
        // Ids in words are another process' as well.
        (Value::String(expected), Value::String(own))
            if at == ".message"
                && own.strip_prefix("No such token a").is_some()
                && expected.starts_with("No such token a")
                && own.rsplit(' ').next() == expected.rsplit(' ').next() => {}
        _ => found.push(format!("{at} is {own} instead of {expected}")),
    }
}

/// The same type; `null` may stand where there is nothing yet.
fn kind(at: &str, expected: &Value, own: &Value, found: &mut Vec<String>) {
    let same = std::mem::discriminant(expected) == std::mem::discriminant(own)
        || expected.is_null()
        || own.is_null();
    if !same {
        found.push(format!("{at} is {own}, which is not the type of {expected}"));
    }
}
