//! The access log, and the ids of requests (G-06).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use http2::Tls;
use hub_proxy::{AccessEntries, AccessLog, Meter, Meters, ProxyConfig, TrustForwarded};
use process::{PROGRAM, Program, ask, command, refused};
use rustix::process::Signal;
use serde_json::Value;
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const HANDSHAKE: &str = "GET /user/ada/ws?token=secret HTTP/1.1\r\nHost: h\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// A proxy in this process with an access log.
async fn logging(target: SocketAddr, trusted: TrustForwarded) -> (Running, AccessEntries) {
    let (log, entries) = AccessLog::with_room_for(100, None);
    let mut config = ProxyConfig::default();
    config.access_log = Some(log);
    config.trusted_proxies = trusted;
    (Running::with(target, config).await, entries)
}

/// A field of a head in lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A directory with a log in it.
struct Log(tempfile::TempDir);

impl Log {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("access.log")
    }

    fn becomes_a_fifo(&self) {
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, self.path(), fifo, mode, 0).unwrap();
    }

    fn flag(&self) -> String {
        format!("--access-log={}", self.path().display())
    }

    /// The lines of a file, once there are so many.
    async fn lines_of(path: &Path, count: usize) -> Vec<String> {
        soon(async {
            loop {
                let text = fs::read_to_string(path).unwrap_or_default();
                if text.lines().count() >= count && text.ends_with('\n') {
                    return text.lines().map(str::to_owned).collect();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    async fn lines(&self, count: usize) -> Vec<String> {
        Self::lines_of(&self.path(), count).await
    }
}

#[tokio::test]
async fn g_05_g_06_a_request_that_is_over_is_one_line() {
    let (target, _heads) = answering(ONCE).await;
    let log = Log::new();
    let args = [&*log.flag(), "--default-target", &format!("http://{target}/?token=of-target")];
    let program = Program::start(&args).await;
    let fields = "Cookie: session=of-cookie\r\nAuthorization: token of-field\r\n";
    let answer = ask(program.public, "GET", "/user/ada/lab?token=of-query", fields, "").await;
    assert_eq!(answer.body, "ok");
    let id = field(&answer.head, "x-request-id").unwrap().to_owned();
    let lines = log.lines(1).await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let (before, behind) = line.split_once(" +0000] ").unwrap();
    assert!(before.starts_with("127.0.0.1 - - ["), "{line}");
    let (asked, behind) = behind.split_at(behind.rfind("\"-\" \"-\" ").unwrap());
    assert_eq!(asked, "\"GET /user/ada/lab HTTP/1.1\" 200 2 ");
    let last: Vec<&str> = behind.split(' ').skip(2).collect();
    assert!(last[0].parse::<f64>().is_ok(), "{line}");
    assert_eq!(last[1..], [&*format!("http://{target}/"), &*id]);
    assert!(!line.contains("of-"), "{line}");
    assert_eq!(ask(program.public, "GET", "/_chp_healthz", "", "").await.status, 200);
    assert_eq!(ask(program.public, "TRACE", "/", "", "").await.status, 405);
    let lines = log.lines(2).await;
    assert!(lines[1].contains("\"TRACE / HTTP/1.1\" 405 0 "), "no line for the health: {lines:?}");
}

#[tokio::test]
async fn g_06_lines_are_objects_beside_those_of_the_log() {
    let mut command = command(Path::new(PROGRAM), &["--access-log", "--log-format", "json"]);
    command.args(["--default-target", &format!("http://{}", nowhere().await)]);
    let mut program = Program::of(command).await;
    let answer = ask(program.public, "POST", "/x", "X-Request-ID: of.ours-1\r\n", "hi").await;
    assert_eq!(answer.status, 503);
    assert_eq!(field(&answer.head, "x-request-id"), Some("of.ours-1"), "{}", answer.head);
    let said = program.last_words().await;
    let lines: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let line = lines.iter().find(|line| line["log"] == "access").unwrap();
    assert_eq!(line["http.ip"], "127.0.0.1");
    assert_eq!((&line["http.method"], &line["http.path"]), (&"POST".into(), &"/x".into()));
    assert_eq!((&line["http.protocol"], &line["http.status"]), (&"HTTP/1.1".into(), &503.into()));
    assert_eq!(line["http.bytes_out"], answer.body.len());
    assert!(line["http.ms"].is_number() && line["timestamp"].is_string(), "{line}");
    assert_eq!(line["request_id"], "of.ours-1");
    let error = lines.iter().find(|line| line["message"] == "a target failed").unwrap();
    assert_eq!(error["request_id"], "of.ours-1", "the error can be found by it: {error}");
}

#[tokio::test]
async fn g_06_the_file_is_opened_again_when_it_was_moved() {
    let (target, _heads) = answering(ONCE).await;
    let log = Log::new();
    let args = [&*log.flag(), "--default-target", &format!("http://{target}")];
    let mut program = Program::start(&args).await;
    program.get("/before").await;
    log.lines(1).await;
    let old = log.0.path().join("access.log.1");
    fs::rename(log.path(), &old).unwrap();
    program.get("/meanwhile").await;
    Log::lines_of(&old, 2).await;
    program.signal(Signal::HUP);
    program.line("The access log was opened again").await;
    program.get("/after").await;
    let lines = log.lines(1).await;
    assert!(lines.len() == 1 && lines[0].contains("/after"), "{lines:?}");
    assert_eq!(Log::lines_of(&old, 2).await.len(), 2);

    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
    let (code, said) = refused(&["--access-log=/none/such/x"]).await;
    assert!(code == 1 && said.contains("--access-log /none/such/x: cannot be written"), "{said}");
}

#[tokio::test]
async fn g_06_what_is_open_at_the_end_has_its_line() {
    let target = target(|mut client| async move {
        client.head().await;
        client.send(SWITCHED).await;
        client.gone().await;
    })
    .await;
    let log = Log::new();
    let to = format!("http://{target}");
    let args = [&*log.flag(), "--drain-timeout", "0", "--default-target", &to];
    let mut program = Program::start(&args).await;
    let mut socket = Client::to(program.public).await;
    socket.send(HANDSHAKE).await;
    socket.head().await;
    assert!(!log.path().exists() || fs::read(log.path()).unwrap().is_empty(), "it is not over");
    program.signal(Signal::TERM);
    program.ended().await;
    let lines = log.lines(1).await;
    assert!(lines[0].contains("\"GET /user/ada/ws HTTP/1.1\" 101 0 "), "{lines:?}");
}

#[tokio::test]
async fn g_06_nobody_waits_for_a_log_that_nobody_reads() {
    let (target, _heads) = answering(ONCE).await;
    let log = Log::new();
    // As a pipe whose reader has gone to sleep.
    log.becomes_a_fifo();
    let reader = fs::File::options().read(true).write(true).open(log.path()).unwrap();
    let to = format!("http://{target}");
    let args =
        [&*log.flag(), "--default-target", &to, "--metrics-ip", "127.0.0.1", "--metrics-port", "0"];
    let mut program = Program::start(&args).await;
    let line = program.line("Metrics at http://").await;
    let at = line.split("http://").nth(1).unwrap().trim_end_matches("/metrics").to_owned();
    let at: SocketAddr = at.parse().unwrap();
    // Refused by the proxy itself, many on one connection: the pipe takes 64 KiB, the queue
    // a few thousand.
    let long = "x".repeat(1500);
    let mut client = Client::to(program.public).await;
    let asked = format!("GET /%zz{long} HTTP/1.1\r\nHost: h\r\n\r\n");
    soon(async {
        loop {
            for _ in 0..200 {
                client.send(&asked).await;
                let head = client.head().await;
                let len = field(&head, "content-length").unwrap().parse().unwrap();
                client.take(len).await;
            }
            let page = ask(at, "GET", "/metrics", "", "").await.body;
            let lost = page.lines().find_map(|line| {
                line.strip_prefix("hub_proxy_access_log_lost_total ")?.parse::<u64>().ok()
            });
            if lost.unwrap() > 0 {
                return;
            }
        }
    })
    .await;
    assert_eq!(program.get("/user/ada").await.body, "ok", "others go on");
    let said = program.last_words().await;
    assert_eq!(said.matches("the access log is not written as fast").count(), 1, "{said}");
    assert!(program.ended().await.success(), "not at the end either");
    drop(reader);
}

#[tokio::test]
async fn g_06_a_fifo_without_a_reader_is_told_at_the_start() {
    let log = Log::new();
    log.becomes_a_fifo();
    let (code, said) = process::refused(&[&log.flag()]).await;
    assert!(code == 1 && said.contains("--access-log") && said.contains("nobody reads"), "{said}");
}

#[tokio::test]
async fn g_06_p_018_a_custom_id_of_requests_is_what_targets_see() {
    let (target, mut heads) = answering(ONCE).await;
    let (log, to) = (Log::new(), format!("http://{target}"));
    let args = [&*log.flag(), "--default-target", &to, "--custom-header", "X-Request-ID: ours"];
    let program = Program::start(&args).await;
    // What a client says about its own fields takes nothing away from that either.
    for connection in ["close", "Upgrade, X-Request-ID\r\nUpgrade: websocket"] {
        let mut client = Client::to(program.public).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n\r\n")).await;
        let head = soon(heads.recv()).await.unwrap();
        assert_eq!(field(&head, "x-request-id"), Some("ours"), "{head}");
    }
}

#[tokio::test]
async fn g_06_without_the_flag_a_target_sees_what_it_saw() {
    let (target, mut heads) = answering(ONCE).await;
    let proxy = Running::to(target).await;
    let asked =
        "GET /user/ada/ HTTP/1.1\r\nHost: h\r\nX-Request-ID: a b\r\nConnection: close\r\n\r\n";
    let answer = proxy.ask(asked).await;
    assert!(!answer.to_lowercase().contains("x-request-id"), "{answer}");
    let head = soon(heads.recv()).await.unwrap();
    assert_eq!(field(&head, "x-request-id"), Some("a b"), "as it was");
    proxy.ask(&get("/user/ada/")).await;
    let head = soon(heads.recv()).await.unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines.sort_unstable();
    let expected = [
        "get /user/ada/ http/1.1",
        "host: hub.example",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: hub.example",
        "x-forwarded-port: 80",
        "x-forwarded-proto: http",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn g_06_the_id_of_a_client_that_is_believed_goes_all_the_way() {
    let (target, mut heads) = answering(ONCE).await;
    let (proxy, mut entries) = logging(target, TrustForwarded::Everyone).await;
    let asked = |more: &str| {
        format!("GET /user/ada/?a HTTP/1.1\r\nHost: h\r\n{more}Connection: close\r\n\r\n")
    };
    let answer = proxy.ask(&asked("X-Request-ID: abc-1\r\nConnection: x-request-id\r\n")).await;
    assert_eq!(field(&answer.to_lowercase(), "x-request-id"), Some("abc-1"));
    let head = soon(heads.recv()).await.unwrap();
    assert_eq!(field(&head, "x-request-id"), Some("abc-1"), "{head}");
    let entry = soon(entries.next()).await.unwrap();
    assert_eq!((&*entry.request_id, &*entry.path), ("abc-1", "/user/ada/"));

    // One that may not stand in a log, and two that contradict each other.
    for odd in ["X-Request-ID: a b\r\n", "X-Request-ID: a\r\nX-Request-ID: b\r\n", ""] {
        proxy.ask(&asked(odd)).await;
        let head = soon(heads.recv()).await.unwrap();
        let entry = soon(entries.next()).await.unwrap();
        assert_eq!(head.matches("x-request-id").count(), 1, "{head}");
        assert_eq!(field(&head, "x-request-id"), Some(&*entry.request_id));
        assert_eq!(entry.request_id.len(), 32, "one of ours");
    }

    let (target, mut heads) = answering(ONCE).await;
    let (proxy, mut entries) = logging(target, TrustForwarded::Nobody).await;
    proxy.ask(&asked("X-Request-ID: abc-1\r\n")).await;
    let (head, entry) = (soon(heads.recv()).await.unwrap(), soon(entries.next()).await.unwrap());
    assert_eq!(field(&head, "x-request-id"), Some(&*entry.request_id), "nobody is believed");
    assert_eq!(entry.request_id.len(), 32);
}

#[tokio::test]
async fn g_06_an_answer_that_has_an_id_keeps_it() {
    let answer = "HTTP/1.1 200 OK\r\nX-Request-ID: of-target\r\nContent-Length: 0\r\n\r\n";
    let (target, _heads) = answering(answer).await;
    let (proxy, _entries) = logging(target, TrustForwarded::Nobody).await;
    let answer = proxy.ask(&get("/user/ada/")).await.to_lowercase();
    assert_eq!(answer.matches("x-request-id").count(), 1, "{answer}");
    assert_eq!(field(&answer, "x-request-id"), Some("of-target"));
}

#[tokio::test]
async fn g_06_pages_of_the_fallback_have_lines_without_a_target() {
    let (proxy, mut entries) = logging(nowhere().await, TrustForwarded::Nobody).await;
    let page = proxy.ask(&get("/hub/")).await;
    let entry = soon(entries.next()).await.unwrap();
    assert_eq!((entry.status.unwrap().as_u16(), entry.target.is_none()), (200, true));
    assert_eq!(entry.bytes_out, page.split_once("\r\n\r\n").unwrap().1.len() as u64);
    assert_eq!(entry.client, Some([127, 0, 0, 1].into()));
    proxy.ask(&get("/user/ada/")).await;
    let entry = soon(entries.next()).await.unwrap();
    assert_eq!((entry.status.unwrap().as_u16(), entry.target.is_none()), (503, false));
}

#[tokio::test]
async fn g_06_a_client_that_leaves_before_its_answer_has_a_line_without_a_status() {
    let target = target(|mut client| async move {
        client.head().await;
        client.gone().await;
    })
    .await;
    let (proxy, mut entries) = logging(target, TrustForwarded::Nobody).await;
    let mut client = proxy.connect().await;
    client.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    drop(client);
    let entry = soon(entries.next()).await.unwrap();
    assert_eq!((entry.status, entry.bytes_out), (None, 0));
}

#[tokio::test]
async fn g_06_a_tunnel_has_one_line_at_its_end() {
    let target = target(|mut client| async move {
        let head = client.head().await;
        assert!(field(&head, "x-request-id").is_some(), "{head}");
        client.send(SWITCHED).await;
        let mut five = [0; 5];
        client.stream.read_exact(&mut five).await.unwrap();
        client.send("hello you").await;
        client.gone().await;
    })
    .await;
    let (proxy, mut entries) = logging(target, TrustForwarded::Nobody).await;
    let mut socket = proxy.connect().await;
    socket.send(HANDSHAKE).await;
    let head = socket.head().await;
    socket.send("hello").await;
    assert_eq!(socket.take(9).await, b"hello you");
    assert!(entries.try_next().is_none(), "it is not over");
    drop(socket);
    let entry = soon(entries.next()).await.unwrap();
    assert_eq!((entry.status.unwrap().as_u16(), entry.bytes_out), (101, 9));
    assert_eq!((&*entry.method, &*entry.path), ("GET", "/user/ada/ws"));
    assert_eq!(field(&head, "x-request-id"), Some(&*entry.request_id));
    assert!(entries.try_next().is_none(), "one");
}

#[tokio::test]
async fn g_06_requests_and_tunnels_over_http2_have_lines() {
    let target = target(|mut client| async move {
        if client.ahead.is_empty() {
            client.stream.readable().await.unwrap();
        }
        let mut first = [0; 64];
        let read = client.stream.peek(&mut first).await.unwrap();
        if String::from_utf8_lossy(&first[..read]).contains("/ws") {
            let socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
            let mut stream: TcpStream = socket.into_inner();
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
        } else {
            client.head().await;
            client.send(ONCE).await;
        }
    })
    .await;
    let (log, mut entries) = AccessLog::with_room_for(100, Some(Meters::default()));
    let (mut config, mut listen, tls) = (ProxyConfig::default(), listen(), Tls::new());
    config.access_log = Some(log);
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    let proxy = Running::listening(target, config, listen, Duration::ZERO).await;
    let mut sender = tls.open(proxy.addr).await;
    let request = http::Request::get("https://hub.example/user/ada/x?token=secret");
    let answer = soon(sender.send_request(request.body(Full::default()).unwrap())).await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
    let entry = soon(entries.next()).await.unwrap();
    assert_eq!((&*entry.path, entry.bytes_out, entry.request_id), ("/user/ada/x", 2, id));
    assert_eq!(entry.version, http::Version::HTTP_2);

    let mut raw = tls.raw(proxy.addr).await;
    let handshake = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "hub.example"),
        (":path", "/user/ada/ws"),
        ("sec-websocket-version", "13"),
    ];
    raw.upload(1, &handshake).await;
    let answer = raw.next_of(&[http2::HEADERS, http2::RST_STREAM]).await.unwrap();
    assert_eq!(answer.kind, http2::HEADERS, "{answer:?}");
    raw.data(1, b"").await;
    let entry = soon(entries.next()).await.unwrap();
    assert_eq!((&*entry.method, entry.status.unwrap().as_u16()), ("CONNECT", 200));
    assert_eq!(entry.bytes_out, 5);
}

#[tokio::test]
async fn g_06_a_full_queue_costs_lines_and_no_answers() {
    let (target, _heads) = answering(ONCE).await;
    let meters = Meters::default();
    let (log, mut entries) = AccessLog::with_room_for(1, Some(meters.clone()));
    let mut config = ProxyConfig::default();
    config.access_log = Some(log);
    let proxy = Running::with(target, config).await;
    for _ in 0..3 {
        assert!(proxy.ask(&get("/user/ada/")).await.ends_with("ok"));
    }
    soon(async {
        while meters.get(Meter::LostAccessEntries) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(entries.try_next().is_some() && entries.try_next().is_none());
}
