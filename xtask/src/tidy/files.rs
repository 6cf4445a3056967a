//! What a file may look like, and what it may be called.

use super::{Finding, SourceFile};

/// Longest file, unit tests included.
const MAX_LINES: usize = 600;

/// Files that may be longer, each with the reason.
const LONG: [(&str, &str); 0] = [];

/// Names that say nothing about what is inside.
const DRAWERS: [&str; 8] =
    ["mod", "utils", "util", "helpers", "common", "types", "models", "traits"];

/// Checks one file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.is_rust() {
        let lines = file.text.lines().count();
        let excused = LONG.iter().any(|(path, _)| *path == file.path);
        if lines > MAX_LINES && !excused {
            findings.push(file.finding(0, format!("{lines} lines, at most {MAX_LINES}; split it")));
        }
        let stem = file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs"));
        if stem.is_some_and(|stem| DRAWERS.contains(&stem)) {
            findings.push(file.finding(0, "name the file after what is in it"));
        }
    }
    for (index, line) in file.text.lines().enumerate() {
        let number = index + 1;
        // Two spaces at a line's end are a line break in Markdown.
        if line != line.trim_end() && !file.path.ends_with(".md") {
            findings.push(file.finding(number, "white space at the end of the line"));
        }
        if file.is_rust() && is_ownerless_todo(line) {
            findings.push(file.finding(number, "a TODO needs the number of its issue: TODO(#12)"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(file.finding(0, "no line break at the end of the file"));
    }
    findings
}

fn is_ownerless_todo(line: &str) -> bool {
    let Some((code, comment)) = line.split_once("//") else {
        return false;
    };
    // Inside a text in quotes, two slashes begin no comment.
    if code.matches('"').count() % 2 == 1 {
        return false;
    }
    let marks = ["TODO", "FIXME", "XXX"];
    let words = comment.split_whitespace().map(|word| word.trim_end_matches(':'));
    let mut marked = words.filter(|word| marks.iter().any(|mark| word.starts_with(mark)));
    marked.any(|word| marks.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&file(path, text)).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_file_of_601_lines_is_too_long() {
        assert!(messages("a/src/b.rs", &"\n".repeat(600)).is_empty());
        assert!(messages("a/src/b.rs", &"\n".repeat(601))[0].starts_with("601 lines"));
    }

    #[test]
    fn drawers_are_not_names() {
        for path in ["a/src/mod.rs", "a/src/b/utils.rs", "a/src/types.rs"] {
            assert_eq!(messages(path, "").len(), 1, "{path}");
        }
        assert!(messages("a/src/model.rs", "").is_empty());
    }

    #[test]
    fn trailing_space_is_found_in_code_but_is_a_line_break_in_markdown() {
        assert_eq!(messages("a/b.toml", "a = 1 \n"), ["white space at the end of the line"]);
        assert!(messages("a/b.md", "line  \n").is_empty());
    }

    #[test]
    fn a_todo_without_an_issue_is_found() {
        assert_eq!(messages("a.rs", "let a = 1; // TODO: later\n").len(), 1);
        assert!(messages("a.rs", "// TODO(#12): later\n").is_empty());
        assert!(messages("a.rs", "let text = \"// TODO\";\n").is_empty());
    }

    #[test]
    fn the_last_line_ends() {
        assert_eq!(messages("a.sql", "select 1;"), ["no line break at the end of the file"]);
    }
}
