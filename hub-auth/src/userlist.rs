//! The `userlist` file: one account a line, administrators marked.

use std::{collections::BTreeMap, fmt};

use hub_names::{InvalidName, UserName};

/// The word in the second column that makes somebody an administrator.
const ADMIN: &str = "admin";

/// The accounts of a `userlist` file, in the order of the file.
///
/// Each line holds a name and, for administrators, the word `admin`. Words of the
/// form `key=value` say something about their servers (USR-7); other words mean
/// nothing. Blank lines are skipped (USR-1), `#` begins a
/// comment at the start of a line or after white space (USR-2), and names are
/// lower-cased (USR-3). Line ends may be of either kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Userlist {
    /// One entry for each name; a name listed twice is an administrator if
    /// either line says so.
    pub entries: Vec<UserlistEntry>,
}

/// One account of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserlistEntry {
    /// The account's name, in lower case.
    pub name: UserName,
    /// Whether the line makes them an administrator.
    pub admin: bool,
    /// The second word, if it looks like a mistyped `admin`. It makes nobody an
    /// administrator, and never did.
    pub nearly_admin: Option<String>,
    /// What the line says about their servers.
    pub fields: UserlistFields,
    /// The line, counted from 1.
    pub line: usize,
}

/// The `key=value` words of a line (USR-7), as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserlistFields {
    /// `image=`: the image of their servers.
    pub image: Option<String>,
    /// `mem=`: the memory of one of their servers.
    pub mem: Option<String>,
    /// `cpu=`: the processors of one of their servers.
    pub cpu: Option<String>,
    /// `group=`, which may be there several times.
    pub groups: Vec<String>,
    /// `uid=`: their number on the host, where servers run as accounts of it (SYS-1).
    pub uid: Option<String>,
    /// `gid=`: the number of their group there.
    pub gid: Option<String>,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserlistError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: UserlistProblem,
}

/// What is wrong with a line of the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserlistProblem {
    /// The first word is not an account name.
    #[error("{text:?} is not a user name: {reason}")]
    Name {
        /// The word.
        text: String,
        /// Which rule it breaks.
        reason: InvalidName,
    },
    /// A `key=value` word with a key that means nothing.
    #[error("{key:?} of {name} means nothing; use image=, mem=, cpu=, group=, uid= or gid=")]
    UnknownField {
        /// Whose line it is.
        name: UserName,
        /// The key.
        key: String,
    },
    /// A `key=value` word without a value, or there twice.
    #[error("{key}= of {name} {reason}")]
    BadField {
        /// Whose line it is.
        name: UserName,
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl UserlistFields {
    fn set(&mut self, name: &UserName, key: &str, value: &str) -> Result<(), UserlistProblem> {
        let bad = |reason: &str| UserlistProblem::BadField {
            name: name.clone(),
            key: key.to_owned(),
            reason: reason.to_owned(),
        };
        let slot = match key {
            "image" => &mut self.image,
            "mem" => &mut self.mem,
            "cpu" => &mut self.cpu,
            "uid" => &mut self.uid,
            "gid" => &mut self.gid,
            "group" if value.is_empty() => return Err(bad("has no value")),
            "group" => {
                self.groups.push(value.to_owned());
                return Ok(());
            }
            _ => {
                return Err(UserlistProblem::UnknownField {
                    name: name.clone(),
                    key: key.to_owned(),
                });
            }
        };
        if value.is_empty() {
            return Err(bad("has no value"));
        }
        match slot.replace(value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(bad("is there twice")),
        }
    }

    /// Takes over what the other line of the same person says.
    fn merge(&mut self, other: Self) {
        self.image = other.image.or(self.image.take());
        self.mem = other.mem.or(self.mem.take());
        self.cpu = other.cpu.or(self.cpu.take());
        self.uid = other.uid.or(self.uid.take());
        self.gid = other.gid.or(self.gid.take());
        self.groups.extend(other.groups);
    }
}

impl Userlist {
    /// Reads the text of a list.
    ///
    /// # Errors
    ///
    /// All lines that cannot be read, so that they can be mended at once.
    pub fn parse(text: &str) -> Result<Self, Vec<UserlistError>> {
        let (list, errors) = Self::parse_lenient(text);
        if errors.is_empty() { Ok(list) } else { Err(errors) }
    }

    /// Reads the lines that can be read and tells about the others.
    pub fn parse_lenient(text: &str) -> (Self, Vec<UserlistError>) {
        let mut list = Self::default();
        let mut errors = Vec::new();
        let mut places = BTreeMap::new();
        // Editors on Windows may put a byte order mark in front of the first name.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            match parse_line(content) {
                Ok(Some(entry)) => list.add(&mut places, UserlistEntry { line, ..entry }),
                Ok(None) => {}
                Err(problem) => errors.push(UserlistError { line, problem }),
            }
        }
        (list, errors)
    }

    /// Adds an entry; `places` tells where a name already is.
    fn add(&mut self, places: &mut BTreeMap<UserName, usize>, entry: UserlistEntry) {
        match places.get(&entry.name) {
            Some(place) => {
                let known = &mut self.entries[*place];
                known.admin |= entry.admin;
                known.nearly_admin =
                    known.nearly_admin.take().or(entry.nearly_admin).filter(|_| !known.admin);
                known.fields.merge(entry.fields);
            }
            None => {
                places.insert(entry.name.clone(), self.entries.len());
                self.entries.push(entry);
            }
        }
    }
}

