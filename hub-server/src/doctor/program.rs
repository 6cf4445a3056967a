//! Whether the program of servers that are processes is there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::Finding;
use crate::config::{Config, SpawnerConfig};

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let SpawnerConfig::Process(process) = &config.spawner else {
        return vec![Finding::skipped("servers are containers")];
    };
    let Some(program) = process.cmd.words().first() else { return Vec::new() };
    vec![match find(program, &process.path) {
        Some(file) => Finding::ok(file.display().to_string()),
        None => Finding::problem(
            format!("there is no program {program} in {}", process.path),
            "install it, or name its directory in spawner.process.path: servers are not given the hub's PATH",
        ),
    }]
}

/// As a shell looks for it.
fn find(program: &str, path: &str) -> Option<PathBuf> {
    let is_program = |file: &Path| {
        fs::metadata(file).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|file| is_program(file));
    }
    let places = path.split(':').filter(|place| !place.is_empty());
    places.map(|place| Path::new(place).join(program)).find(|file| is_program(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_as_a_shell_does() {
        let dir = tempfile::tempdir().unwrap();
        let (program, text) = (dir.path().join("lab"), dir.path().join("notes"));
        for (file, mode) in [(&program, 0o755), (&text, 0o644)] {
            fs::write(file, "").unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = format!("/none/such:{}", dir.path().display());
        assert_eq!(find("lab", &path), Some(program.clone()));
        assert_eq!(find(program.to_str().unwrap(), ""), Some(program));
        for missing in ["notes", "other", "/none/such"] {
            assert_eq!(find(missing, &path), None, "{missing}");
        }
    }
}
