//! `cargo xtask proxy-checklist`: which rules of the proxy does no test carry?
//!
//! The rules are lines of [`LIST`]; a test names those it holds at the beginning
//! of its name. Reading both is pure; this file fetches the texts.

use std::{collections::BTreeSet, fs, path::Path, process::ExitCode};

use anyhow::{Context, ensure};

use crate::workspace;

/// The rules, one a line: `- P-060: what must hold`.
const LIST: &str = "hub-proxy/tests/checklist.md";

/// Where their tests are.
const TESTS: [&str; 4] =
    ["hub-proxy/src", "hub-proxy/tests", "tests/e2e/external_proxy.rs", "tests/e2e/jupyterhub.rs"];

/// One rule.
#[derive(Debug, PartialEq, Eq)]
struct Rule<'a> {
    id: &'a str,
    text: &'a str,
}

/// Prints the rules without a test; fails if there is one.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let root = workspace::root();
    let list =
        fs::read_to_string(root.join(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    let rules = rules(&list);
    ensure!(!rules.is_empty(), "{LIST} has no rules");
    let mut carried = BTreeSet::new();
    for dir in TESTS {
        read_tests(&root.join(dir), &mut carried)?;
    }
    let missing: Vec<_> = rules.iter().filter(|rule| !carried.contains(rule.id)).collect();
    for rule in &missing {
        eprintln!("{}: {}", rule.id, rule.text);
    }
    eprintln!("proxy-checklist: {} of {} rules have no test", missing.len(), rules.len());
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Adds what the tests in a file, or in all files below a directory, carry.
fn read_tests(path: &Path, carried: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let unreadable = || format!("cannot read {}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(unreadable)? {
            read_tests(&entry?.path(), carried)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path).with_context(unreadable)?;
        carried.extend(test_names(&text).flat_map(ids));
    }
    Ok(())
}

fn rules(list: &str) -> Vec<Rule<'_>> {
    list.lines()
        .filter_map(|line| line.strip_prefix("- ")?.split_once(": "))
        .map(|(id, text)| Rule { id, text })
        .collect()
}

/// The names of the functions with an attribute that makes them a test.
fn test_names(source: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    source.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        }
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        let name = name.split('(').next()?;
        std::mem::take(&mut is_test).then_some(name)
    })
}

/// The ids at the beginning of a name, as the list writes them.
fn ids(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('_').collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((family, number)) = id(&parts, at) {
        at += 2;
        match (parts.get(at), id(&parts, at + 1)) {
            (Some(&"to"), Some((same, last))) if same == family => {
                at += 3;
                let (first, last) = (number.parse().unwrap_or(0_u32), last.parse().unwrap_or(0));
                let width = number.len();
                found.extend((first..=last).map(|n| format!("{family}-{n:0width$}")));
            }
            _ => found.push(format!("{family}-{number}")),
        }
    }
    found
}

/// Family and number in two neighbouring parts of a name.
fn id<'a>(parts: &[&'a str], at: usize) -> Option<(String, &'a str)> {
    let (family, number) = (parts.get(at)?, parts.get(at + 1)?);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_family = family.starts_with(|c: char| c.is_ascii_lowercase()) && family.len() <= 2;
    (is_number && is_family).then(|| (family.to_uppercase(), *number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_items_with_an_id() {
        let list = "# Title\n\ntext: more\n\n- P-060: a: b\n- H2-01: c\n";
        let expected = [Rule { id: "P-060", text: "a: b" }, Rule { id: "H2-01", text: "c" }];
        assert_eq!(rules(list), expected);
    }

    #[test]
    fn only_tests_carry_rules() {
        let source = "#[test]\nfn p_001_a() {}\nfn p_002_b() {}\n    #[tokio::test]\n    \
                      #[ignore = \"x\"]\n    async fn p_003_c() {}\n";
        assert_eq!(test_names(source).collect::<Vec<_>>(), ["p_001_a", "p_003_c"]);
    }

    #[test]
    fn names_begin_with_one_or_more_ids() {
        assert_eq!(ids("p_060_it_is_so"), ["P-060"]);
        assert_eq!(ids("e_05_ws_08_a_bare_status"), ["E-05", "WS-08"]);
        assert_eq!(ids("h_01_to_h_03_b_1_x"), ["H-01", "H-02", "H-03", "B-1"]);
        assert_eq!(ids("p_009_to_p_011_x"), ["P-009", "P-010", "P-011"]);
        assert_eq!(ids("h2_01_by_alpn"), ["H2-01"]);
        assert!(ids("what_p_060_says").is_empty());
    }
}
