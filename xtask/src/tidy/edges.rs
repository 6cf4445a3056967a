//! Which package of the workspace may depend on which.

use serde::Deserialize;

use super::Finding;

/// The picture in `docs/architecture.md`, as data. Development dependencies
/// count too.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("hub-names", &[]),
    ("hub-auth", &["hub-names"]),
    ("hub-spawner", &["hub-names"]),
    ("hub-store", &["hub-names"]),
    ("hub-proxy", &[]),
    ("hub-server", &["hub-names", "hub-auth", "hub-spawner", "hub-store", "hub-proxy"]),
    ("hub-cli", &["hub-server", "hub-spawner", "hub-store", "hub-proxy"]),
    ("xtask", &["hub-spawner", "hub-server", "hub-proxy"]),
    (
        "hub-tests",
        &[
            "hub-names",
            "hub-auth",
            "hub-spawner",
            "hub-store",
            "hub-proxy",
            "hub-server",
            "hub-cli",
        ],
    ),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Set for packages of this workspace only.
    path: Option<String>,
}

/// Looks at the output of `cargo metadata --no-deps`.
pub(super) fn check(metadata: &str) -> anyhow::Result<Vec<Finding>> {
    let metadata: Metadata = serde_json::from_str(metadata)?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let mut report = |message: String| {
            findings.push(Finding { path: package.name.clone(), line: 0, message });
        };
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            report("is not in xtask/src/tidy/edges.rs; say what it may depend on".to_owned());
            continue;
        };
        for dependency in package.dependencies.iter().filter(|found| found.path.is_some()) {
            let name = dependency.name.as_str();
            if !allowed.contains(&name) {
                report(format!("may not depend on {name} (xtask/src/tidy/edges.rs)"));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(name: &str, dependency: &str, path: &str) -> String {
        format!(
            r#"{{"packages": [{{"name": "{name}", "dependencies":
                [{{"name": "{dependency}", "kind": "dev", "path": {path}}}]}}]}}"#
        )
    }

    fn messages(metadata: &str) -> Vec<String> {
        check(metadata).unwrap().into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_leaf_may_not_know_its_sibling_even_in_tests() {
        let found = messages(&metadata("hub-auth", "hub-store", r#""/x""#));
        assert_eq!(found, ["hub-auth: may not depend on hub-store (xtask/src/tidy/edges.rs)"]);
    }

    #[test]
    fn edges_of_the_picture_and_other_crates_are_fine() {
        assert!(messages(&metadata("hub-auth", "hub-names", r#""/x""#)).is_empty());
        assert!(messages(&metadata("hub-proxy", "tokio", "null")).is_empty());
    }

    #[test]
    fn a_new_package_has_to_be_drawn_first() {
        let found = messages(&metadata("hub-utils", "tokio", "null"));
        assert!(found[0].contains("is not in"), "{found:?}");
    }
}
