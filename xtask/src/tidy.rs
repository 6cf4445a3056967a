//! `cargo xtask tidy`: the rules that the compiler does not know.
//!
//! Each check is a pure function from text to findings; this file reads the
//! texts, runs all checks and reports everything they found, not the first.

mod boundaries;
mod edges;
mod files;
mod public_types;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, ensure};

use crate::workspace;

/// Directories without files of ours.
const SKIPPED: [&str; 4] = ["target", ".git", ".hub", "node_modules"];

/// Kinds of files that are looked at.
const EXTENSIONS: [&str; 12] =
    ["rs", "toml", "md", "html", "css", "js", "sql", "yml", "yaml", "sh", "Dockerfile", "svg"];

/// One text file of the workspace.
#[derive(Clone, Debug)]
struct SourceFile {
    /// Relative to the workspace's root, with `/` between its parts.
    path: String,
    text: String,
}

/// A rule that is broken somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// 0 where the finding is about the whole file.
    line: usize,
    message: String,
}

impl SourceFile {
    /// Whether it holds tests and nothing else.
    fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| part == "tests" || part == "tests.rs")
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines outside the test module at a file's end, with their numbers.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let all = if self.is_test() { 0 } else { usize::MAX };
        let lines = self.text.lines().take(all).take_while(|line| *line != "#[cfg(test)]");
        lines.enumerate().map(|(index, line)| (index + 1, line))
    }

    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Runs the checks and prints what they found.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let findings = check()?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        eprintln!("tidy: nothing found");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("tidy: {} findings", findings.len());
    Ok(ExitCode::FAILURE)
}

fn check() -> anyhow::Result<Vec<Finding>> {
    let files = source_files(workspace::root())?;
    let mut findings = edges::check(&cargo_metadata()?)?;
    for file in &files {
        findings.extend(files::check(file));
        findings.extend(boundaries::check(file));
        findings.extend(public_types::check(file));
    }
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(findings)
}

fn cargo_metadata() -> anyhow::Result<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace::root())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot start cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// All text files below `root` that are ours.
fn source_files(root: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        let absolute = root.join(&dir);
        let entries = fs::read_dir(&absolute)
            .with_context(|| format!("cannot read {}", absolute.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = dir.join(&name);
            if entry.file_type()?.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    dirs.push(path);
                }
            } else if has_known_extension(&name) {
                let text = fs::read_to_string(entry.path())
                    .with_context(|| format!("cannot read {}", path.display()))?;
                found.push(SourceFile { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    Ok(found)
}

fn has_known_extension(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

#[cfg(test)]
fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_directories_but_not_in_the_target() {
        let root = tempfile::tempdir().unwrap();
        for dir in ["a/src", "target/debug"] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for path in ["a/src/lib.rs", "a/image.png", "target/debug/out.rs", "README.md"] {
            fs::write(root.path().join(path), "x").unwrap();
        }
        let found = source_files(root.path()).unwrap();
        let mut paths: Vec<_> = found.into_iter().map(|file| file.path).collect();
        paths.sort();
        assert_eq!(paths, ["README.md", "a/src/lib.rs"]);
    }

    #[test]
    fn the_test_module_of_a_file_is_not_code() {
        let mixed = file("a/src/lib.rs", "fn a() {}\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(mixed.code_lines().collect::<Vec<_>>(), [(1, "fn a() {}")]);
        let tests = file("a/tests/all.rs", "fn a() {}\n");
        assert_eq!(tests.code_lines().count(), 0);
    }

    #[test]
    fn findings_say_where() {
        let file = file("a/src/lib.rs", "");
        assert_eq!(file.finding(3, "bad").to_string(), "a/src/lib.rs:3: bad");
        assert_eq!(file.finding(0, "bad").to_string(), "a/src/lib.rs: bad");
    }
}
