//! Error pages from files.

use std::{
    io,
    path::{Path, PathBuf},
};

use http::StatusCode;

/// The page for a status, or the one for all; `None` if there is neither.
pub(super) async fn read(dir: &Path, status: StatusCode) -> Option<Vec<u8>> {
    for name in [format!("{}.html", status.as_u16()), "error.html".to_owned()] {
        let path: PathBuf = dir.join(name);
        match tokio::fs::read(&path).await {
            Ok(page) => return Some(page),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot read"),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn e_03_a_status_has_its_own_page_or_the_common_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), StatusCode::NOT_FOUND).await, None);
        std::fs::write(dir.path().join("404.html"), "own").unwrap();
        std::fs::write(dir.path().join("error.html"), "common").unwrap();
        assert_eq!(read(dir.path(), StatusCode::NOT_FOUND).await.unwrap(), b"own");
        assert_eq!(read(dir.path(), StatusCode::SERVICE_UNAVAILABLE).await.unwrap(), b"common");
    }
}
