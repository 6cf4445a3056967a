//! What a request asks for: method, path and query, nothing else (pure).

use http::{Method, StatusCode};
use jiff::{Timestamp, civil};

use super::Answer;
use crate::{OpenTunnels, RoutePrefix, path::unescape};

/// Where routes are; what follows is a prefix.
const ROUTES: &str = "/api/routes";
/// The whole table.
const TABLE: &str = "/api/v2/routes";
/// How the proxy fares.
const STATUS: &str = "/api/v2/status";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    List { inactive_since: Option<Timestamp> },
    Get(RoutePrefix),
    Add(RoutePrefix, OpenTunnels),
    Delete(RoutePrefix, OpenTunnels),
    ReadTable,
    ReplaceTable(OpenTunnels),
    Status,
}

/// Understands a request, or says why not.
pub(super) fn action(method: &Method, path: &str, query: Option<&str>) -> Result<Action, Answer> {
    let refuse_method = || Answer::text(StatusCode::METHOD_NOT_ALLOWED, "Method not supported");
    match path {
        TABLE => match *method {
            Method::GET => Ok(Action::ReadTable),
            Method::PUT => open_tunnels(query).map(Action::ReplaceTable),
            _ => Err(refuse_method()),
        },
        STATUS => match *method {
            Method::GET => Ok(Action::Status),
            _ => Err(refuse_method()),
        },
        _ => {
            let spec = path
                .strip_prefix(ROUTES)
                .filter(|spec| spec.is_empty() || spec.starts_with('/'))
                .ok_or_else(|| Answer::text(StatusCode::NOT_FOUND, "Not Found"))?;
            match *method {
                Method::GET if spec.is_empty() || spec == "/" => inactive_since(query)
                    .map(|inactive_since| Action::List { inactive_since })
                    .map_err(Answer::bad),
                Method::GET => prefix(spec).map(Action::Get),
                Method::POST => Ok(Action::Add(prefix(spec)?, open_tunnels(query)?)),
                Method::DELETE => Ok(Action::Delete(prefix(spec)?, open_tunnels(query)?)),
                _ => Err(refuse_method()),
            }
        }
    }
}

/// Parsing decodes once and drops slashes at both ends.
fn prefix(spec: &str) -> Result<RoutePrefix, Answer> {
    spec.parse().map_err(|error| {
        Answer::bad(format!("Invalid route: {}", crate::error::chain(&error as &_)))
    })
}

/// What a query says of a name; nothing is the empty text.
fn value<'a>(query: Option<&'a str>, wanted: &str) -> Option<&'a str> {
    query.unwrap_or_default().split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == wanted).then_some(value)
    })
}

/// What is to become of the tunnels of routes that go (WS-11).
fn open_tunnels(query: Option<&str>) -> Result<OpenTunnels, Answer> {
    match value(query, "close_tunnels") {
        None | Some("false") => Ok(OpenTunnels::Stay),
        Some("true") => Ok(OpenTunnels::Close),
        Some(_) => Err(Answer::bad("'close_tunnels' must be true or false".to_owned())),
    }
}

/// The limit of age in a query, if there is one.
fn inactive_since(query: Option<&str>) -> Result<Option<Timestamp>, String> {
    let value = |wanted: &str| value(query, wanted);
    let Some(raw) = value("inactiveSince").or_else(|| value("inactive_since")) else {
        return Ok(None);
    };
    let text = unescape(raw).unwrap_or_else(|_| raw.to_owned());
    match moment(&text) {
        Some(moment) => Ok(Some(moment)),
        None => {
            let shown: String = text.chars().take(64).collect();
            Err(format!("Invalid datestamp '{shown}' must be ISO8601."))
        }
    }
}

