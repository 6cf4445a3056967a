//! A Podman for one test run: own configuration, own storage, own socket, processes
//! and mounts, gone afterwards. What the machine's own Podman has is not touched.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use hub_spawner::engine::{Engine, EngineError, Labels};
use rustix::process::{Resource, getrlimit};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::Instant,
};

use crate::{packages, programs, step::Step};

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_millis(100);

/// The network that it has by itself.
const OWN_NETWORK: &str = "podman";

/// More than this no test needs.
const OPEN_FILES: u64 = 20_000;
const PROCESSES: u64 = 4_096;

/// Its locks are in shared memory, where the machine's own Podman has its as well; and
/// somebody has to wait for the processes that it leaves behind.
const BOOT: &str = "mount -t tmpfs tmpfs /dev/shm && exec catatonit -- \
                    podman system service --time 0 \"$1\"";

/// A running service. Killed when dropped, with all its containers.
#[derive(Debug)]
pub(super) struct Podman {
    service: Child,
    dir: TempDir,
}

impl Podman {
    /// Starts the service and waits until it answers.
    pub(super) async fn start() -> anyhow::Result<Self> {
        packages::ensure(&packages::PODMAN).await?;
        let step = Step::begin("starting Podman");
        let dir = tempfile::Builder::new().prefix("hub-test-podman-").tempdir()?;
        fs::write(dir.path().join("containers.conf"), configuration(dir.path()))?;
        fs::write(dir.path().join("storage.conf"), storage(dir.path()))?;
        let unshare = programs::find("unshare").context("unshare is not installed")?;
        let mut service = Command::new(unshare);
        service
            .args(["--mount", "--propagation", "slave"])
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-ec", BOOT, "podman", &address(dir.path())])
            // Its runtimes leave files where they are started.
            .current_dir(dir.path())
            .env("CONTAINERS_CONF", dir.path().join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", dir.path().join("storage.conf"))
            .env("TMPDIR", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log"))?)
            .process_group(0)
            .kill_on_drop(true);
        let service = service.spawn().context("cannot start the service")?;
        let mut podman = Self { service, dir };
        if let Err(error) = podman.wait_until_ready().await {
            let log = fs::read_to_string(podman.dir.path().join("log")).unwrap_or_default();
            log.lines().for_each(|line| step.line(line));
            return Err(error);
        }
        step.done("");
        Ok(podman)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> String {
        address(self.dir.path())
    }

    /// Removes the networks that tests left, which are the machine's, and ends it.
    pub(super) async fn stop(mut self) {
        if tokio::time::timeout(STOP_DEADLINE, self.clear()).await.is_err() {
            eprintln!("Podman does not answer any more; networks of it may be left");
        }
        // With the first process of its namespace all others end.
        let _ = self.service.kill().await;
    }

    async fn clear(&self) -> Result<(), EngineError> {
        let engine = self.connect().await?;
        for container in engine.containers(&Labels::new()).await? {
            engine.remove_container(&container.id, true).await?;
        }
        for network in engine.networks_labelled(&Labels::new()).await? {
            if network.name != OWN_NETWORK {
                engine.remove_network(&network.id).await?;
            }
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Engine, EngineError> {
        Engine::connect(Some(&self.address())).await
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.service.try_wait()? {
                bail!("the service ended with {status}");
            }
            match self.connect().await {
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() > START_DEADLINE => {
                    return Err(error).context("the service does not answer");
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }
}

fn address(dir: &Path) -> String {
    format!("unix://{}/podman.sock", dir.display())
}

fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    let may = |resource, enough: u64| getrlimit(resource).maximum.unwrap_or(enough).min(enough);
    // What it asks for by itself is more than root may have in some containers.
    let (files, processes) = (may(Resource::Nofile, OPEN_FILES), may(Resource::Nproc, PROCESSES));
    // By default systemd would be asked for control groups. What ends containers is told
    // of the storage, not of the database: that has to be where it looks by itself.
    format!(
        "[containers]\n\
         default_ulimits = [\"nofile={files}:{files}\", \"nproc={processes}:{processes}\"]\n\
         [engine]\n\
         cgroup_manager = \"cgroupfs\"\n\
         events_logger = \"file\"\n\
         static_dir = \"{dir}/storage/libpod\"\n\
         tmp_dir = \"{dir}/tmp\"\n\
         volume_path = \"{dir}/storage/volumes\"\n\
         [network]\n\
         network_config_dir = \"{dir}/networks\"\n"
    )
}

fn storage(dir: &Path) -> String {
    let dir = dir.display();
    // Copies, slower than layers, and possible on every file system.
    format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{dir}/storage\"\nrunroot = \"{dir}/run\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_it_keeps_is_in_its_directory() {
        let dir = Path::new("/given");
        for text in [configuration(dir), storage(dir)] {
            let paths = text.lines().filter_map(|line| line.split_once(" = \"/"));
            assert!(paths.clone().count() >= 2, "{text}");
            for (name, path) in paths {
                assert!(path.starts_with("given/"), "{name} in {text}");
            }
        }
    }

    #[tokio::test]
    #[ignore = "needs Podman: cargo xtask test"]
    async fn a_service_answers_and_leaves_nothing() {
        let podman = Podman::start().await.unwrap();
        let dir = podman.dir.path().to_path_buf();
        let engine = podman.connect().await.unwrap();
        assert!(engine.version().await.unwrap().api.starts_with("1."));
        podman.stop().await;
        assert!(!dir.exists());
    }
}
