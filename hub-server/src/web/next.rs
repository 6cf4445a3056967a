//! Where a browser may be sent afterwards: the check of `next`.
//!
//! One function decides, for every page, so that there is one place to get it
//! right (security A4; hub-contract 1.4). The result is a path on this hub.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::config::Subdomains;

/// What a `Location` cannot hold as it is. A file name in somebody's own language
/// arrives decoded; escapes that are there already stay as they are.
const NOT_IN_A_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

/// `next` as a path on our own origin, or `None` when it leads elsewhere or is
/// not a clean path. `own` is our origin as the browser sees it,
/// `https://hub.example.org`.
pub(crate) fn sanitise(next: &str, own: &str) -> Option<String> {
    // Browsers drop tabs and line breaks inside a URL and take `\` for `/`;
    // with either, what we check would not be what they follow.
    if next.chars().any(char::is_control) || next != next.trim() {
        return None;
    }
    let next = next.replace('\\', "%5C");
    let path = match strip_own_origin(&next, own) {
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None => next,
    };
    let local = path.starts_with('/') && !path.starts_with("//");
    local.then(|| utf8_percent_encode(&path, NOT_IN_A_HEADER).to_string())
}

/// `next` on our own host if it is on one below it: from there the hub leads on to the
/// host that the path belongs to. Anything else stays as it is.
pub(crate) fn on_own_host(next: &str, own: &str, hosts: &Subdomains) -> String {
    let behind_scheme = ["https://", "http://", "//"]
        .iter()
        .find_map(|start| next.strip_prefix(start))
        .unwrap_or_default();
    let end = behind_scheme.find(['/', '\\', '?', '#']).unwrap_or(behind_scheme.len());
    let (authority, rest) = behind_scheme.split_at(end);
    match hosts.is_below(authority) {
        true => format!("{own}{rest}"),
        false => next.to_owned(),
    }
}

/// What follows our own origin, with or without the scheme.
fn strip_own_origin<'a>(next: &'a str, own: &str) -> Option<&'a str> {
    let host = own.split_once("://").map_or(own, |(_, host)| host);
    let rest = next
        .strip_prefix(own)
        .or_else(|| next.strip_prefix("//").and_then(|rest| rest.strip_prefix(host)))?;
    // `https://hub.example.org.evil.example` starts with our origin, too.
    (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    const OWN: &str = "https://hub.example.org";

    #[test]
    fn adv_open_redirect() {
        let rows = [
            ("/hub/home", Some("/hub/home")),
            ("/user/ada/lab/tree/a%20b?x=1#y", Some("/user/ada/lab/tree/a%20b?x=1#y")),
            ("/a//b", Some("/a//b")),
            ("/user/ada/lab/tree/Übung 1.ipynb", Some("/user/ada/lab/tree/%C3%9Cbung%201.ipynb")),
            ("/hub/spawn?next=https://evil.example", Some("/hub/spawn?next=https://evil.example")),
            ("https://hub.example.org/hub/home", Some("/hub/home")),
            ("https://hub.example.org", Some("/")),
            ("https://hub.example.org?x=1", Some("/?x=1")),
            ("//hub.example.org/hub/home", Some("/hub/home")),
            // Own origin first, then an authority: the path must not become one.
            ("https://hub.example.org//evil.example/x", Some("/evil.example/x")),
            ("//hub.example.org//evil.example", Some("/evil.example")),
            ("https://hub.example.org/\\evil.example", Some("/%5Cevil.example")),
            ("/\\evil.example", Some("/%5Cevil.example")),
            ("https://evil.example/x", None),
            ("http://hub.example.org/hub/home", None),
            ("https://hub.example.org.evil.example/", None),
            ("https://hub.example.org@evil.example/", None),
            ("https://hub.example.org:8443/", None),
            ("//evil.example/x", None),
            ("///evil.example/x", None),
            ("////evil.example/x", None),
            ("\\\\evil.example", None),
            ("\\/evil.example", None),
            ("/\t/evil.example", None),
            ("/\n/evil.example", None),
            ("\t//evil.example", None),
            (" //evil.example", None),
            ("/\u{0}/evil", None),
            ("javascript:alert(1)", None),
            ("JaVaScRiPt:alert(1)", None),
            ("data:text/html,x", None),
            ("hub/home", None),
            ("", None),
            ("?x", None),
        ];
        for (next, expected) in rows {
            assert_eq!(sanitise(next, OWN).as_deref(), expected, "{next:?}");
        }
    }

    proptest! {
        /// Whatever is accepted: a browser that follows it stays with us.
        #[test]
        fn an_accepted_next_stays_on_our_origin(
            next in r"(https?:)?[/\\]{0,4}(hub\.example\.org|evil\.example)?[@:/\\?#a-z0-9.%\t\n]{0,20}"
        ) {
            if let Some(path) = sanitise(&next, OWN) {
                let base = Url::parse(OWN).unwrap();
                let followed = base.join(&path).unwrap();
                prop_assert_eq!(followed.origin(), base.origin());
            }
        }
    }
}