/// A moment as ISO 8601 writes it; in UTC if it does not say, and at midnight
/// if it is a day.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let civil = text
        .parse::<civil::DateTime>()
        .or_else(|_| {
            text.parse::<civil::Date>().map(|day| day.to_datetime(civil::Time::midnight()))
        })
        .ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, target: &str) -> Result<Action, (u16, String)> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        action(&method.parse().unwrap(), path, query).map_err(|answer| {
            let response = answer.written();
            (response.status().as_u16(), response.into_body())
        })
    }

    fn at(text: &str) -> Action {
        Action::List { inactive_since: Some(text.parse().unwrap()) }
    }

    #[test]
    fn r_01_to_r_05_methods_and_paths_become_actions() {
        let all = || Action::List { inactive_since: None };
        let ada = || "/user/ada".parse().unwrap();
        for (method, path, expected) in [
            ("GET", "/api/routes", all()),
            ("GET", "/api/routes/", all()),
            ("GET", "/api/routes/user/ada", Action::Get(ada())),
            ("GET", "/api/routes/user/ada/", Action::Get(ada())),
            ("POST", "/api/routes/user/ada", Action::Add(ada(), OpenTunnels::Stay)),
            ("POST", "/api/routes", Action::Add("/".parse().unwrap(), OpenTunnels::Stay)),
            ("POST", "/api/routes/", Action::Add("/".parse().unwrap(), OpenTunnels::Stay)),
            ("DELETE", "/api/routes/user/ada/", Action::Delete(ada(), OpenTunnels::Stay)),
            ("GET", "/api/v2/routes", Action::ReadTable),
            ("PUT", "/api/v2/routes", Action::ReplaceTable(OpenTunnels::Stay)),
            ("GET", "/api/v2/status", Action::Status),
        ] {
            assert_eq!(asked(method, path), Ok(expected), "{method} {path}");
        }
    }

    #[test]
    fn ws_11_what_becomes_of_tunnels_is_asked_for_in_words() {
        for (query, expected) in [
            ("", OpenTunnels::Stay),
            ("?x=1", OpenTunnels::Stay),
            ("?close_tunnels=false", OpenTunnels::Stay),
            ("?close_tunnels=true", OpenTunnels::Close),
            ("?x&close_tunnels=true&y", OpenTunnels::Close),
        ] {
            let a = || "/a".parse().unwrap();
            for (method, path, action) in [
                ("DELETE", "/api/routes/a", Action::Delete(a(), expected)),
                ("POST", "/api/routes/a", Action::Add(a(), expected)),
                ("PUT", "/api/v2/routes", Action::ReplaceTable(expected)),
            ] {
                assert_eq!(asked(method, &format!("{path}{query}")), Ok(action), "{query}");
            }
        }
        for query in ["close_tunnels", "close_tunnels=", "close_tunnels=yes"] {
            let refused = asked("DELETE", &format!("/api/routes/a?{query}")).unwrap_err();
            assert_eq!(refused, (400, "'close_tunnels' must be true or false".to_owned()));
        }
    }

    #[test]
    fn r_09_r_10_other_methods_and_paths_are_refused() {
        for (method, path, status, text) in [
            ("PUT", "/api/routes", 405, "Method not supported"),
            ("HEAD", "/api/routes", 405, "Method not supported"),
            ("PATCH", "/api/routes/a", 405, "Method not supported"),
            ("POST", "/api/v2/status", 405, "Method not supported"),
            ("GET", "/api/routesx", 404, "Not Found"),
            ("GET", "/api", 404, "Not Found"),
            ("GET", "/", 404, "Not Found"),
            ("GET", "/api/v2/routes/a", 404, "Not Found"),
        ] {
            assert_eq!(asked(method, path), Err((status, text.to_owned())), "{method} {path}");
        }
    }

    #[test]
    fn r_12_r_13_r_16_prefixes_are_decoded_once_and_strictly() {
        for (spec, expected) in [
            ("/user/foo%40bar", "/user/foo@bar"),
            ("/a%2Fb", "/a/b"),
            ("/a%2525", "/a%25"),
            ("//d", "/d"),
            ("/%E7%A7%80", "/秀"),
        ] {
            let Ok(Action::Get(prefix)) = asked("GET", &format!("/api/routes{spec}")) else {
                panic!("{spec} is a route")
            };
            assert_eq!(prefix.decoded(), expected, "{spec}");
        }
        for spec in ["/%zz", "/%", "/%ff", "/a/../b", "/a%00"] {
            let refused = asked("POST", &format!("/api/routes{spec}")).unwrap_err();
            assert_eq!(refused.0, 400, "{spec}");
            assert!(refused.1.starts_with("Invalid route: "), "{}", refused.1);
        }
    }

    #[test]
    fn r_11_the_age_is_a_moment_or_a_day() {
        for (query, expected) in [
            ("inactive_since=2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("inactive_since=2026-01-02T03:04:05.250%2B01:00", "2026-01-02T02:04:05.250Z"),
            ("inactiveSince=2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
            ("inactiveSince=2026-01-02", "2026-01-02T00:00:00Z"),
            ("inactive_since=2026-01-01&inactiveSince=2026-01-02", "2026-01-02T00:00:00Z"),
        ] {
            assert_eq!(asked("GET", &format!("/api/routes?{query}")), Ok(at(expected)), "{query}");
        }
        assert_eq!(
            asked("GET", "/api/routes?inactiveSince=endoftheuniverse"),
            Err((400, "Invalid datestamp 'endoftheuniverse' must be ISO8601.".to_owned())),
        );
        let one = asked("GET", "/api/routes/a?inactiveSince=never");
        assert!(matches!(one, Ok(Action::Get(_))), "of one route the age is not asked");
    }
}
