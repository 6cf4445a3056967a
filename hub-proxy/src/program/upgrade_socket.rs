//! Where a process that was started elsewhere can ask to take over.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};

/// How long to rest when no connection can be accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// A Unix socket for our own user, or none at all.
#[derive(Debug)]
pub(super) struct UpgradeSocket(Option<(UnixListener, PathBuf)>);

impl UpgradeSocket {
    /// Nobody can ask.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Listens at `path`; the socket of a predecessor is replaced.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            // Binding says what is wrong with it.
            _ => {}
        }
        let socket = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self(Some((socket, path.to_owned()))))
    }

    /// The next process that asks, if it is our own user's or root's. Safe to
    /// cancel.
    pub(super) async fn accept(&self) -> UnixStream {
        let Some((socket, _)) = &self.0 else { return std::future::pending().await };
        loop {
            match socket.accept().await {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) if [0, geteuid().as_raw()].contains(&peer.uid()) => return stream,
                    _ => tracing::warn!("a process of another user asked to take over"),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection at --upgrade-socket");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Removes the file: nobody serves any more.
    pub(super) fn remove(&mut self) {
        if let Some((_, path)) = self.0.take() {
            // Gone already means that nobody can be misled by it.
            let _ = fs::remove_file(path);
        }
    }
}
