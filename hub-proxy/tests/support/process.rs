//! The program `hub-proxy` as a process of its own.

#![allow(dead_code, reason = "each test binary uses another part")]

use std::{net::SocketAddr, path::Path, process::ExitStatus, process::Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader},
    process::{Child, Command},
    sync::mpsc,
};
use tokio_util::task::TaskTracker;

use crate::support::{Client, soon};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hub-proxy");

/// A running proxy, and all processes that came out of it. They end with it.
pub(crate) struct Program {
    child: Child,
    group: Pid,
    lines: mpsc::UnboundedReceiver<String>,
    /// Without a meaning at a Unix socket, as is the next.
    pub(crate) public: SocketAddr,
    pub(crate) api: SocketAddr,
    /// What it said until it served.
    pub(crate) beginning: Vec<String>,
}

/// An answer of the proxy or its API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The program on free ports of the loopback interface, with a token.
pub(crate) fn command(program: &Path, args: &[&str]) -> Command {
    let free = ["--ip", "127.0.0.1", "--port", "0", "--api-ip", "127.0.0.1", "--api-port", "0"];
    command_anywhere(program, &[&free, args].concat())
}

/// The program where these arguments say, with a token.
pub(crate) fn command_anywhere(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .env("CONFIGPROXY_AUTH_TOKEN", "s3cret")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, which successors belong to as well.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Runs the program until it ends by itself; exit code and standard error.
pub(crate) async fn refused(args: &[&str]) -> (i32, String) {
    outcome(command(Path::new(PROGRAM), args)).await
}

/// As [`refused`], for any command.
pub(crate) async fn outcome(mut command: Command) -> (i32, String) {
    let output = soon(command.output()).await.unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

impl Program {
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::of(command(Path::new(PROGRAM), args)).await
    }

    /// Waits until the process serves.
    pub(crate) async fn of(mut command: Command) -> Self {
        command.stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let (read, lines) = mpsc::unbounded_channel();
        TaskTracker::new().spawn(async move {
            while let Ok(Some(line)) = stdout.next_line().await {
                eprintln!("{line}");
                let _ = read.send(line);
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let beginning = Vec::new();
        let mut program = Self { child, group, lines, public: nowhere, api: nowhere, beginning };
        loop {
            let line = program.line("").await;
            let serves = line.contains("Proxy API at http");
            if line.contains("Proxying http") {
                program.public = address(&line).unwrap_or(nowhere);
            } else if serves {
                program.api = address(&line).unwrap_or(nowhere);
            }
            program.beginning.push(line);
            if serves {
                return program;
            }
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// What that process has in memory, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The next line of the log that has `text` in it.
    pub(crate) async fn line(&mut self, text: &str) -> String {
        loop {
            let line = soon(self.lines.recv()).await.unwrap_or_else(|| panic!("no line: {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// What it has said until its end, which a signal brings about.
    pub(crate) async fn last_words(&mut self) -> String {
        self.signal(Signal::TERM);
        let mut log = self.beginning.join("\n");
        while let Some(line) = soon(self.lines.recv()).await {
            log.push('\n');
            log.push_str(&line);
        }
        log
    }

    /// Sends a signal to the process that was started first.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.group, signal).unwrap();
    }

    /// The end of that process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        soon(self.child.wait()).await.unwrap()
    }

    /// Whether that process has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        ask(self.public, "GET", path, "", "").await
    }

    pub(crate) async fn api(&self, method: &str, path: &str, body: &str) -> Answer {
        ask(self.api, method, path, "Authorization: token s3cret\r\n", body).await
    }

    pub(crate) async fn route(&self, path: &str, target: SocketAddr) {
        let body = format!(r#"{{"target": "http://{target}", "user": "ada"}}"#);
        let answer = self.api("POST", &format!("/api/routes{path}"), &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    pub(crate) async fn status(&self) -> Value {
        serde_json::from_str(&self.api("GET", "/api/v2/status", "").await.body).unwrap()
    }

    pub(crate) async fn routes(&self) -> Value {
        serde_json::from_str(&self.api("GET", "/api/routes", "").await.body).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Whoever took over is not a child of ours, but in the group.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    fields: &str,
    body: &str,
) -> Answer {
    ask_over(Client::to(addr).await, method, path, fields, body).await
}

/// One request to the API on a connection that stays; the head of the answer, and its body.
pub(crate) async fn ask_api(
    client: &mut Client,
    method: &str,
    path: &str,
    body: &str,
) -> (String, String) {
    let len = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: token s3cret");
    client.send(format!("{head}\r\nContent-Length: {len}\r\n\r\n{body}")).await;
    let head = client.head().await;
    let len = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    (head, String::from_utf8(client.take(len).await).unwrap())
}

/// As [`ask`], on a connection that was made in any way.
pub(crate) async fn ask_over<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: Client<S>,
    method: &str,
    path: &str,
    fields: &str,
    body: &str,
) -> Answer {
    let len = body.len();
    client
        .send(format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             Content-Length: {len}\r\n{fields}\r\n{body}"
        ))
        .await;
    let head = client.head().await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: client.rest().await }
}

/// The first address in a line of the log, if what is there is none of a file.
fn address(line: &str) -> Option<SocketAddr> {
    let from = line.find("://").unwrap() + 3;
    let end = line[from..].find([' ', '/']).unwrap();
    let text = &line[from..from + end];
    (!text.is_empty()).then(|| text.parse().unwrap_or_else(|_| panic!("no address: {line}")))
}
