//! A process that ends or takes over, as those see it that start the next one.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{
    fs,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    time::Duration,
};

use process::{PROGRAM, Program, ask_api, command, command_anywhere};
use rustix::process::Signal;
use support::*;
use tokio::net::{TcpStream, UnixStream};

const HANDSHAKE: &str = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\n\r\n";

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// A WebSocket through the program that stays open.
async fn notebook(program: &Program) -> Client {
    let server = target(|mut client| async move {
        client.head().await;
        client.send(SWITCHED).await;
        client.gone().await;
    })
    .await;
    program.route("/user/ada", server).await;
    let mut socket = Client::to(program.public).await;
    socket.send(HANDSHAKE).await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    socket
}

async fn is_refused(addr: SocketAddr) -> bool {
    soon(TcpStream::connect(addr)).await.is_err()
}

/// Waits for something that nobody tells.
async fn until(mut what: impl AsyncFnMut() -> bool) {
    soon(async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn d_01_d_03_d_04_the_next_process_can_start_while_notebooks_are_open() {
    let mut old = Program::start(&["--drain-timeout", "3600"]).await;
    let mut notebook = notebook(&old).await;
    let mut watching = Client::to(old.api).await;
    ask_api(&mut watching, "GET", "/api/v2/status", "").await;
    let (mut adding, target) = (Client::to(old.api).await, r#"{"target": "http://127.0.0.1:1"}"#);
    // What is on its way when the process is told to end is not in time either.
    let head = "POST /api/routes/user/bob HTTP/1.1\r\nHost: h\r\nAuthorization: token s3cret\r\n";
    adding.send(format!("{head}Content-Length: {}\r\n\r\n", target.len())).await;

    old.signal(Signal::TERM);
    old.line("SIGTERM: draining").await;
    until(async || is_refused(old.public).await && is_refused(old.api).await).await;
    let (public, api) = (old.public.port().to_string(), old.api.port().to_string());
    let ports = ["--ip=127.0.0.1", "--port", &public, "--api-ip=127.0.0.1", "--api-port", &api];
    let new = Program::of(command_anywhere(Path::new(PROGRAM), &ports)).await;
    assert_eq!(new.get("/_chp_healthz").await.status, 200);

    for _ in 0..2 {
        let (head, status) = ask_api(&mut watching, "GET", "/api/v2/status", "").await;
        assert!(head.starts_with("http/1.1 200 ") && status.contains("\"draining\""), "{status}");
    }
    adding.send(target).await;
    let refused = adding.head().await;
    assert!(refused.starts_with("http/1.1 503 "), "{refused}");
    for (method, path, body) in [
        ("POST", "/api/routes/user/bob", target),
        ("DELETE", "/api/routes/user/ada", ""),
        ("PUT", "/api/v2/routes", r#"{"routes": {}}"#),
    ] {
        let (head, said) = ask_api(&mut watching, method, path, body).await;
        assert!(head.starts_with("http/1.1 503 "), "{method}: {head}");
        assert!(said.contains("ends"), "{method}: {said}");
    }
    old.signal(Signal::TERM);
    notebook.gone().await;
    assert_eq!(old.ended().await.code(), Some(2));
}

#[tokio::test]
async fn r_32_who_drains_leaves_the_file_of_routes_to_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("routes.json");
    let storage = format!("--storage-backend=snapshot:{}", file.display());
    let mut old = Program::start(&["--drain-timeout", "3600", &storage]).await;
    let mut notebook = notebook(&old).await;
    old.route("/user/last", "127.0.0.1:1".parse().unwrap()).await;
    old.signal(Signal::TERM);
    until(async || is_refused(old.public).await && is_refused(old.api).await).await;

    // What came in the last second is there at once, and what is changed from here on stays.
    let new = Program::start(&[&storage]).await;
    let names = |routes: &serde_json::Value| {
        routes.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&new.routes().await), ["/user/ada", "/user/last"]);
    assert_eq!(new.api("DELETE", "/api/routes/user/ada", "").await.status, 204);
    let has_ada = || fs::read_to_string(&file).unwrap().contains("/user/ada");
    until(async || !has_ada()).await;
    old.signal(Signal::TERM);
    notebook.gone().await;
    assert_eq!(old.ended().await.code(), Some(2));
    assert!(!has_ada());
}

#[tokio::test]
async fn d_03_who_drains_is_not_asked_to_hand_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("upgrade");
    let socket = path.to_str().unwrap();
    let mut old = Program::start(&["--drain-timeout=3600", "--upgrade-socket", socket]).await;
    let _notebook = notebook(&old).await;
    until(async || path.exists()).await;
    old.signal(Signal::TERM);
    old.line("SIGTERM: draining").await;
    until(async || !path.exists()).await;
    let (code, said) = process::refused(&["--upgrade-from", socket]).await;
    assert_eq!(code, 1);
    assert!(said.contains("nobody to take over from"), "{said}");
}

#[tokio::test]
async fn z_04_a_successor_that_is_not_answered_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("upgrade");
    // It lets in whoever asks, and says nothing.
    let silent = UnixListener::bind(&path).unwrap();
    let mut successor = command(Path::new(PROGRAM), &["--upgrade-from", path.to_str().unwrap()]);
    let mut successor = successor.spawn().unwrap();
    let asked = tokio::task::spawn_blocking(move || silent.accept().unwrap());
    let pid = i32::try_from(successor.id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _asked = soon(asked).await.unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(soon(successor.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn z_04_a_signal_during_an_attempt_to_take_over_is_heeded_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("upgrade");
    let mut program = Program::start(&["--upgrade-socket", path.to_str().unwrap()]).await;
    until(async || path.exists()).await;
    let silent = soon(UnixStream::connect(&path)).await.unwrap();
    // Nothing tells that it is listened to, and that the signal has come.
    tokio::time::sleep(Duration::from_millis(300)).await;
    program.signal(Signal::USR2);
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(silent);
    program.line("nobody took over").await;
    program.line("Handing over to").await;
    program.line("serves now").await;
}

#[tokio::test]
async fn z_04_nothing_is_left_of_a_successor_that_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let replacement = dir.path().join("hub-proxy");
    let mut program = Program::start(&["--upgrade-binary", replacement.to_str().unwrap()]).await;
    // Its end comes while the link to it is still open.
    fs::write(&replacement, "#!/bin/sh\nexec 3<&0\nsleep 1 &\nexit 3\n").unwrap();
    fs::set_permissions(&replacement, fs::Permissions::from_mode(0o755)).unwrap();
    program.signal(Signal::USR2);
    program.line("nobody took over").await;
    let children = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", program.pid())).unwrap();
        let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap();
        tasks.map(|task| of(task.unwrap())).collect::<String>()
    };
    until(async || children().trim().is_empty()).await;
}

#[tokio::test]
async fn d_05_a_second_signal_ends_a_process_that_has_handed_over() {
    let mut program = Program::start(&["--drain-timeout", "3600"]).await;
    let mut notebook = notebook(&program).await;
    program.signal(Signal::USR2);
    program.line("serves now").await;
    program.signal(Signal::TERM);
    program.line("SIGTERM: open connections have").await;
    program.signal(Signal::TERM);
    notebook.gone().await;
    assert_eq!(program.ended().await.code(), Some(2));
}

#[tokio::test]
async fn z_01_a_program_with_one_processor_hands_over_and_keeps_its_tunnels() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first = allowed.trim().split([',', '-']).next().unwrap();
    let args = ["-c", first, PROGRAM, "--ip=127.0.0.1", "--port=0", "--api-port=0"];
    let mut program = Program::of(command_anywhere(Path::new("taskset"), &args)).await;
    let mut notebook = notebook(&program).await;
    program.signal(Signal::USR2);
    program.line("serves now").await;
    notebook.send("still here").await;
    program.signal(Signal::TERM);
    program.line("SIGTERM: open connections have").await;
    program.signal(Signal::TERM);
    notebook.gone().await;
    assert_eq!(program.ended().await.code(), Some(2));
}