impl fmt::Display for UserlistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for UserlistError {}

fn parse_line(content: &str) -> Result<Option<UserlistEntry>, UserlistProblem> {
    let mut words = without_comment(content).split_whitespace();
    let Some(word) = words.next() else {
        return Ok(None);
    };
    let name: UserName = word
        .to_lowercase()
        .parse()
        .map_err(|reason| UserlistProblem::Name { text: word.to_owned(), reason })?;
    let mut fields = UserlistFields::default();
    let mut role = None;
    for word in words {
        match word.split_once('=') {
            Some((key, value)) => fields.set(&name, key, value)?,
            // Further words have no meaning, and never had.
            None => role = role.or(Some(word)),
        }
    }
    let admin = role == Some(ADMIN);
    let nearly_admin = role.filter(|text| !admin && is_nearly_admin(text)).map(str::to_owned);
    Ok(Some(UserlistEntry { name, admin, nearly_admin, fields, line: 0 }))
}

fn without_comment(content: &str) -> &str {
    let begins_comment = |&(at, _): &(usize, &str)| {
        content[..at].chars().next_back().is_none_or(char::is_whitespace)
    };
    match content.match_indices('#').find(begins_comment) {
        Some((at, _)) => &content[..at],
        None => content,
    }
}

/// Whether `word` is `admin` in other case, spelled out, or one slip away from it.
fn is_nearly_admin(word: &str) -> bool {
    let lower = word.to_lowercase();
    lower == "administrator" || is_one_slip_away(&lower, ADMIN)
}

