//! What a request for a token asks for: pure.

use axum::body::Bytes;
use hub_auth::{Role, Roles, Scope};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

use crate::web::{error::ApiError, request};

/// Longest life of a token that is given one: ten years.
const LONGEST_SECONDS: i64 = 10 * 366 * 86_400;
/// Longest note, in characters.
const NOTE_LEN: usize = 1023;
/// Note of a token without one.
const NOTE: &str = "Requested via api";

/// The body of a request for a token.
pub(super) struct Request {
    /// Name and password of somebody without a credential.
    pub(super) auth: Option<Value>,
    /// The token.
    pub(super) wanted: Wanted,
}

/// The token that is asked for, as it is written.
#[derive(Debug, Default)]
pub(in crate::web) struct Wanted {
    pub(in crate::web) note: Option<String>,
    pub(in crate::web) expires_in: Option<i64>,
    pub(in crate::web) scopes: Option<Vec<String>>,
    pub(in crate::web) roles: Option<Vec<String>>,
}

/// A token to be made.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TokenRequest"))]
pub(in crate::web::api) struct Body {
    /// A `username`, a `password` and, with a second factor, `otp`, in place of a credential.
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, Value>>"))]
    auth: Option<Value>,
    note: Option<String>,
    /// Seconds; never, if it is not there.
    #[cfg_attr(test, schemars(with = "Option<i64>"))]
    expires_in: Option<Value>,
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    scopes: Option<Value>,
    /// For clients of JupyterHub 2; their scopes are given.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    roles: Option<Value>,
}

impl Request {
    /// Reads the body; an empty one asks for a token like any other.
    pub(super) fn of(body: &Bytes) -> Result<Self, ApiError> {
        let Body { auth, note, expires_in, scopes, roles } =
            request::json(body)?.unwrap_or_default();
        let expires_in = match expires_in {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_i64().ok_or_else(|| {
                ApiError::bad_request(format!(
                    "token expires_in must be null or integer, not {value}"
                ))
            })?),
        };
        let (scopes, roles) = (texts("scopes", scopes)?, texts("roles", roles)?);
        Ok(Self { auth, wanted: Wanted { note, expires_in, scopes, roles } })
    }
}

impl Wanted {
    /// What it is to be allowed: its scopes, those of the roles that old clients name,
    /// or what the role `token` says.
    pub(super) fn scopes(&self, known: &Roles) -> Result<Vec<Scope>, ApiError> {
        let of_role = |name: &str| {
            known
                .get(name)
                .map(|role| role.scopes.clone())
                .ok_or_else(|| ApiError::bad_request(format!("No such role: {name}")))
        };
        match (&self.scopes, &self.roles) {
            (Some(_), Some(_)) => Err(ApiError::bad_request(
                "Can only specify one of scopes and roles for a token, not both",
            )),
            (Some(scopes), None) => {
                let read = |text: &String| known.scope(text);
                let scopes: Result<_, _> = scopes.iter().map(read).collect();
                scopes.map_err(|error| ApiError::bad_request(error.to_string()))
            }
            (None, Some(roles)) => {
                let scopes: Result<Vec<_>, _> = roles.iter().map(|name| of_role(name)).collect();
                Ok(scopes?.concat())
            }
            (None, None) => of_role(Role::Token.name()),
        }
    }

    /// How long it lives; `None` for ever, which a `max` does not allow.
    pub(super) fn life(
        &self,
        max: Option<SignedDuration>,
    ) -> Result<Option<SignedDuration>, ApiError> {
        let Some(seconds) = self.expires_in.filter(|seconds| *seconds != 0) else { return Ok(max) };
        let most = max.map_or(LONGEST_SECONDS, |max| max.as_secs());
        match (1..=most).contains(&seconds) {
            true => Ok(Some(SignedDuration::from_secs(seconds))),
            false if seconds < 0 => Err(ApiError::bad_request(format!(
                "token expires_in: {seconds} must be from 1 to {most} seconds"
            ))),
            false => Err(ApiError::bad_request(format!(
                "token expires_in: {seconds} must not exceed {most}"
            ))),
        }
    }

