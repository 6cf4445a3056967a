//! A PostgreSQL for one test run: own directory, own port, gone afterwards.

use std::{fs, net::TcpListener, os::unix::fs::chown, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{packages, process, programs, step::Step, surroundings};

/// The system account of Debian's package. The server refuses to run as root.
const ACCOUNT: &str = "postgres";

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_millis(100);

/// Settings of a database that nobody will miss: what makes it survive a crash
/// costs time.
const SETTINGS: [&str; 4] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"];

/// A running server. Killed when dropped.
#[derive(Debug)]
pub(super) struct Postgres {
    url: String,
    server: Child,
    _dir: TempDir,
}

impl Postgres {
    /// Makes a cluster, starts its server and waits until it answers.
    pub(super) async fn start() -> anyhow::Result<Self> {
        packages::ensure(&packages::TESTS).await?;
        let step = Step::begin("starting PostgreSQL");
        let dir = tempfile::Builder::new().prefix("hub-test-postgres-").tempdir()?;
        let owner = owner()?;
        if let Some((uid, gid)) = owner {
            chown(dir.path(), Some(uid), Some(gid))?;
        }
        let password = password()?;
        let password_file = dir.path().join("password");
        fs::write(&password_file, &password)?;
        if let Some((uid, gid)) = owner {
            chown(&password_file, Some(uid), Some(gid))?;
        }
        let data = dir.path().join("data");
        let mut init = program("initdb", dir.path(), owner)?;
        init.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--no-instructions"])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(&data);
        process::run(&step, &mut init).await?;
        let port = free_port()?;
        let mut server = program("postgres", dir.path(), owner)?;
        server
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", dir.path().display()))
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log"))?)
            .process_group(0)
            .kill_on_drop(true);
        let server = server.spawn().context("cannot start the server")?;
        let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        let mut postgres = Self { url, server, _dir: dir };
        postgres.wait_until_ready(port, &step).await?;
        step.done(&format!("port {port}"));
        Ok(postgres)
    }

    /// How to connect to it, with the password.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends the server; connections that are open are cut.
    pub(super) async fn stop(mut self) {
        if let Some(pid) = self.server.id() {
            // SIGINT is PostgreSQL's "fast" shutdown.
            process::signal(pid, Signal::INT);
        }
        // If it takes longer than that, dropping `self` kills it.
        let _ = tokio::time::timeout(STOP_DEADLINE, self.server.wait()).await;
    }

    async fn wait_until_ready(&mut self, port: u16, step: &Step) -> anyhow::Result<()> {
        let ready = async {
            let Some(pg_isready) = programs::find("pg_isready") else {
                bail!("pg_isready is not installed");
            };
            let port = port.to_string();
            loop {
                let mut ask = Command::new(&pg_isready);
                ask.args(["-q", "-h", "127.0.0.1", "-p", &port]);
                if process::run(step, &mut ask).await.is_ok() {
                    return Ok(());
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        let outcome = tokio::select! {
            status = self.server.wait() => match status {
                Ok(status) => bail!("the server ended with {status}"),
                Err(error) => bail!("cannot wait for the server: {error}"),
            },
            outcome = tokio::time::timeout(START_DEADLINE, ready) => outcome,
        };
        outcome.context("the server does not answer")?
    }
}

/// Whom the server runs as, if not as ourselves: user and group id.
fn owner() -> anyhow::Result<Option<(u32, u32)>> {
    if !surroundings::is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    let ids = ids_of(&accounts, ACCOUNT);
    ids.map(Some).with_context(|| format!("there is no account {ACCOUNT} to run the server as"))
}

fn ids_of(accounts: &str, name: &str) -> Option<(u32, u32)> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let mut ids = fields.skip(1);
        Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
    })
}

fn program(name: &str, dir: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<Command> {
    let path = programs::find(name).with_context(|| format!("{name} is not installed"))?;
    let mut command = Command::new(path);
    // The account need not be able to enter the directory we are in.
    command.current_dir(dir);
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

fn password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_account_file() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\npostgres:x:113:121:,,,:/var/lib:/bin/sh\n";
        assert_eq!(ids_of(accounts, "postgres"), Some((113, 121)));
        assert_eq!(ids_of(accounts, "post"), None);
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: cargo xtask test"]
    async fn a_server_takes_connections_with_its_password_and_leaves_nothing() {
        let postgres = Postgres::start().await.unwrap();
        let dir = postgres._dir.path().to_path_buf();
        let ask = async |url: &str| {
            let mut psql = Command::new(programs::find("psql").unwrap());
            process::output(psql.args(["-w", "-At", "-c", "select 6 * 7", url]), "").await
        };
        assert_eq!(ask(postgres.url()).await.unwrap(), "42\n");
        assert!(ask(&postgres.url().replace("postgres:", "postgres:x")).await.is_err());
        postgres.stop().await;
        assert!(!dir.exists());
    }
}
