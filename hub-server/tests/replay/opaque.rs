//! Texts that mean nothing by themselves: the recorded ones and ours in their place.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What the recorded clients left as it is in addresses and forms.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// Fields of JSON that hold such a text.
const FIELDS: [&str; 3] = ["token", "access_token", "code"];

/// Cookies, tokens and codes of the recording, and ours.
#[derive(Debug, Default)]
pub(crate) struct Opaque {
    texts: BTreeMap<String, String>,
    /// Ids, which are too short to be looked for everywhere.
    ids: BTreeMap<String, String>,
}

impl Opaque {
    /// Ours stands for `recorded` from now on.
    pub(crate) fn learn(&mut self, recorded: &str, ours: &str) {
        if recorded.len() >= 8 && recorded != ours {
            self.texts.insert(recorded.to_owned(), ours.to_owned());
        }
    }

    /// Whether it is known what stands for `recorded`.
    pub(crate) fn knows(&self, recorded: &str) -> bool {
        self.texts.contains_key(recorded)
    }

    /// Learns from two answers that stand for the same.
    pub(crate) fn learn_from_json(&mut self, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Object(recorded), Value::Object(ours)) => {
                for (key, value) in recorded {
                    let Some(own) = ours.get(key) else { continue };
                    match (value.as_str(), own.as_str()) {
                        (Some(value), Some(own)) if FIELDS.contains(&key.as_str()) => {
                            self.learn(value, own);
                        }
                        (Some(value), Some(own)) if key == "id" => {
                            self.ids.insert(value.to_owned(), own.to_owned());
                        }
                        _ => self.learn_from_json(value, own),
                    }
                }
            }
            (Value::Array(recorded), Value::Array(ours)) => {
                for (value, own) in recorded.iter().zip(ours) {
                    self.learn_from_json(value, own);
                }
            }
            _ => {}
        }
    }

    /// Learns the codes of two redirects.
    pub(crate) fn learn_from_location(&mut self, recorded: &str, ours: &str) {
        let code = |url: &str| {
            let query = url.split_once('?')?.1;
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == "code").map(|(_, value)| value.into_owned())
        };
        if let (Some(recorded), Some(ours)) = (code(recorded), code(ours)) {
            self.learn(&recorded, &ours);
        }
    }

    /// Learns the value of two `Set-Cookie` fields of one name.
    pub(crate) fn learn_from_cookie(&mut self, recorded: &str, ours: &str) {
        let value = |line: &str| {
            let pair = line.split(';').next().unwrap_or_default();
            pair.split_once('=').map(|(_, value)| value.trim_matches('"').to_owned())
        };
        if let (Some(recorded), Some(ours)) = (value(recorded), value(ours)) {
            self.learn(&recorded, &ours);
        }
    }

    /// The recorded text with ours in it.
    pub(crate) fn put_into(&self, text: &str) -> String {
        let encode = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
        self.texts.iter().fold(text.to_owned(), |text, (recorded, ours)| {
            text.replace(recorded, ours).replace(&encode(recorded), &encode(ours))
        })
    }

    /// The same for a path, in which ids are segments of their own.
    pub(crate) fn put_into_target(&self, target: &str) -> String {
        let target = self.put_into(target);
        let segments: Vec<&str> = target
            .split('/')
            .map(|segment| self.ids.get(segment).map_or(segment, String::as_str))
            .collect();
        segments.join("/")
    }
}
