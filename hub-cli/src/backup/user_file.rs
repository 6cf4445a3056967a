//! What the archive of a user's volume is called in a run of `hub backup all`.
//! Pure.

use hub_store::UserName;
use sha2::{Digest as _, Sha256};

/// The end of each name.
const SUFFIX: &str = ".tar.zst";
/// A user's name is written out if it is shorter than this.
const LONG_STEM: usize = 200;
/// The name of a file is at most 255 bytes long, and an ending follows.
const LONGEST: usize = 240;
/// What stands between a name that was cut and its digest; in no other name.
const CUT: char = '~';
/// Bytes of the digest that tells names apart that begin alike.
const DIGEST: usize = 16;

/// The file for a volume; its name is in it if the user has `several`. No two
/// volumes get the same.
pub(crate) fn name(user: &UserName, volume: &str, several: bool) -> String {
    let stem = stem(user.as_str());
    let long = stem.len() >= LONG_STEM;
    let mut name = match several {
        true => format!("{stem}@{volume}"),
        false => stem,
    };
    if long || name.len() > LONGEST {
        let digest: String =
            Sha256::digest(&name)[..DIGEST].iter().map(|byte| format!("{byte:02x}")).collect();
        name.truncate(LONG_STEM);
        name.push(CUT);
        name.push_str(&digest);
    }
    name + SUFFIX
}

/// Whose volume a file of this name holds, and which one if it says so; `None`
/// for a name that was cut.
pub(crate) fn owner(name: &str) -> Option<(UserName, Option<String>)> {
    let name = name.strip_suffix(SUFFIX)?;
    if name.contains(CUT) {
        return None;
    }
    let (stem, volume) = match name.split_once('@') {
        Some((stem, volume)) => (stem, Some(volume.to_owned())),
        None => (name, None),
    };
    Some((unstem(stem)?.parse().ok()?, volume))
}

/// A user's name as the name of a file: what could be something else is written
/// as `%` and two hexadecimal digits.
fn stem(user: &str) -> String {
    let mut stem = String::new();
    for byte in user.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if plain && !(stem.is_empty() && byte == b'.') {
            stem.push(char::from(byte));
        } else {
            stem.push_str(&format!("%{byte:02x}"));
        }
    }
    stem
}

/// The reverse; `None` for one that an older program may have cut off.
fn unstem(stem: &str) -> Option<String> {
    if stem.len() >= LONG_STEM {
        return None;
    }
    let mut bytes = Vec::new();
    let mut rest = stem;
    while let Some((plain, escaped)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
        rest = &escaped[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bak_4_a_users_name_is_one_plain_file_name_and_back() {
        for (user, expected) in [
            ("ada", "ada"),
            ("ada@example.org", "ada%40example.org"),
            (".x", "%2ex"),
            ("a%b", "a%25b"),
            ("ö", "%c3%b6"),
        ] {
            assert_eq!(stem(user), expected);
            let user: UserName = user.parse().unwrap();
            assert_eq!(owner(&name(&user, "v", false)), Some((user.clone(), None)));
            let several = name(&user, "v.1", true);
            assert_eq!(owner(&several), Some((user, Some("v.1".to_owned()))));
        }
    }

    #[test]
    fn bak_4_names_that_are_cut_differ_and_fit() {
        let user = |name: String| name.parse::<UserName>().unwrap();
        let alike = ["one", "two"].map(|end| user(format!("{}{end}", "x".repeat(250))));
        let short = user("x".repeat(150));
        let same = "v".repeat(150);
        let all = [
            name(&alike[0], "v", false),
            name(&alike[1], "v", false),
            name(&alike[0], "v", true),
            name(&alike[0], "w", true),
            name(&short, &format!("{same}1"), true),
            name(&short, &format!("{same}2"), true),
            name(&user("ö".repeat(127)), "v", false),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        for name in &all {
            assert!(name.len() <= 255 && owner(name).is_none(), "{name}");
        }
        let longest = user("x".repeat(LONG_STEM - 1));
        assert_eq!(owner(&name(&longest, "v", false)), Some((longest, None)));
    }

    #[test]
    fn what_is_no_such_file_is_nobodys() {
        for name in ["ada", "ada.tar", "%zz.tar.zst", "%4.tar.zst", "%c3.tar.zst", ".tar.zst"] {
            assert_eq!(owner(name), None, "{name}");
        }
        assert_eq!(owner(&format!("{}.tar.zst", "x".repeat(200))), None);
    }
}
