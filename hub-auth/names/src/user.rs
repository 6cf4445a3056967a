//! The name of a person's account.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::InvalidName;

/// The name of a hub account, as it appears in URLs: `/user/{name}/`.
///
/// Holding one proves that the text is non-empty, at most [`UserName::MAX_LEN`]
/// bytes, free of `/` and control characters, not padded with white space, not
/// only dots, and unchanged by percent-decoding. Case is kept: folding it is a
/// sign-in policy, not a property of a name.
///
/// Source: the name rules of JupyterHub's `Authenticator.validate_username`,
/// plus the refusal of control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(Arc<str>);

impl UserName {
    /// Longest accepted name, in bytes of UTF-8.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = InvalidName;

    fn from_str(raw: &str) -> Result<Self, InvalidName> {
        if raw.is_empty() {
            return Err(InvalidName::Empty);
        }
        check(raw, Self::MAX_LEN)?;
        Ok(Self(raw.into()))
    }
}

impl TryFrom<String> for UserName {
    type Error = InvalidName;

    fn try_from(raw: String) -> Result<Self, InvalidName> {
        raw.parse()
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rules that user and server names share.
pub(crate) fn check(raw: &str, max: usize) -> Result<(), InvalidName> {
    if raw.len() > max {
        return Err(InvalidName::TooLong { len: raw.len(), max });
    }
    if raw.contains('/') {
        return Err(InvalidName::Slash);
    }
    if raw.trim() != raw {
        return Err(InvalidName::Padded);
    }
    if let Some(c) = raw.chars().find(|c| is_invisible(*c)) {
        return Err(InvalidName::Control(u32::from(c)));
    }
    if raw.bytes().all(|b| b == b'.') && !raw.is_empty() {
        return Err(InvalidName::Dots);
    }
    if has_percent_escape(raw) {
        return Err(InvalidName::PercentEscape);
    }
    Ok(())
}

/// Control characters, and the formatting characters that make two different
/// names look alike: zero-width ones and direction overrides.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

fn has_percent_escape(raw: &str) -> bool {
    raw.as_bytes()
        .windows(3)
        .any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_1_names_are_checked_at_the_door() {
        let rows: [(&str, &str, Result<(), InvalidName>); 12] = [
            ("plain", "ada", Ok(())),
            ("mail address", "ada@example.org", Ok(())),
            ("inner blank", "a b", Ok(())),
            ("unicode", "秀樹", Ok(())),
            ("empty", "", Err(InvalidName::Empty)),
            ("slash", "a/b", Err(InvalidName::Slash)),
            ("padded", " ada", Err(InvalidName::Padded)),
            ("control", "a\u{7}da", Err(InvalidName::Control(7))),
            ("direction override", "a\u{202E}b", Err(InvalidName::Control(0x202E))),
            ("dots", "..", Err(InvalidName::Dots)),
            ("encoded dots", "%2e%2e", Err(InvalidName::PercentEscape)),
            ("encoded slash", "a%2Fb", Err(InvalidName::PercentEscape)),
        ];
        for (label, raw, expected) in rows {
            assert_eq!(raw.parse::<UserName>().map(|_| ()), expected, "{label}");
        }
    }

    #[test]
    fn the_longest_name_has_255_bytes() {
        assert!("x".repeat(255).parse::<UserName>().is_ok());
        assert_eq!(
            "x".repeat(256).parse::<UserName>(),
            Err(InvalidName::TooLong { len: 256, max: 255 })
        );
    }
}
