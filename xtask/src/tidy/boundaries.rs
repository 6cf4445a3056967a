//! What is written in one place only, so that one search answers the question.

use super::{Finding, SourceFile};

/// A text and the only places where code may hold it.
struct Boundary {
    what: &'static str,
    /// Whether a line of code holds it.
    holds: fn(&str) -> bool,
    /// Files, or directories with a final `/`.
    allowed: &'static [&'static str],
}

const BOUNDARIES: [Boundary; 3] = [
    Boundary {
        // What a server is told, that is; variables.rs has what the hub is told.
        what: "a JUPYTERHUB_ variable is named in hub-spawner/src/environment.rs and below only",
        holds: |line| line.contains("\"JUPYTERHUB_"),
        allowed: &[
            "hub-spawner/src/environment.rs",
            "hub-spawner/src/environment/service.rs",
            "hub-server/src/config/variables.rs",
            "xtask/",
            "hub-cli/src/backup/redact.rs",
        ],
    },
    Boundary {
        what: "SQL is written in hub-store only",
        holds: holds_sql,
        allowed: &["hub-store/", "xtask/"],
    },
    Boundary {
        what: "the environment is read in one file of each program only",
        holds: |line| ["env::var(", "env::vars", "env::var_os("].iter().any(|c| line.contains(c)),
        allowed: &[
            "hub-server/src/config/sources.rs",
            "hub-cli/src/token.rs",
            "hub-proxy/src/program/environment.rs",
            "xtask/",
        ],
    },
];

/// How a statement begins, in either case.
const SQL: [&str; 6] =
    ["select ", "insert into ", "update ", "delete from ", "create table ", "alter table "];

/// Words of which a statement that begins like English holds at least one.
const SQL_MORE: [&str; 6] = [" from ", " set ", " values", " where ", "(", " add "];

/// Checks one file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let broken = BOUNDARIES.iter().filter(|boundary| {
        !boundary.allowed.iter().any(|allowed| match allowed.strip_suffix('/') {
            Some(_) => file.path.starts_with(allowed),
            None => file.path == *allowed,
        })
    });
    broken
        .flat_map(|boundary| {
            let lines = file.code_lines().filter(|(_, line)| !is_comment(line));
            let held = lines.filter(|(_, line)| (boundary.holds)(line));
            held.map(|(number, _)| file.finding(number, boundary.what)).collect::<Vec<_>>()
        })
        .collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Whether a text in quotes on this line reads like SQL.
fn holds_sql(line: &str) -> bool {
    let quoted = line.split('"').skip(1).step_by(2);
    quoted.map(str::to_lowercase).any(|text| {
        SQL.iter().any(|begin| {
            text.trim_start()
                .strip_prefix(begin)
                .is_some_and(|rest| SQL_MORE.iter().any(|word| format!(" {rest}").contains(word)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&file(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_jupyterhub_variable_is_found_outside_its_file() {
        let text = "let a = 1;\nset(\"JUPYTERHUB_API_TOKEN\");\n";
        assert_eq!(lines("hub-server/src/hub.rs", text), [2]);
        assert!(lines("hub-spawner/src/environment.rs", text).is_empty());
        assert!(lines("hub-server/tests/api.rs", text).is_empty());
        assert!(lines("hub-server/src/hub.rs", "// \"JUPYTERHUB_USER\"\n").is_empty());
    }

    #[test]
    fn sql_is_found_outside_the_store() {
        let text = "query(\"SELECT id FROM users\");\n";
        assert_eq!(lines("hub-server/src/hub.rs", text), [1]);
        assert!(lines("hub-store/src/users.rs", text).is_empty());
        assert!(lines("hub-server/src/hub.rs", "say(\"select a server\");\n").is_empty());
        assert_eq!(lines("hub-auth/src/a.rs", "q(\"update users set admin = 1\");\n"), [1]);
    }

    #[test]
    fn the_environment_is_read_in_one_file() {
        let text = "let home = std::env::var(\"HOME\");\n";
        assert_eq!(lines("hub-auth/src/lib.rs", text), [1]);
        assert!(lines("hub-server/src/config/sources.rs", text).is_empty());
        assert_eq!(lines("hub-auth/src/lib.rs", "for one in std::env::vars_os() {}\n"), [1]);
        assert!(lines("hub-auth/src/lib.rs", &format!("#[cfg(test)]\n{text}")).is_empty());
    }
}
