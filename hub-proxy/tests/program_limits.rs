//! What a process does at the limits of its host, and what it leaves behind.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use process::{PROGRAM, Program, command};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    process::Command,
    time::timeout,
};
use tokio_util::task::TaskTracker;

const HANDSHAKE: &str = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\n\r\n";

/// The program under another limit of open files, soft and hard.
fn limited(soft: u32, hard: u32) -> Command {
    let shell = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$0\" \"$@\"");
    let plain = command(Path::new(PROGRAM), &[]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", &shell, PROGRAM])
        .args(plain.as_std().get_args())
        .env("CONFIGPROXY_AUTH_TOKEN", "s3cret")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    limited
}

/// A number in a file about the process.
fn of_process(program: &Program, file: &str, name: &str, column: usize) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/{file}", program.pid())).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line[name.len()..].split_whitespace().nth(column).unwrap().parse().unwrap()
}

fn open_files(program: &Program) -> usize {
    fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap().count()
}

/// Serves both kinds of requests, on connections of any length.
async fn serving() -> SocketAddr {
    target(|mut client| async move {
        let mut byte = [0];
        while client.stream.peek(&mut byte).await.is_ok_and(|n| n > 0) {
            if client.head().await.contains("upgrade: websocket") {
                client
                    .send(
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                         Connection: Upgrade\r\n\r\n",
                    )
                    .await;
                if client.try_take(4).await.is_some_and(|said| said == b"echo") {
                    client.send("echo").await;
                }
                return;
            }
            client.send(OK).await;
        }
    })
    .await
}

#[tokio::test]
async fn l_01_the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let program = Program::of(limited(200, 900)).await;
    assert_eq!(of_process(&program, "limits", "Max open files", 0), 900);
}

#[tokio::test]
async fn l_02_l_04_at_the_limit_of_clients_the_api_still_answers() {
    // (100 - 64) / 2 clients.
    let program = Program::of(limited(100, 100)).await;
    let mut clients = Vec::new();
    for _ in 0..18 {
        let mut client = Client::to(program.public).await;
        client.send("GET /_chp_healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(client.head().await.starts_with("http/1.1 200 "));
        clients.push(client);
    }
    assert_eq!(program.get("/_chp_healthz").await.status, 503);
    // Whoever was turned away counts until the farewell is over.
    soon(async { while program.status().await["connections"] != 18 {} }).await;
    drop(clients);
    soon(async { while program.get("/_chp_healthz").await.status != 200 {} }).await;
}

/// Lets `count` clients ask for this path at once, on connections that stay.
async fn crowd(program: &Program, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(Client::to(program.public).await);
    }
    clients
}

/// Each asks, before any has its answer.
async fn ask_at_once(clients: &mut [Client], path: &str) {
    for client in &mut *clients {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    }
    for client in clients {
        assert!(client.head().await.starts_with("http/1.1 200 "), "{path}");
        client.take(2).await;
    }
}

#[tokio::test]
async fn l_02_l_04_connections_kept_for_targets_leave_room_for_clients_and_the_api() {
    let program = Program::of(limited(100, 100)).await;
    let mut clients = crowd(&program, 17).await;
    // With a connection to each target for each client, it would be 17 and 136.
    for user in 0..8 {
        let path = format!("/user/{user}");
        program.route(&path, serving().await).await;
        ask_at_once(&mut clients, &path).await;
        assert_eq!(program.get("/_chp_healthz").await.status, 200);
    }
}

#[tokio::test]
async fn l_03_l_04_kept_connections_are_let_go_when_there_are_no_descriptors_left() {
    let target = format!("http://{}", serving().await);
    let program = Program::start(&["--default-target", &target]).await;
    let mut socket = Client::to(program.public).await;
    let mut clients = crowd(&program, 30).await;
    let process = Pid::from_raw(program.pid());
    let had = getrlimit(Resource::Nofile);
    // The limit is one of numbers: nothing fits below the first that is free.
    let no_more = || {
        let is_taken = |number: &u64| {
            fs::symlink_metadata(format!("/proc/{}/fd/{number}", program.pid())).is_ok()
        };
        let current = Some((0..).find(|number| !is_taken(number)).unwrap());
        prlimit(process, Resource::Nofile, Rlimit { current, ..had }).unwrap();
    };
    ask_at_once(&mut clients, "/a").await;
    let full = open_files(&program);
    no_more();
    // A WebSocket has a connection of its own.
    socket.send(HANDSHAKE).await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    assert!(open_files(&program) + 20 < full, "{} of {full}", open_files(&program));
    prlimit(process, Resource::Nofile, had).unwrap();

    ask_at_once(&mut clients, "/a").await;
    no_more();
    // So has whoever keeps the routes.
    assert_eq!(program.status().await["routes"], 1);
}

