//! The file of a Unix socket: who may put one there, and who removes it.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixSocket};

use crate::ListenError;

/// A file that stands for a socket of ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have put its own there since.
    id: Option<(u64, u64)>,
    /// Whether nobody can be waiting behind it once this is dropped.
    is_ours_alone: bool,
}

impl SocketFile {
    /// The file of a socket that another process has, too: stays until
    /// [`remove`](Self::remove) says otherwise.
    pub(super) fn shared(path: &Path) -> Self {
        Self { path: path.to_owned(), id: id(path), is_ours_alone: false }
    }

    /// Removes the file: nobody is served there any more.
    pub(super) fn remove(mut self) {
        self.is_ours_alone = true;
    }

    /// Leaves the file to whoever serves there now.
    pub(super) fn leave(mut self) {
        self.is_ours_alone = false;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours_alone && self.id.is_some() && id(&self.path) == self.id {
            // Gone already means that nobody can be misled by it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`. The file of a socket where nobody listens is replaced.
pub(super) fn bind(path: &Path, backlog: u32) -> Result<(UnixListener, SocketFile), ListenError> {
    let failed = |error: io::Error| ListenError::at_path(path, error);
    // Two that find the same old file must not each remove what the other has made.
    let _alone = alone_in(path.parent().unwrap_or(Path::new("")));
    let bind = || -> io::Result<_> {
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let file = SocketFile { path: path.to_owned(), id: id(path), is_ours_alone: true };
        Ok((socket.listen(backlog)?, file))
    };
    match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        bound => return bound.map_err(failed),
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(ListenError::NoSocket { path: path.to_owned() }),
        // Somebody else removed it, which is all that is wanted.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return bind().map_err(failed),
        Err(error) => return Err(failed(error)),
    }
    match reach(path).map_err(|error| (error.kind(), error)) {
        // Left by a process that did not come to its end.
        Err((io::ErrorKind::ConnectionRefused, _)) => fs::remove_file(path).map_err(failed)?,
        Err((io::ErrorKind::NotFound, _)) => {}
        Err((io::ErrorKind::PermissionDenied, error)) => return Err(failed(error)),
        // Somebody answers, or is too busy to.
        _ => return Err(ListenError::PathInUse { path: path.to_owned() }),
    }
    bind().map_err(failed)
}

/// Whether somebody listens there; waits for nobody.
fn reach(path: &Path) -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&socket2::SockAddr::unix(path)?)
}

/// Lets no other process of ours come by here at the same time, as long as it is held.
/// Nobody is kept from it where the directory may not be read.
fn alone_in(dir: &Path) -> Option<fs::File> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let dir = fs::File::open(dir).ok()?;
    dir.lock().ok()?;
    Some(dir)
}

fn id(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    found.file_type().is_socket().then(|| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn a_file_that_nobody_listens_behind_is_replaced_and_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (socket, file) = bind(&path, 8).unwrap();
        UnixStream::connect(&path).await.unwrap();

        let other = bind(&path, 8).unwrap_err();
        assert!(matches!(other, ListenError::PathInUse { .. }), "{other}");
        UnixStream::connect(&path).await.unwrap();
        drop((socket, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn of_many_that_find_an_old_file_one_serves_and_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        for _ in 0..300 {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let runtime = tokio::runtime::Handle::current();
            let together = std::sync::Barrier::new(4);
            let served: Vec<_> = std::thread::scope(|scope| {
                let tries = [(); 4].map(|()| {
                    scope.spawn(|| {
                        let _context = runtime.enter();
                        together.wait();
                        bind(&path, 8)
                    })
                });
                tries.into_iter().filter_map(|one| one.join().unwrap().ok()).collect()
            });
            assert_eq!(served.len(), 1);
            UnixStream::connect(&path).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "precious").unwrap();
        let error = bind(&path, 8).unwrap_err();
        assert!(matches!(error, ListenError::NoSocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_file_of_another_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let (socket, file) = bind(&path, 8).unwrap();
        let shared = SocketFile::shared(&path);
        file.leave();
        assert!(path.exists(), "somebody else serves there");
        drop(shared);
        assert!(path.exists(), "whoever did not get to serving leaves it");
        let ours = SocketFile::shared(&path);
        fs::rename(&path, dir.path().join("old")).unwrap();
        let (_other, other_file) = bind(&path, 8).unwrap();
        ours.remove();
        assert!(path.exists(), "it has become another's");
        SocketFile::shared(&path).remove();
        assert!(!path.exists());
        drop((socket, other_file));
    }
}
