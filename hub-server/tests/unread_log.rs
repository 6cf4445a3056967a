//! The program `hub-server` with a log that nobody reads.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything takes here.
const DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// More lines than the pipe and the queue before it hold.
const REQUESTS: usize = 7000;

const CONFIG: &str = r#"
[auth]
allow_all = true
[auth.dummy]
password = "a password for tests"
[http]
listen = "127.0.0.1:0"
[hub_api]
listen = "127.0.0.1:0"
[spawner]
kind = "process"
"#;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn ended(&mut self) -> ExitStatus {
        for _ in 0..DEADLINE.as_millis() / PAUSE.as_millis() {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            thread::sleep(PAUSE);
        }
        panic!("it should have ended");
    }
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hub.toml"), CONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hub-server"));
    let child = command.current_dir(&dir).env_clear().stderr(Stdio::piped()).spawn().unwrap();
    let mut hub = Running(child);
    let mut log = BufReader::new(hub.0.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
        if let Some(rest) = line.split("public=").nth(1) {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    // Nothing is read from here on.
    for _ in 0..REQUESTS {
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(b"GET /hub/nothing HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.0 404 ") || answer.starts_with(b"HTTP/1.1 404 "));
    }
    let pid = Pid::from_raw(i32::try_from(hub.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(hub.ended().code(), Some(0));
    drop(log);
}