#[tokio::test]
async fn l_05_one_address_has_a_limit_of_its_own() {
    let program = Program::start(&["--max-connections-per-address", "2"]).await;
    let held = [served(&program, 1).await, served(&program, 1).await];
    // Unasked: what is sent could meet a closed socket, which takes the answer.
    let refused = from(&program, 1).await.rest().await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("Retry-After: 1\r\n"), "{refused}");
    drop(served(&program, 2).await);
    soon(async { while program.status().await["connections"] != 2 {} }).await;
    drop(held);
    soon(async { while program.status().await["connections"] != 0 {} }).await;
    served(&program, 1).await;
}

#[tokio::test]
async fn l_05_the_connections_of_trusted_proxies_are_not_counted() {
    let args = ["--max-connections-per-address=1", "--trusted-proxies=127.0.0.1"];
    let program = Program::start(&args).await;
    let _proxy = [served(&program, 1).await, served(&program, 1).await];
    let _client = served(&program, 2).await;
    let refused = from(&program, 2).await.rest().await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
}

/// A client at 127.0.0.`host` that has got an answer and stays.
async fn served(program: &Program, host: u8) -> Client {
    let mut client = from(program, host).await;
    client.send("GET /_chp_healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
    client
}

/// A client at 127.0.0.`host`.
async fn from(program: &Program, host: u8) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    Client::over(soon(socket.connect(program.public)).await.unwrap())
}

#[tokio::test]
async fn l_03_without_file_descriptors_accepting_pauses_and_goes_on() {
    let mut program = Program::start(&[]).await;
    let process = Pid::from_raw(program.pid());
    let had = getrlimit(Resource::Nofile);
    // Fewer than it has open already. The kernel takes the connection all the same.
    prlimit(process, Resource::Nofile, Rlimit { current: Some(5), ..had }).unwrap();
    let mut waiting = Client::to(program.public).await;
    waiting.send(get("/_chp_healthz")).await;
    program.line("cannot accept a connection").await;
    assert!(program.is_running());
    prlimit(process, Resource::Nofile, had).unwrap();
    assert!(waiting.rest().await.starts_with("HTTP/1.1 200 "), "it only had to wait");
}

#[tokio::test]
async fn l_07_thousands_who_dawdle_over_a_head_are_cut_and_hold_up_nobody() {
    let had = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: had.maximum, ..had }).unwrap();
    let program = Program::start(&["--header-timeout", "4000"]).await;
    program.route("/user/ada", serving().await).await;
    // As many as the rule speaks of, if there is room for them and for others.
    let files = had.maximum.map_or(usize::MAX, |files| usize::try_from(files).unwrap());
    let crowd = ((files - 64) / 2 - 50).min(5000);
    let tasks = TaskTracker::new();
    for _ in 0..crowd {
        let mut client = Client::to(program.public).await;
        tasks.spawn(async move {
            let pause = Duration::from_millis(500);
            for byte in b"GET /user/ada/x HTTP/1.1\r\nHost: h\r\nX: ".iter().cycle() {
                if client.stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                match timeout(pause, client.stream.read(&mut [0])).await {
                    Err(_) => {}
                    Ok(ended) => return assert!(!matches!(ended, Ok(1..)), "there is no answer"),
                }
            }
        });
        if tasks.len().is_multiple_of(100) {
            assert_eq!(program.get("/user/ada/x").await.status, 200);
        }
    }
    tasks.close();
    soon(async {
        while !tasks.is_empty() {
            assert_eq!(program.get("/user/ada/x").await.status, 200);
        }
    })
    .await;
    soon(async { while program.status().await["connections"] != 0 {} }).await;
}

#[tokio::test]
async fn l_10_ws_12_after_work_everything_is_given_back() {
    is_given_back(2_000, 400).await;
}

#[tokio::test]
#[ignore = "takes minutes: cargo xtask test"]
async fn l_10_ws_12_after_very_much_work_everything_is_given_back() {
    is_given_back(100_000, 10_000).await;
}

