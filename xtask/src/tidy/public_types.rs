//! Types of other crates in the public signatures of the libraries.
//!
//! A text check, not a compiler: it reads public signatures and fields, and
//! knows the names that the file imported. What it misses a reviewer must see;
//! what it finds is real.

use std::collections::BTreeSet;

use super::{Finding, SourceFile};

/// The libraries that others may use alone.
const LIBRARIES: [&str; 4] = ["hub-auth/", "hub-spawner/", "hub-proxy/", "hub-store/"];

/// Crates whose major versions must not become ours.
const FOREIGN: [&str; 9] = [
    "bollard",
    "sqlx",
    "oauth2",
    "axum",
    "hyper_util",
    "rcgen",
    "argon2",
    "tower_http",
    "instant_acme",
];

/// How a public item begins, after `pub`.
const ITEMS: [&str; 9] =
    ["fn", "async fn", "const fn", "struct", "enum", "trait", "type", "const", "static"];

/// Checks one file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let is_library = LIBRARIES.iter().any(|dir| file.path.starts_with(dir));
    if !is_library || !file.is_rust() || !file.path.contains("/src/") {
        return Vec::new();
    }
    let imported = imported_names(file);
    let is_foreign = |signature: &str| {
        let crates = FOREIGN.iter().map(|name| format!("{name}::"));
        let by_path = crates.into_iter().find(|path| contains_word(signature, path));
        by_path.or_else(|| imported.iter().find(|name| contains_word(signature, name)).cloned())
    };
    signatures(file)
        .into_iter()
        .filter_map(|(line, signature)| {
            let name = is_foreign(&signature)?;
            Some(
                file.finding(line, format!("{name} is another crate's, and in a public signature")),
            )
        })
        .collect()
}

/// Public signatures and fields, each joined to one line, with their numbers.
fn signatures(file: &SourceFile) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in file.code_lines() {
        let text = line.trim();
        if open.is_none() && begins_signature(text) {
            open = Some((number, String::new()));
        }
        if let Some((_, signature)) = &mut open {
            // The body is nobody's business; an alias has none.
            let is_alias = signature.starts_with("pub type") || text.starts_with("pub type");
            let stops: &[char] = if is_alias { &[';'] } else { &['{', ';', '='] };
            let (head, ends) = match text.find(stops) {
                Some(at) => (&text[..at], true),
                None => (text, text.ends_with(',') && is_field(signature, text)),
            };
            signature.push_str(head);
            signature.push(' ');
            if ends {
                found.extend(open.take());
            }
        }
    }
    found
}

fn begins_signature(text: &str) -> bool {
    if text.starts_with("impl") && text.contains("From<") {
        return true;
    }
    let Some(rest) = text.strip_prefix("pub ") else {
        return false;
    };
    let is_item = ITEMS.iter().any(|item| rest.starts_with(&format!("{item} ")));
    is_item || rest.split_once(": ").is_some_and(|(name, _)| is_name(name))
}

/// A field ends with its line's comma; an argument does not end a signature.
fn is_field(before: &str, text: &str) -> bool {
    let whole = if before.is_empty() { text } else { before };
    let rest = whole.strip_prefix("pub ").unwrap_or_default();
    !ITEMS.iter().any(|item| rest.starts_with(&format!("{item} ")))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Type names that the file's private `use` lines took from a foreign crate.
fn imported_names(file: &SourceFile) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for (_, line) in file.code_lines() {
        let text = line.trim();
        if let Some(path) = text.strip_prefix("use ") {
            inside = FOREIGN.iter().any(|name| path.starts_with(&format!("{name}::")));
        }
        if inside {
            // `A as B` makes B known; A is then not a name of this file.
            for part in text.trim_start_matches("use ").split([',', '{', '}', ';']) {
                let last = part.rsplit([':', ' ']).next().unwrap_or_default();
                if last.starts_with(|c: char| c.is_ascii_uppercase()) && is_name(last) {
                    names.insert(last.to_owned());
                }
            }
        }
        if text.ends_with(';') {
            inside = false;
        }
    }
    names
}

fn contains_word(text: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part_of_name)
            && (word.ends_with(':') || !after.is_some_and(part_of_name))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    fn lines(text: &str) -> Vec<usize> {
        check(&file("hub-spawner/src/a.rs", text)).into_iter().map(|f| f.line).collect()
    }

    #[test]
    fn a_foreign_type_is_found_by_its_path() {
        assert_eq!(lines("pub fn docker(&self) -> &bollard::Docker {\n"), [1]);
        assert_eq!(lines("pub struct A {\n    pub docker: bollard::Docker,\n}\n"), [2]);
        assert_eq!(lines("impl From<sqlx::Error> for Error {\n"), [1]);
        assert_eq!(lines("pub type Pool =\n    sqlx::SqlitePool;\n"), [1]);
    }

    #[test]
    fn a_foreign_type_is_found_by_its_imported_name() {
        let text = "use bollard::{\n    models::Volume, Docker as Client,\n};\n\
                    pub async fn find(\n    &self,\n    client: &Client,\n) -> Summary {\n\
                    pub fn other(volume: Volume) {}\n";
        assert_eq!(lines(text), [4, 8]);
    }

    #[test]
    fn what_is_private_or_a_body_may_name_anything() {
        let text = "use bollard::Docker;\n\
                    pub struct Engine {\n    docker: Docker,\n}\n\
                    pub(crate) fn raw(docker: Docker) {}\n\
                    fn inner() -> bollard::Docker {}\n\
                    pub fn new() -> Self { bollard::Docker::connect() }\n\
                    pub const LIMIT: usize = sqlx::LIMIT;\n";
        assert!(lines(text).is_empty());
    }

    #[test]
    fn names_that_only_look_alike_are_fine() {
        let text = "use bollard::Docker;\npub struct DockerConfig;\npub fn my_bollard::x() {}\n";
        assert!(lines(text).is_empty());
    }

    #[test]
    fn only_the_libraries_are_checked() {
        let text = "pub fn router() -> axum::Router {\n";
        assert!(check(&file("hub-server/src/web.rs", text)).is_empty());
        assert_eq!(lines(text), [1]);
    }
}
