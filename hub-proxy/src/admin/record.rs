//! A route as the API's clients write and read it (pure).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{InvalidPrefix, RoutePrefix, RouteStatus, Target, error::chain};

/// What a client said about a route: its target and whatever else, which is
/// kept and given back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RouteRecord {
    pub(super) target: Target,
    /// All members as sent, `target` among them.
    pub(super) members: Map<String, Value>,
}

/// Why a text about a route is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadRecord {
    /// Rule R-08; the text is configurable-http-proxy's.
    #[error("Must specify 'target' as string")]
    NoTarget,
    #[error("'target' is not usable: {0}")]
    Target(String),
}

/// Why a text about the whole table is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadTable {
    #[error("Must specify 'routes' as object: path to route")]
    NoRoutes,
    #[error("'if_version' must be the number of a version")]
    Version,
    #[error("Route {path:?}: {}", chain(.error as &_))]
    Prefix { path: String, error: InvalidPrefix },
    #[error("Route {path:?}: {error}")]
    Record { path: String, error: BadRecord },
    #[error("Route {path:?}: another path in the table means the same route")]
    Twice { path: String },
}

/// A table that a client wants instead of the one there is.
#[derive(Debug)]
pub(super) struct WantedTable {
    pub(super) routes: BTreeMap<RoutePrefix, RouteRecord>,
    /// Only if this is the version there is.
    pub(super) if_version: Option<u64>,
}

impl RouteRecord {
    /// # Errors
    ///
    /// The text is for the client to read.
    pub(super) fn parse(json: &Value) -> Result<Self, BadRecord> {
        let members = json.as_object().ok_or(BadRecord::NoTarget)?;
        let target = members.get("target").and_then(Value::as_str).ok_or(BadRecord::NoTarget)?;
        let target: Target = target.parse().map_err(|error| BadRecord::Target(chain(&error)))?;
        let mut members = members.clone();
        // What we know better.
        members.remove("last_activity");
        members.remove("host");
        Ok(Self { target, members })
    }
}

/// Reads a whole table: all of it is sound, or nothing is done.
pub(super) fn parse_table(json: &Value) -> Result<WantedTable, BadTable> {
    let routes = json.get("routes").and_then(Value::as_object).ok_or(BadTable::NoRoutes)?;
    let if_version = match json.get("if_version") {
        None | Some(Value::Null) => None,
        Some(version) => Some(version.as_u64().ok_or(BadTable::Version)?),
    };
    let mut wanted = BTreeMap::new();
    for (path, record) in routes {
        let path = || path.clone();
        // Listed paths are decoded, and can be sent back as they are.
        let prefix = RoutePrefix::from_decoded(&path())
            .map_err(|error| BadTable::Prefix { path: path(), error })?;
        let record =
            RouteRecord::parse(record).map_err(|error| BadTable::Record { path: path(), error })?;
        if wanted.insert(prefix, record).is_some() {
            return Err(BadTable::Twice { path: path() });
        }
    }
    Ok(WantedTable { routes: wanted, if_version })
}

/// A route as it is listed: what the client sent, and what we know.
pub(super) fn describe(
    status: &RouteStatus,
    members: Option<&Map<String, Value>>,
    host_routing: bool,
) -> Value {
    let mut shown = members.cloned().unwrap_or_default();
    shown.entry("target").or_insert_with(|| status.target.as_url().as_str().into());
    shown.insert("last_activity".to_owned(), written(last_activity(status)).into());
    if host_routing && let Some(host) = status.prefix.segments().next() {
        shown.insert("host".to_owned(), host.into());
    }
    Value::Object(shown)
}

/// When a route was last used; when it was added if never.
pub(super) fn last_activity(status: &RouteStatus) -> Timestamp {
    status.last_used.unwrap_or(status.added)
}

/// As JavaScript writes a moment: milliseconds, `Z`.
pub(super) fn written(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(json: Value) -> String {
        RouteRecord::parse(&json).unwrap_err().to_string()
    }

    #[test]
    fn r_08_a_target_must_be_there_as_a_text() {
        for json in [json!(null), json!([]), json!(7), json!({}), json!({"target": 7})] {
            assert_eq!(refused(json), "Must specify 'target' as string");
        }
    }

    #[test]
    fn r_14_a_target_must_be_one_we_can_reach() {
        assert_eq!(
            refused(json!({"target": "x"})),
            "'target' is not usable: not a URL: relative URL without a base"
        );
        let scheme = refused(json!({"target": "ftp://h"}));
        assert!(scheme.contains("the scheme `ftp` is not supported"), "{scheme}");
        assert!(RouteRecord::parse(&json!({"target": "ws://h:1"})).is_ok());
    }

    #[test]
    fn r_03_extra_members_stay_and_what_we_know_better_goes() {
        let sent = json!({"target": "http://h:1", "user": "ada", "deep": {"a": [1]},
            "last_activity": "1970-01-01T00:00:00.000Z", "host": "evil"});
        let members = RouteRecord::parse(&sent).unwrap().members;
        let kept = json!({"target": "http://h:1", "user": "ada", "deep": {"a": [1]}});
        assert_eq!(Value::Object(members), kept);
    }

    #[test]
    fn r_30_a_table_is_refused_for_one_bad_route() {
        let good = json!({"target": "http://h:1"});
        for (json, text) in [
            (json!({}), "Must specify 'routes' as object: path to route"),
            (json!({"routes": {"/a": {}}}), "Route \"/a\": Must specify 'target' as string"),
            (
                json!({"routes": {"/a": good, "/a/": good}}),
                "Route \"/a/\": another path in the table means the same route",
            ),
            (
                json!({"routes": {"/a/../b": good}}),
                "Route \"/a/../b\": the prefix can match no request: the path contains a dot segment",
            ),
            (
                json!({"routes": {}, "if_version": "x"}),
                "'if_version' must be the number of a version",
            ),
        ] {
            assert_eq!(parse_table(&json).unwrap_err().to_string(), text);
        }
        let sound = parse_table(&json!({"routes": {"/a b/100%": good}, "if_version": 3})).unwrap();
        assert_eq!(sound.if_version, Some(3));
        let prefix = sound.routes.keys().next().unwrap();
        assert_eq!(prefix.decoded(), "/a b/100%");
    }

    #[test]
    fn r_01_a_moment_has_milliseconds() {
        let moment = "2026-01-02T03:04:05.0607Z".parse().unwrap();
        assert_eq!(written(moment), "2026-01-02T03:04:05.060Z");
        let even = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(written(even), "2026-01-02T03:04:05.000Z");
    }
}
