//! How JupyterHub's Docker spawner wrote a user's name before its version 12, in
//! the names of volumes that are still there (SPN-31). Pure.

use std::fmt::Write;

use crate::escaping::escape;

/// The older spellings of a user's name that differ from today's, the newest
/// first: escaped with `_` (0.11), as it is (0.10 and before).
///
/// A spelling that is today's of somebody else is not among them: of two people
/// who could mean one volume it belongs to the one who is called so now.
pub(super) fn spellings(user: &str) -> Vec<String> {
    let today = escape(user);
    let mut spellings = Vec::new();
    for spelling in [escape_with_underscores(user), user.to_owned()] {
        let taken = unescape(&spelling).is_some_and(|other| other != user);
        if spelling != today && !taken && !spellings.contains(&spelling) {
            spellings.push(spelling);
        }
    }
    spellings
}

/// As version 0.11 did: letters, digits and hyphens stay.
pub(super) fn escape_with_underscores(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "_{byte:X}").expect("writing to a String cannot fail");
        }
    }
    escaped
}

/// The name that is written like this today, if there is one.
fn unescape(spelling: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = spelling.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'-', [high, low, after @ ..]) => {
                let pair = [*high, *low];
                let digits = std::str::from_utf8(&pair).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                after
            }
            (b'-', _) => return None,
            (plain, after) => {
                bytes.push(*plain);
                after
            }
        };
    }
    let name = String::from_utf8(bytes).ok()?;
    (escape(&name) == spelling).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spn_31_older_spellings_are_known() {
        for (user, expected) in [
            ("ada", &[][..]),
            ("foo-bar", &["foo-bar"]),
            ("ada.lovelace", &["ada_2Elovelace", "ada.lovelace"]),
            ("a_b", &["a_5Fb", "a_b"]),
            ("x@y.org", &["x_40y_2Eorg", "x@y.org"]),
        ] {
            assert_eq!(spellings(user), expected, "{user}");
        }
    }

    #[test]
    fn spn_31_a_name_that_spells_another_one_gets_no_volume_of_theirs() {
        // `foo-bar` is written like this today.
        assert_eq!(escape("foo-bar"), "foo-2dbar");
        assert!(spellings("foo-2dbar").is_empty());
        // This one spells nobody: 0xba begins no character.
        assert_eq!(spellings("foo-bar"), ["foo-bar"]);
    }

    proptest! {
        #[test]
        fn spn_31_nobody_is_given_what_spells_somebody_else(
            one in "[a-f2d-]{1,8}", other in "[a-f2d.@ü-]{1,8}",
        ) {
            prop_assume!(one != other);
            prop_assert!(!spellings(&one).contains(&escape(&other)));
        }

        #[test]
        fn what_is_escaped_is_read_again(name in "[a-zA-Z0-9ü@._-]{1,12}") {
            prop_assert_eq!(unescape(&escape(&name)), Some(name));
        }
    }
}