/// Does that many requests and WebSockets, which end in every way, and compares
/// files and memory with those after a little work.
async fn is_given_back(requests: usize, sockets: usize) {
    let program = Program::start(&[]).await;
    program.route("/user/ada", serving().await).await;
    let round = async |requests: usize, sockets: usize| {
        // Closed at its end: only then is nothing open.
        let connections = requests.div_ceil(50);
        for _ in 0..connections {
            let mut client = Client::to(program.public).await;
            for _ in 0..50 {
                client.send("GET /user/ada/x HTTP/1.1\r\nHost: h\r\n\r\n").await;
                assert!(client.head().await.starts_with("http/1.1 200 "));
                client.take(2).await;
            }
        }
        for socket in 0..sockets {
            let mut client = Client::to(program.public).await;
            client.send(HANDSHAKE).await;
            match socket % 4 {
                // Before the answer.
                0 => {}
                // After it, with unread data or by a reset.
                1 => drop(client.head().await),
                2 => {
                    client.head().await;
                    client.stream.set_zero_linger().unwrap();
                }
                // By the target.
                _ => {
                    client.head().await;
                    client.send("echo").await;
                    assert_eq!(client.rest().await, "echo");
                }
            }
        }
        soon(async {
            loop {
                let status = program.status().await;
                if status["connections"] == 0 && status["websockets"] == 0 {
                    break;
                }
            }
        })
        .await;
    };
    // What the first work leaves, such as a pooled connection, is no leak.
    round(200, 40).await;
    let (files, memory) = (open_files(&program), of_process(&program, "status", "VmRSS:", 0));
    round(requests, sockets).await;
    soon(async {
        while open_files(&program) > files + 4 {
            program.status().await;
        }
    })
    .await;
    let after = of_process(&program, "status", "VmRSS:", 0);
    assert!(after < memory + 16 * 1024, "{memory} kB became {after} kB");
}

#[tokio::test]
async fn t_01_t_03_deadlines_can_be_chosen() {
    let short = ["--header-timeout", "100", "--upload-timeout", "100", "--upgrade-timeout", "100"];
    let program = Program::start(&short).await;
    let silent = target(|mut client| async move { client.gone().await }).await;
    program.route("/user/ada", silent).await;

    let mut dawdling = Client::to(program.public).await;
    dawdling.send("GET /user/ada/ HTTP/1.1\r\nHost:").await;
    assert_eq!(dawdling.try_rest().await.unwrap_or_default(), b"", "no request, no answer");

    let mut uploading = Client::to(program.public).await;
    uploading.send("PUT /user/ada/ HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1").await;
    uploading.gone().await;

    let mut waiting = Client::to(program.public).await;
    waiting.send(HANDSHAKE).await;
    assert!(waiting.head().await.starts_with("http/1.1 503 "));
}

#[tokio::test]
async fn k_06_m_06_the_program_waits_for_a_server_that_is_just_starting() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let target = socket.local_addr().unwrap();
    let metrics = ["--metrics-ip", "127.0.0.1", "--metrics-port", "0"];
    let mut program =
        Program::start(&[&["--connect-retry-ms", "3600000"], &metrics[..]].concat()).await;
    let line = program.line("Metrics at http://").await;
    let at = line.split("http://").nth(1).unwrap().trim_end_matches("/metrics").parse().unwrap();
    program.route("/user/ada", target).await;
    let mut client = Client::to(program.public).await;
    client.send(get("/user/ada/")).await;
    soon(async {
        loop {
            let page = process::ask(at, "GET", "/metrics", "", "").await.body;
            let name = "\nhub_proxy_upstream_connect_retries_total ";
            let (_, count) = page.split_once(name).unwrap();
            if !count.starts_with("0\n") {
                return;
            }
        }
    })
    .await;
    let listener = socket.listen(16).unwrap();
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let mut served = Client::over(stream);
    served.head().await;
    served.send(ONCE).await;
    assert!(client.rest().await.ends_with("ok"));
}

#[tokio::test]
async fn ws_10_the_program_closes_silent_websockets_where_that_is_wanted() {
    let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\n\r\n";
    let (silent, _heads) = answering(switched).await;
    let program = Program::start(&["--ws-idle-timeout", "1"]).await;
    program.route("/user/ada", silent).await;
    let mut socket = Client::to(program.public).await;
    socket.send(HANDSHAKE).await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    assert_eq!(socket.try_rest().await.unwrap(), b"");
}
