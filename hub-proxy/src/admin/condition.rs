//! What a request asks of the table before anything is done: `If-Match` and
//! `If-None-Match` (R-34; RFC 9110 sections 8.8.3 and 13.1). Pure.
//!
//! All answers about routes share one entity tag, that of the table's version. It says
//! which routes there are and what clients said about them, not when they were used.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// The conditions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    if_match: Option<Named>,
    if_none_match: Option<Named>,
    /// Whether the request changes nothing.
    is_read: bool,
}

/// What a field names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    /// `*`: whatever there is.
    Anything,
    /// The versions that this process has or will have, and whether each is weak. Tags of
    /// others are left out: they never match.
    Versions(Vec<(u64, bool)>),
}

/// What the request is about, at the moment it would be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) version: u64,
    /// Whether what it is about is there; the table always is.
    pub(super) exists: bool,
}

/// Which condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    /// The client has what it would be told.
    NotModified,
    /// `If-Match` names other versions.
    Changed,
    /// `If-Match: *`, and there is nothing.
    Absent,
    /// `If-None-Match` names this version.
    Unchanged,
    /// `If-None-Match: *`, and there is something.
    Present,
}

/// A field that is neither `*` nor a list of entity tags.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{field} must be * or the ETag of an earlier answer with its quotes, such as \"1f-2a-7\"; \
     several are separated by commas"
)]
pub(super) struct BadCondition {
    field: HeaderName,
}

/// The tag of a version of the table in the process that began as `start`.
pub(super) fn tag(start: &str, version: u64) -> String {
    format!("\"{start}-{version}\"")
}

impl Conditions {
    /// Those of a request to the process that began as `start`.
    pub(super) fn of(
        method: &Method,
        headers: &HeaderMap,
        start: &str,
    ) -> Result<Self, BadCondition> {
        Ok(Self {
            if_match: Named::read(headers, header::IF_MATCH, start)?,
            if_none_match: Named::read(headers, header::IF_NONE_MATCH, start)?,
            is_read: *method == Method::GET,
        })
    }

    /// Without what spares the answer to who has it.
    pub(super) fn told_anew(&self) -> Self {
        Self { if_none_match: None, ..self.clone() }
    }

    /// In the order of RFC 9110 section 13.2.2.
    pub(super) fn check(&self, found: Found) -> Result<(), Unmet> {
        match &self.if_match {
            Some(Named::Anything) if !found.exists => return Err(Unmet::Absent),
            Some(Named::Versions(versions)) if !versions.contains(&(found.version, false)) => {
                return Err(Unmet::Changed);
            }
            _ => {}
        }
        let unmet = match &self.if_none_match {
            Some(Named::Anything) if found.exists => Unmet::Present,
            // Weak tags count here, for what they say about the content.
            Some(Named::Versions(versions))
                if versions.iter().any(|(version, _)| *version == found.version) =>
            {
                Unmet::Unchanged
            }
            _ => return Ok(()),
        };
        Err(if self.is_read { Unmet::NotModified } else { unmet })
    }
}

impl Named {
    fn read(
        headers: &HeaderMap,
        field: HeaderName,
        start: &str,
    ) -> Result<Option<Self>, BadCondition> {
        let mut versions = None;
        let mut anything = false;
        for value in headers.get_all(&field) {
            if value.as_bytes().trim_ascii() == b"*" {
                anything = true;
            } else if read_tags(value, start, versions.get_or_insert_default()).is_none() {
                return Err(BadCondition { field });
            }
        }
        match (anything, versions) {
            (true, Some(_)) => Err(BadCondition { field }),
            (true, None) => Ok(Some(Self::Anything)),
            (false, versions) => Ok(versions.map(Self::Versions)),
        }
    }
}

/// Reads a list of tags with at least one; `None` if it is none.
fn read_tags(value: &HeaderValue, start: &str, versions: &mut Vec<(u64, bool)>) -> Option<()> {
    let mut rest = value.as_bytes().trim_ascii();
    let mut count = 0;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(b",") {
            // A recipient takes empty elements (RFC 9110 section 5.6.1.2).
            rest = behind.trim_ascii_start();
            continue;
        }
        let (is_weak, strong) = match rest.strip_prefix(b"W/") {
            Some(strong) => (true, strong),
            None => (false, rest),
        };
        let inner = strong.strip_prefix(b"\"")?;
        let len = inner.iter().position(|byte| *byte == b'"')?;
        let (opaque, behind) = inner.split_at(len);
        if !opaque.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)) {
            return None;
        }
        versions.extend(version(opaque, start).map(|version| (version, is_weak)));
        count += 1;
        rest = behind[1..].trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
    (count > 0).then_some(())
}

