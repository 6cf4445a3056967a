//! Removes from a data volume what its operator has removed from the files that
//! were copied into it.
//!
//! A deployment runs this in a container that ends with it: archives, by which it
//! brings files, can bring them only.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Why a file could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// It would not be below the volume.
    #[error("{}: not a path below the data directory", path.display())]
    Elsewhere {
        /// As it was given.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{}", path.display())]
    Io {
        /// What was to be removed.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Removes `names`, paths below `data`, and the directories that are empty then.
/// What is not there is gone already.
///
/// # Errors
///
/// When a path leads out of `data`, or cannot be removed. Nothing is removed if
/// a path leads out.
pub fn forget(data: &Path, names: &[PathBuf]) -> Result<(), ForgetError> {
    let leads_out = |path: &&PathBuf| {
        path.as_os_str().is_empty()
            || path.components().any(|part| !matches!(part, Component::Normal(_)))
    };
    if let Some(path) = names.iter().find(leads_out) {
        return Err(ForgetError::Elsewhere { path: path.clone() });
    }
    for name in names {
        let path = data.join(name);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ForgetError::Io { path, source }),
        }
        for above in name.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            // One that is not empty stays.
            if fs::remove_dir(data.join(above)).is_err() {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_and_so_do_directories_without_any() {
        let data = tempfile::tempdir().unwrap();
        let there = |name: &str| data.path().join(name).exists();
        fs::create_dir_all(data.path().join("config/pages/deep")).unwrap();
        for name in ["config/hub.toml", "config/pages/deep/a.html", "kept"] {
            fs::write(data.path().join(name), "x").unwrap();
        }
        let names = ["config/pages/deep/a.html", "config/never.toml"].map(PathBuf::from);
        forget(data.path(), &names).unwrap();
        assert!(!there("config/pages") && there("config/hub.toml") && there("kept"));
    }

    #[test]
    fn nothing_else_is_touched_if_a_path_leads_out() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("a"), "x").unwrap();
        for out in ["../a", "/etc/passwd", "b/../../c", ""] {
            let error = forget(data.path(), &[PathBuf::from("a"), out.into()]).unwrap_err();
            assert!(matches!(error, ForgetError::Elsewhere { .. }), "{out}");
        }
        assert!(data.path().join("a").exists());
    }
}