    /// What it is for, or, without a word of its owner's, who asked; `other` is kind
    /// and name of somebody else who did.
    pub(super) fn note(&self, other: Option<(&str, &str)>) -> String {
        let given = self.note.as_deref().filter(|note| !note.is_empty());
        let note = match (given, other) {
            (Some(note), _) => note.to_owned(),
            (None, None) => NOTE.to_owned(),
            (None, Some((kind, name))) => format!("{NOTE} by {kind} {name}"),
        };
        note.chars().take(NOTE_LEN).collect()
    }
}

fn texts(key: &str, value: Option<Value>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    Option::deserialize(&value).map_err(|_| {
        ApiError::bad_request(format!("token {key} must be null or a list of strings, not {value}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Option<Wanted> {
        Request::of(&Bytes::copy_from_slice(text.as_bytes())).ok().map(|request| request.wanted)
    }

    #[test]
    fn a_life_is_between_a_second_and_the_longest() {
        let seconds = |text: &str, max: Option<i64>| {
            let life = wanted(text)?.life(max.map(SignedDuration::from_secs)).ok()?;
            Some(life.map(|life| life.as_secs()))
        };
        for (body, max, expected) in [
            ("", None, Some(None)),
            ("{}", Some(60), Some(Some(60))),
            (r#"{"expires_in": null}"#, Some(60), Some(Some(60))),
            (r#"{"expires_in": 0}"#, None, Some(None)),
            (r#"{"expires_in": 0}"#, Some(60), Some(Some(60))),
            (r#"{"expires_in": 30}"#, Some(60), Some(Some(30))),
            (r#"{"expires_in": 60}"#, Some(60), Some(Some(60))),
            (r#"{"expires_in": 61}"#, Some(60), None),
            (r#"{"expires_in": -1}"#, None, None),
            (r#"{"expires_in": 1.5}"#, None, None),
            (r#"{"expires_in": "60"}"#, None, None),
            (r#"{"expires_in": 1000000000000}"#, None, None),
        ] {
            assert_eq!(seconds(body, max), expected, "{body} {max:?}");
        }
    }

    #[test]
    fn scopes_come_from_one_place() {
        let scopes = |text: &str| {
            let scopes = wanted(text)?.scopes(&Roles::default()).ok()?;
            Some(scopes.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let list = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
        for (body, expected) in [
            ("", list(&["inherit"])),
            (r#"{"scopes": null, "roles": null}"#, list(&["inherit"])),
            (r#"{"scopes": ["read:users!user"]}"#, list(&["read:users!user"])),
            (r#"{"scopes": []}"#, list(&[])),
            (r#"{"roles": ["user"]}"#, list(&["self"])),
            (r#"{"roles": ["user", "token"]}"#, list(&["self", "inherit"])),
            (r#"{"roles": ["nobody"]}"#, None),
            (r#"{"scopes": ["no:such"]}"#, None),
            (r#"{"scopes": ["self"], "roles": ["user"]}"#, None),
            (r#"{"scopes": "self"}"#, None),
            (r#"{"roles": [1]}"#, None),
            (r#"{"scope": ["self"]}"#, None),
        ] {
            assert_eq!(scopes(body), expected, "{body}");
        }
    }

    #[test]
    fn a_token_without_a_note_says_who_asked() {
        let note = |text: &str, other| wanted(text).unwrap().note(other);
        assert_eq!(note("", None), "Requested via api");
        assert_eq!(note(r#"{"note": ""}"#, None), "Requested via api");
        assert_eq!(note("", Some(("service", "x"))), "Requested via api by service x");
        assert_eq!(note(r#"{"note": "mine"}"#, Some(("user", "x"))), "mine");
    }
}