/// Whether `word` becomes `goal` by at most one insertion, deletion or
/// replacement of a character, or by swapping two neighbours.
fn is_one_slip_away(word: &str, goal: &str) -> bool {
    let word: Vec<char> = word.chars().collect();
    let goal: Vec<char> = goal.chars().collect();
    let same_front = word.iter().zip(&goal).take_while(|(a, b)| a == b).count();
    let (word, goal) = (&word[same_front..], &goal[same_front..]);
    match (word, goal) {
        ([], []) => true,
        ([_, rest @ ..], _) if rest == goal => true,
        (_, [_, rest @ ..]) if rest == word => true,
        ([_, rest @ ..], [_, wanted @ ..]) if rest == wanted => true,
        ([a, b, rest @ ..], [c, d, wanted @ ..]) => a == d && b == c && rest == wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, bool, usize)> {
        let list = Userlist::parse(text).unwrap();
        list.entries.iter().map(|e| (e.name.to_string(), e.admin, e.line)).collect()
    }

    #[test]
    fn usr_1_blank_lines_and_windows_line_ends_are_fine() {
        let text = "\u{feff}zoe admin\r\n\r\n  \t \r\nmax\t  staff\r\n";
        assert_eq!(read(text), [("zoe".to_owned(), true, 1), ("max".to_owned(), false, 4)]);
        assert_eq!(read(""), []);
    }

    #[test]
    fn usr_2_comments_begin_a_line_or_follow_white_space() {
        let text = "# the course\nzoe admin # teaches\nmax #admin\n#old\na#b\n";
        assert_eq!(
            read(text),
            [
                ("zoe".to_owned(), true, 2),
                ("max".to_owned(), false, 3),
                ("a#b".to_owned(), false, 5)
            ]
        );
    }

    #[test]
    fn usr_3_names_are_lower_cased_and_every_bad_line_is_named() {
        assert_eq!(read("ZOE admin"), [("zoe".to_owned(), true, 1)]);
        let text = "zoe\na/b\nmax\n%2e%2e\n";
        let errors = Userlist::parse(text).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(
            errors[0].to_string(),
            r#"line 2: "a/b" is not a user name: the name contains `/`"#
        );
        let (list, errors) = Userlist::parse_lenient(text);
        assert_eq!((list.entries.len(), errors.len()), (2, 2));
    }

    #[test]
    fn a_name_listed_twice_is_one_entry_and_keeps_its_rights() {
        assert_eq!(read("zoe\nZoe admin\nzoe"), [("zoe".to_owned(), true, 1)]);
    }

    #[test]
    fn usr_4_a_near_miss_of_admin_is_noted_and_makes_nobody_one() {
        for word in
            ["Admin", "ADMIN", "adm1n", "admn", "admins", "amdin", "admin,", "administrator"]
        {
            let list = Userlist::parse(&format!("max\nzoe {word}")).unwrap();
            let zoe = &list.entries[1];
            assert_eq!((zoe.admin, zoe.nearly_admin.as_deref()), (false, Some(word)));
        }
        let twice = Userlist::parse("zoe Admin\nzoe admin").unwrap();
        assert_eq!((twice.entries[0].admin, &twice.entries[0].nearly_admin), (true, &None));
        for word in ["staff", "user", "main", "root", "dmi"] {
            assert_eq!(read(&format!("zoe {word}")), [("zoe".to_owned(), false, 1)], "{word}");
        }
    }

    #[test]
    fn usr_7_fields_say_something_about_servers() {
        let list = Userlist::parse(
            "zoe admin mem=2G cpu=1.5\nmax image=lab:5 group=a group=b staff\nzoe mem=4G\n",
        )
        .unwrap();
        let [zoe, max] = &list.entries[..] else { panic!("{list:?}") };
        assert!(zoe.admin && !max.admin);
        assert_eq!(
            (zoe.fields.mem.as_deref(), zoe.fields.cpu.as_deref()),
            (Some("4G"), Some("1.5"))
        );
        assert_eq!(max.fields.image.as_deref(), Some("lab:5"));
        assert_eq!(max.fields.groups, ["a", "b"]);
    }

    #[test]
    fn usr_7_a_field_that_means_nothing_is_an_error() {
        for (line, complaint) in [
            ("zoe disk=1G", "\"disk\" of zoe means nothing"),
            ("zoe mem=", "mem= of zoe has no value"),
            ("zoe mem=1G mem=2G", "mem= of zoe is there twice"),
            ("zoe group=", "group= of zoe has no value"),
        ] {
            let errors = Userlist::parse(line).unwrap_err();
            assert!(errors[0].to_string().contains(complaint), "{line}: {errors:?}");
        }
    }
}
