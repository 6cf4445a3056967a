//! Files that are complete when they appear, and closed to others.

use std::{fs::Permissions, io, io::Write, os::unix::fs::PermissionsExt, path::Path};

use tempfile::{Builder, NamedTempFile};

/// Writes `text` to a file beside `path`, down to the disk; persisting it there
/// is one step then. Dropping it leaves nothing behind.
pub(crate) fn stage(path: &Path, text: &str, mode: u32) -> io::Result<NamedTempFile> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}
