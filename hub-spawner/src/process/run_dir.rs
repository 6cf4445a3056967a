//! What a hub that starts again finds of its servers: a directory for each.
//!
//! `server.json` is written before the process begins, `process` by the process
//! itself: a hub that is killed at any moment leaves nothing that it will not find.

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
};

use hub_names::ServerKey;
use serde::{Deserialize, Serialize};
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncSeekExt},
};

use super::proc::{self, ProcessId};
use crate::{
    SavedState,
    escaping::{escape, marked},
};

/// How much of a log is handed on at once.
const PIECE_BYTES: u64 = 64 * 1024;

/// All run directories.
#[derive(Clone, Debug)]
pub(super) struct RunDirs(PathBuf);

/// The run directory of one server.
#[derive(Clone, Debug)]
pub(super) struct RunDir(PathBuf);

/// What is known of a server before it begins. Its token is not among it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServerFile {
    user: String,
    server: String,
    pub(super) port: u16,
    /// Which run of the kernel it belongs to.
    #[serde(default)]
    boot: String,
}

impl ServerFile {
    pub(super) fn new(key: &ServerKey, port: u16) -> Self {
        let (user, server) = (key.user().to_string(), key.server().to_string());
        Self { user, server, port, boot: String::new() }
    }

    fn key(&self) -> Option<ServerKey> {
        Some(ServerKey::new(self.user.parse().ok()?, self.server.parse().ok()?))
    }
}

impl RunDirs {
    pub(super) async fn open(dir: &Path) -> io::Result<Self> {
        let runs = dir.join("servers");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&runs).await?;
        // Without `..` and links, as the kernel will tell it of processes.
        Ok(Self(fs::canonicalize(runs).await?))
    }

    pub(super) fn of(&self, key: &ServerKey) -> RunDir {
        let (user, server) = (key.user().as_str(), key.server().as_str());
        let full = format!("{}--{}", escape(user), escape(server));
        RunDir(self.0.join(marked(&full, &format!("{user}\0{server}"))))
    }

    /// The servers that have one.
    pub(super) async fn all(&self) -> io::Result<Vec<ServerKey>> {
        let mut keys = Vec::new();
        let mut entries = fs::read_dir(&self.0).await?;
        while let Some(entry) = entries.next_entry().await? {
            keys.extend(RunDir(entry.path()).file().await.and_then(|file| file.key()));
        }
        keys.sort();
        Ok(keys)
    }
}

impl RunDir {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(super) async fn make(&self, file: &ServerFile) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).await?;
        let file = ServerFile { boot: proc::boot().await, ..file.clone() };
        let part = self.0.join("server.json.part");
        fs::write(&part, serde_json::to_vec(&file)?).await?;
        fs::rename(part, self.0.join("server.json")).await
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.join("server.json").exists()
    }

    pub(super) async fn file(&self) -> Option<ServerFile> {
        let text = fs::read(self.0.join("server.json")).await.ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Who the server said to be.
    pub(super) async fn process_id(&self) -> Option<i32> {
        Some(self.introduction().await?.id)
    }

    async fn introduction(&self) -> Option<ProcessId> {
        let line = fs::read_to_string(self.0.join("process")).await.ok()?;
        Some(proc::read_stat(&line)?.0)
    }

    /// The server's process, while it runs.
    pub(super) async fn process(&self) -> Option<ProcessId> {
        let process = self.introduction().await?;
        let is_of_this_boot = self.file().await?.boot == proc::boot().await;
        (is_of_this_boot && proc::is_alive(&process).await).then_some(process)
    }

    /// The port of a server that runs or is about to.
    pub(super) async fn held_port(&self) -> Option<u16> {
        let file = self.file().await?;
        let is_over = file.boot != proc::boot().await
            || self.introduction().await.is_some() && self.process().await.is_none();
        (!is_over).then_some(file.port)
    }

    /// The exit code, once the server has ended by itself.
    pub(super) async fn exit_code(&self) -> Option<i64> {
        fs::read_to_string(self.0.join("exit")).await.ok()?.trim().parse().ok()
    }

    /// What is remembered of the server.
    pub(super) fn state(&self, id: i32) -> SavedState {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        SavedState::default()
            .with("object_id", id.to_string())
            .with("object_name", name.into_owned())
    }

    pub(super) async fn log_length(&self) -> u64 {
        fs::metadata(self.log()).await.map_or(0, |data| data.len())
    }

    /// The last `bytes` of what it printed.
    pub(super) async fn printed(&self, bytes: usize) -> String {
        let from = self.log_length().await.saturating_sub(bytes as u64);
        let raw = self.read_log(from, bytes as u64).await.unwrap_or_default();
        String::from_utf8_lossy(&raw).into_owned()
    }

    /// What it printed after its first `from` bytes: a piece of it.
    pub(super) async fn printed_from(&self, from: u64) -> Vec<u8> {
        self.read_log(from, PIECE_BYTES).await.unwrap_or_default()
    }

    async fn read_log(&self, from: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(self.log()).await?;
        file.seek(SeekFrom::Start(from)).await?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    pub(super) async fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