/// The version in what is between the quotes of one of our tags.
fn version(opaque: &[u8], start: &str) -> Option<u64> {
    let digits = opaque.strip_prefix(start.as_bytes())?.strip_prefix(b"-")?;
    let version: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    // Tags are compared as texts: `07` is not `7`.
    (version.to_string().as_bytes() == digits).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(method: &str, fields: &[(&str, &str)]) -> Result<Conditions, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value);
        }
        Conditions::of(&method.parse().unwrap(), &headers, "1f-a").map_err(|bad| bad.to_string())
    }

    fn checked(method: &str, fields: &[(&str, &str)], exists: bool) -> Option<Unmet> {
        conditions(method, fields).unwrap().check(Found { version: 7, exists }).err()
    }

    #[test]
    fn r_34_a_change_is_made_if_its_tag_is_the_present_one() {
        assert_eq!(tag("1f-a", 7), "\"1f-a-7\"");
        assert_eq!(checked("PUT", &[], true), None);
        for (value, expected) in [
            (r#""1f-a-7""#, None),
            (r#" "x,y" ,, "1f-a-7" "#, None),
            (r#""1f-a-6", "1f-a-7""#, None),
            (r#""1f-a-6""#, Some(Unmet::Changed)),
            (r#""1f-a-07""#, Some(Unmet::Changed)),
            (r#""1f-b-7""#, Some(Unmet::Changed)),
            (r#""7""#, Some(Unmet::Changed)),
            (r#""""#, Some(Unmet::Changed)),
            (r#"W/"1f-a-7""#, Some(Unmet::Changed)),
            ("*", None),
        ] {
            assert_eq!(checked("PUT", &[("if-match", value)], true), expected, "{value}");
        }
        let lines = [("if-match", r#""1f-a-6""#), ("if-match", r#""1f-a-7""#)];
        assert_eq!(checked("PUT", &lines, true), None, "two lines are one list");
        assert_eq!(checked("POST", &[("if-match", r#""1f-a-7""#)], false), None, "the table's");
        assert_eq!(checked("POST", &[("if-match", "*")], false), Some(Unmet::Absent));
        assert_eq!(checked("GET", &[("if-match", "\"x\"")], true), Some(Unmet::Changed));
    }

    #[test]
    fn r_34_what_is_known_is_not_told_again() {
        for (value, expected) in [
            (r#""1f-a-7""#, Some(Unmet::NotModified)),
            (r#"W/"1f-a-7""#, Some(Unmet::NotModified)),
            (r#""x", "1f-a-7""#, Some(Unmet::NotModified)),
            ("*", Some(Unmet::NotModified)),
            (r#""1f-a-8""#, None),
        ] {
            assert_eq!(checked("GET", &[("if-none-match", value)], true), expected, "{value}");
        }
        assert_eq!(checked("POST", &[("if-none-match", "*")], true), Some(Unmet::Present));
        assert_eq!(checked("POST", &[("if-none-match", "*")], false), None, "to add only");
        let same = [("if-none-match", r#""1f-a-7""#)];
        assert_eq!(checked("DELETE", &same, true), Some(Unmet::Unchanged));
        let both = [("if-match", "\"x\""), same[0]];
        assert_eq!(checked("GET", &both, true), Some(Unmet::Changed), "that one counts first");
    }

    #[test]
    fn r_34_fields_that_are_no_tags_are_refused() {
        for value in [
            "",
            " ",
            ",",
            "7",
            "1f-a-7",
            "\"",
            "\"a",
            "a\"",
            "\"a\" \"b\"",
            "\"a\"b",
            "w/\"a\"",
            "W/a",
            "W/ \"a\"",
            "*, \"a\"",
            "**",
            "\"a b\"",
            "\"a\tb\"",
        ] {
            for field in ["if-match", "if-none-match"] {
                let refused = conditions("PUT", &[(field, value)]).unwrap_err();
                assert!(refused.starts_with(field) && refused.contains("quotes"), "{value}");
            }
        }
        let mixed = [("if-match", "*"), ("if-match", "\"a\"")];
        assert!(conditions("PUT", &mixed).is_err());
        assert!(conditions("PUT", &[("if-match", "\"\u{e9}\"")]).is_ok(), "obs-text");
    }
}
