//! The `userlist` file: one account a line, administrators marked.

use std::fmt;

use hub_names::{InvalidName, UserName};

/// The word in the second column that makes somebody an administrator.
const ADMIN: &str = "admin";

/// The accounts of a `userlist` file, in the order of the file.
///
/// Each line holds a name and, for administrators, the word `admin`; further
/// words are left for later use. Blank lines are skipped (USR-1), `#` begins a
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
    /// The line, counted from 1.
    pub line: usize,
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
    /// The second word looks like a mistyped `admin`. Ignoring it would leave
    /// the operator without the administrator they meant to have.
    #[error("{text:?} after {name} makes nobody an administrator; write `admin`")]
    NearlyAdmin {
        /// Whose line it is.
        name: UserName,
        /// The word.
        text: String,
    },
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
        // Editors on Windows may put a byte order mark in front of the first name.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            match parse_line(content) {
                Ok(Some((name, admin))) => list.add(UserlistEntry { name, admin, line }),
                Ok(None) => {}
                Err(problem) => errors.push(UserlistError { line, problem }),
            }
        }
        (list, errors)
    }

    fn add(&mut self, entry: UserlistEntry) {
        match self.entries.iter_mut().find(|known| known.name == entry.name) {
            Some(known) => known.admin |= entry.admin,
            None => self.entries.push(entry),
        }
    }
}

impl fmt::Display for UserlistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for UserlistError {}

fn parse_line(content: &str) -> Result<Option<(UserName, bool)>, UserlistProblem> {
    let mut words = without_comment(content).split_whitespace();
    let Some(word) = words.next() else {
        return Ok(None);
    };
    let name: UserName = word
        .to_lowercase()
        .parse()
        .map_err(|reason| UserlistProblem::Name { text: word.to_owned(), reason })?;
    match words.next() {
        None => Ok(Some((name, false))),
        Some(ADMIN) => Ok(Some((name, true))),
        Some(text) if is_nearly_admin(text) => {
            Err(UserlistProblem::NearlyAdmin { name, text: text.to_owned() })
        }
        Some(_) => Ok(Some((name, false))),
    }
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
    fn a_near_miss_of_admin_is_an_error() {
        for word in
            ["Admin", "ADMIN", "adm1n", "admn", "admins", "amdin", "admin,", "administrator"]
        {
            let errors = Userlist::parse(&format!("max\nzoe {word}")).unwrap_err();
            assert_eq!(errors.len(), 1, "{word}");
            assert_eq!(
                errors[0].to_string(),
                format!("line 2: {word:?} after zoe makes nobody an administrator; write `admin`")
            );
        }
        for word in ["staff", "user", "mem=2G", "main", "root", "dmi"] {
            assert_eq!(read(&format!("zoe {word}")), [("zoe".to_owned(), false, 1)], "{word}");
        }
    }
}
