//! One process of the program takes over from another.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::{SinkExt, StreamExt};
use process::{PROGRAM, Program, command};
use rustix::process::Signal;
use support::*;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A server that echoes messages.
async fn echo() -> SocketAddr {
    target(|client| async move {
        let mut socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await
}

async fn open(proxy: SocketAddr) -> WebSocketStream<TcpStream> {
    let request = format!("ws://{proxy}/user/ada/ws").into_client_request().unwrap();
    let stream = soon(TcpStream::connect(proxy)).await.unwrap();
    soon(client_async(request, stream)).await.unwrap().0
}

async fn assert_echoes(socket: &mut WebSocketStream<TcpStream>, text: &str) {
    soon(socket.send(Message::text(text))).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text(text));
}

/// The id of the process that answers.
async fn pid(program: &Program) -> u64 {
    program.status().await["pid"].as_u64().unwrap()
}

/// Waits until a process other than `old` answers.
async fn successor(program: &mut Program, old: u64) -> u64 {
    program.line("serves now").await;
    soon(async {
        loop {
            match pid(program).await {
                // A question that came a moment too early.
                same if same == old => tokio::task::yield_now().await,
                new => return new,
            }
        }
    })
    .await
}

#[tokio::test]
async fn z_1_z_01_z_02_z_03_nobody_notices_an_upgrade() {
    let mut program = Program::start(&[]).await;
    let (public, backend) = (program.public, echo().await);
    program.route("/user/ada", backend).await;
    program.route("/user/b%20b", nowhere().await).await;
    let mut socket = open(public).await;
    assert_echoes(&mut socket, "before").await;
    let mut idle = Client::to(public).await;
    idle.send("GET /_chp_healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    idle.until("\"OK\"}").await;

    // New connections all the time, some of which meet the very moment.
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let crowd = TaskTracker::new();
    let members: Vec<_> = (0..8)
        .map(|_| {
            let (done, asked) = (Arc::clone(&done), Arc::clone(&asked));
            crowd.spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let answer = process::ask(public, "GET", "/_chp_healthz", "", "").await;
                    assert_eq!(answer.status, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    let (old, before) = (pid(&program).await, program.api("GET", "/api/v2/routes", "").await);
    program.signal(Signal::USR2);
    successor(&mut program, old).await;
    let after_upgrade = asked.load(Ordering::Relaxed) + 200;
    soon(async {
        while asked.load(Ordering::Relaxed) < after_upgrade {
            assert!(members.iter().all(|member| !member.is_finished()), "a request was lost");
            tokio::task::yield_now().await;
        }
    })
    .await;
    done.store(true, Ordering::Relaxed);
    for member in members {
        soon(member).await.unwrap();
    }

    assert_eq!(program.api("GET", "/api/v2/routes", "").await.body, before.body, "Z-03");
    assert_echoes(&mut socket, "after").await;
    assert!(program.is_running(), "the old process, for its WebSocket");
    let status = program.status().await;
    let counts = (&status["websockets"], &status["websockets_ended"]);
    assert_eq!(counts, (&1.into(), &0.into()), "R-31 counts what the old process has");
    idle.send("GET /_chp_healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(idle.rest().await.contains("connection: close"), "one more, and the last");
    soon(socket.close(None)).await.unwrap();
    while soon(socket.next()).await.is_some() {}
    drop(socket);
    assert!(program.ended().await.success());
    assert_eq!(program.get("/_chp_healthz").await.status, 200);
    soon(async { while program.status().await["websockets_ended"] != 1 {} }).await;
    assert_eq!(program.status().await["websockets"], 0);
}

/// A server that takes any number of requests on a connection. The half of a `/held`
/// answer comes at once, the rest when it is said.
async fn pages(go_on: CancellationToken) -> SocketAddr {
    target(move |mut client| {
        let go_on = go_on.clone();
        async move {
            let mut byte = [0];
            while client.stream.peek(&mut byte).await.is_ok_and(|n| n > 0) {
                let head = client.head().await;
                if head.starts_with("put ") {
                    assert_eq!(client.take(8).await, b"whatever");
                }
                match head.contains("/held ") {
                    true => {
                        client.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nwhat").await;
                        go_on.cancelled().await;
                        client.send("ever").await;
                    }
                    false => client.send(OK).await,
                }
            }
        }
    })
    .await
}

/// Asks on connections of its own, over and over, as many times on each as it may.
async fn keep_asking(
    proxy: SocketAddr,
    most: usize,
    done: CancellationToken,
    asked: Arc<AtomicUsize>,
) {
    while !done.is_cancelled() {
        let mut client = Client::to(proxy).await;
        for _ in 0..most {
            client.send("GET /user/ada/x HTTP/1.1\r\nHost: h\r\n\r\n").await;
            let head = client.head().await;
            assert!(head.starts_with("http/1.1 200 "), "{head}");
            assert_eq!(client.take(2).await, b"ok");
            asked.fetch_add(1, Ordering::Relaxed);
            if head.contains("\r\nconnection: close\r\n") {
                break;
            }
        }
    }
}

#[tokio::test]
async fn z_01_no_new_connection_and_no_request_in_flight_fails_during_upgrades() {
    let mut program = Program::start(&[]).await;
    let (public, go_on) = (program.public, CancellationToken::new());
    program.route("/user/ada", pages(go_on.clone()).await).await;

    let (done, asked) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let crowd = TaskTracker::new();
    let members: Vec<_> = (0..64)
        .map(|at| {
            let most = if at % 2 == 0 { 1 } else { 100 };
            crowd.spawn(keep_asking(public, most, done.clone(), Arc::clone(&asked)))
        })
        .collect();
    let mut in_flight = Vec::new();
    for _ in 0..3 {
        for _ in 0..8 {
            let mut upload = Client::to(public).await;
            let head = "PUT /user/ada/x HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n";
            upload.send(format!("{head}what")).await;
            let mut download = Client::to(public).await;
            download.send("GET /user/ada/held HTTP/1.1\r\nHost: h\r\n\r\n").await;
            download.head().await;
            assert_eq!(download.take(4).await, b"what");
            in_flight.push((upload, download));
        }
        let old = pid(&program).await;
        send(old, Signal::USR2);
        successor(&mut program, old).await;
        let enough = asked.load(Ordering::Relaxed) + 500;
        soon(async {
            while asked.load(Ordering::Relaxed) < enough {
                assert!(members.iter().all(|member| !member.is_finished()), "one was lost");
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    go_on.cancel();
    for (mut upload, mut download) in in_flight {
        upload.send("ever").await;
        assert!(upload.head().await.starts_with("http/1.1 200 "));
        assert_eq!(upload.take(2).await, b"ok");
        assert_eq!(download.take(4).await, b"ever");
    }
    done.cancel();
    for member in members {
        soon(member).await.unwrap();
    }
    assert!(program.ended().await.success(), "nothing is left to the first process");
}

#[tokio::test]
async fn z_03_what_old_connections_do_counts_in_the_new_process() {
    let mut program = Program::start(&[]).await;
    let backend = echo().await;
    program.route("/user/ada", backend).await;
    let mut socket = open(program.public).await;
    let old = pid(&program).await;
    program.signal(Signal::USR2);
    let new = successor(&mut program, old).await;
    let last_activity = async || {
        let routes = program.routes().await;
        routes["/user/ada"]["last_activity"].as_str().unwrap().to_owned()
    };
    let before = last_activity().await;
    soon(async {
        loop {
            // Sent through the old process, seen in the new one.
            assert_echoes(&mut socket, "busy").await;
            if last_activity().await > before {
                break;
            }
        }
    })
    .await;
    assert_eq!(pid(&program).await, new);
}

#[tokio::test]
async fn z_04_a_program_that_does_not_start_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let replacement = dir.path().join("hub-proxy");
    let path = replacement.to_str().unwrap().to_owned();
    let mut program = Program::start(&["--upgrade-binary", &path]).await;
    program.route("/user/ada", nowhere().await).await;
    let old = pid(&program).await;
    for text in ["#!/bin/sh\nexit 3\n", "no program at all", ""] {
        install(text.as_bytes(), &replacement);
        program.signal(Signal::USR2);
        program.line("goes on").await;
        program.route("/user/bob", nowhere().await).await;
        assert_eq!(pid(&program).await, old, "{text}");
        assert_eq!(program.get("/_chp_healthz").await.status, 200, "{text}");
    }
}

#[tokio::test]
async fn z_05_z_06_two_upgrades_in_a_row_and_the_pid_file_follows() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let mut program = Program::start(&["--pid-file", pid_file.to_str().unwrap()]).await;
    let backend = echo().await;
    program.route("/user/ada", backend).await;
    let first = pid(&program).await;
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), first.to_string());
    let mut oldest = open(program.public).await;

    program.signal(Signal::USR2);
    let second = successor(&mut program, first).await;
    let mut middle = open(program.public).await;
    eventually(|| fs::read_to_string(&pid_file).unwrap() == second.to_string()).await;

    send(second, Signal::USR2);
    let third = successor(&mut program, second).await;
    eventually(|| fs::read_to_string(&pid_file).unwrap() == third.to_string()).await;
    let mut newest = open(program.public).await;
    for socket in [&mut oldest, &mut middle, &mut newest] {
        assert_echoes(socket, "still there").await;
    }
    assert_eq!(program.routes().await["/user/ada"]["user"], "ada");

    // Nothing is left to wait for in the third.
    drop(newest);
    send(third, Signal::TERM);
    eventually(|| !pid_file.exists()).await;
}

#[tokio::test]
async fn the_upgrade_socket_lets_a_process_take_over_that_was_started_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("upgrade");
    let socket = socket.to_str().unwrap();
    let mut old = Program::start(&["--upgrade-socket", socket]).await;
    old.route("/user/ada", nowhere().await).await;
    eventually(|| Path::new(socket).exists()).await;
    let args = ["--upgrade-socket", socket, "--upgrade-from", socket];
    let new = Program::start(&args).await;
    assert_eq!((new.public, new.api), (old.public, old.api), "the same sockets");
    assert!(old.ended().await.success());
    assert_eq!(new.routes().await["/user/ada"]["user"], "ada");
    assert_eq!(fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn nobody_to_take_over_from_is_an_error_that_says_so() {
    let (code, said) = process::refused(&["--upgrade-from", "/nowhere/socket"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("--upgrade-from /nowhere/socket: nobody to take over from"), "{said}");
}

#[tokio::test]
async fn as_init_the_old_process_passes_signals_on_and_ends_as_its_successor() {
    let mut program = Program::start(&["--stay-as-init"]).await;
    let first = pid(&program).await;
    program.signal(Signal::USR2);
    let second = successor(&mut program, first).await;
    program.line("").await;
    // To the first process again: the second has to hear of it.
    program.signal(Signal::USR2);
    let third = successor(&mut program, second).await;
    assert!(program.is_running());
    assert_eq!(pid(&program).await, third);
    program.signal(Signal::TERM);
    program.line("SIGTERM: draining").await;
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn as_init_a_successor_that_crashes_ends_the_old_process_too() {
    let mut program = Program::start(&["--stay-as-init"]).await;
    let first = pid(&program).await;
    program.signal(Signal::USR2);
    let second = successor(&mut program, first).await;
    send(second, Signal::KILL);
    assert_eq!(program.ended().await.code(), Some(128 + 9));
}

#[tokio::test]
async fn another_program_is_run_from_the_start_if_it_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let replacement = dir.path().join("hub-proxy");
    let started = async || {
        let args = ["--upgrade-binary", replacement.to_str().unwrap()];
        let program = Program::of(command(Path::new(PROGRAM), &args)).await;
        let exe = fs::read_link(format!("/proc/{}/exe", program.pid())).unwrap();
        exe == replacement
    };
    assert!(!started().await, "it is not there");
    let mut program = fs::read(PROGRAM).unwrap();
    install(&program, &replacement);
    assert!(!started().await, "it is the same");
    program.extend(b"another build");
    install(&program, &replacement);
    assert!(started().await, "it is another");
    install(&program[..64 * 1024], &replacement);
    assert!(!started().await, "it is the beginning of one");
}

/// Puts a program in place in one step: a running one cannot be written to.
fn install(bytes: &[u8], path: &Path) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

/// Signals a process that is not our child.
fn send(pid: u64, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Waits until something has become true.
async fn eventually(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
