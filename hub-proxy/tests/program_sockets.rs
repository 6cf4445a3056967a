//! The program where it listens: at names, and at Unix sockets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use futures_util::{SinkExt, StreamExt};
use process::{Answer, PROGRAM, Program, ask_over, command_anywhere, outcome};
use rustix::process::Signal;
use serde_json::Value;
use support::*;
use tokio::{net::UnixStream, process::Command};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

const TOKEN: &str = "Authorization: token s3cret\r\n";

/// A directory with the sockets of a program.
struct Sockets(tempfile::TempDir);

impl Sockets {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program at `public` and `api` of this directory.
    fn command(&self, more: &[&str]) -> Command {
        let (public, api) = (self.path("public"), self.path("api"));
        let places = ["--socket", public.to_str().unwrap(), "--api-socket", api.to_str().unwrap()];
        command_anywhere(Path::new(PROGRAM), &[&places, more].concat())
    }

    async fn ask(&self, name: &str, method: &str, path: &str, body: &str) -> Answer {
        let stream = soon(UnixStream::connect(self.path(name))).await.unwrap();
        ask_over(Client::over(stream), method, path, TOKEN, body).await
    }

    async fn routes(&self) -> Value {
        serde_json::from_str(&self.ask("api", "GET", "/api/routes", "").await.body).unwrap()
    }

    async fn pid(&self) -> u64 {
        let status = self.ask("api", "GET", "/api/v2/status", "").await.body;
        serde_json::from_str::<Value>(&status).unwrap()["pid"].as_u64().unwrap()
    }

    async fn open(&self) -> WebSocketStream<UnixStream> {
        let stream = soon(UnixStream::connect(self.path("public"))).await.unwrap();
        let request = "ws://h/user/ada/ws".into_client_request().unwrap();
        soon(client_async(request, stream)).await.unwrap().0
    }

    /// Routes `/user/ada` to a server that echoes the messages of WebSockets.
    async fn route_to_echo(&self) {
        let backend = target(|client| async move {
            let mut socket = tokio_tungstenite::accept_async(client.stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    socket.send(message).await.unwrap();
                }
            }
        })
        .await;
        let body = format!(r#"{{"target": "http://{backend}"}}"#);
        assert_eq!(self.ask("api", "POST", "/api/routes/user/ada", &body).await.status, 201);
    }
}

async fn assert_echoes(socket: &mut WebSocketStream<UnixStream>, text: &str) {
    soon(socket.send(Message::text(text))).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text(text));
}

#[tokio::test]
async fn p_056_the_program_serves_at_unix_sockets_and_removes_them() {
    let sockets = Sockets::new();
    let metrics = sockets.path("metrics");
    let more = ["--metrics-socket", metrics.to_str().unwrap()];
    let mut program = Program::of(sockets.command(&more)).await;
    let said = program.beginning.join("\n");
    let public = sockets.path("public").display().to_string();
    assert!(said.contains(&format!("info: Proxying http://{public} to (no default)")), "{said}");
    let api = sockets.path("api").display().to_string();
    assert!(said.contains(&format!("info: Proxy API at http://{api}/api/routes")), "{said}");

    let (backend, mut heads) = answering(ONCE).await;
    let body = format!(r#"{{"target": "http://{backend}"}}"#);
    assert_eq!(sockets.ask("api", "POST", "/api/routes/user/ada", &body).await.status, 201);
    let added = sockets.routes().await["/user/ada"]["last_activity"].clone();
    // Activity has milliseconds.
    soon(async {
        while sockets.routes().await["/user/ada"]["last_activity"] == added {
            assert_eq!(sockets.ask("public", "GET", "/user/ada/x", "").await.body, "ok");
        }
    })
    .await;
    let head = soon(heads.recv()).await.unwrap();
    assert!(
        !head.contains("x-forwarded-for") && head.contains("x-forwarded-host: h\r\n"),
        "{head}"
    );
    let numbers = sockets.ask("metrics", "GET", "/metrics", "").await;
    assert!(numbers.body.contains("hub_proxy_routes 1"), "{numbers:?}");

    program.signal(Signal::TERM);
    assert_eq!(program.ended().await.code(), Some(0));
    assert_eq!(fs::read_dir(sockets.0.path()).unwrap().count(), 0, "nothing is left");
}

#[tokio::test]
async fn p_057_the_program_passes_websockets_from_a_unix_socket() {
    let sockets = Sockets::new();
    let _program = Program::of(sockets.command(&[])).await;
    sockets.route_to_echo().await;
    assert_echoes(&mut sockets.open().await, "hello").await;
}

#[tokio::test]
async fn the_api_alone_can_be_at_a_unix_socket() {
    let sockets = Sockets::new();
    let api = sockets.path("api");
    let args = ["--ip", "127.0.0.1", "--port", "0", "--api-socket", api.to_str().unwrap()];
    let program = Program::of(command_anywhere(Path::new(PROGRAM), &args)).await;
    let (backend, _heads) = answering(ONCE).await;
    let body = format!(r#"{{"target": "http://{backend}"}}"#);
    assert_eq!(sockets.ask("api", "POST", "/api/routes/user/ada", &body).await.status, 201);
    assert_eq!(program.get("/user/ada").await.body, "ok");
}

#[tokio::test]
async fn p_052_r_31_the_program_asks_another_one_at_unix_sockets() {
    let sockets = Sockets::new();
    let _program = Program::of(sockets.command(&[])).await;
    let run = async |args: &[&str]| {
        let output = soon(command_anywhere(Path::new(PROGRAM), args).output()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (public, api) = (sockets.path("public"), sockets.path("api"));
    let (public, api) = (public.to_str().unwrap(), api.to_str().unwrap());
    let well = run(&["healthcheck", "--socket", public]).await;
    assert_eq!(well, (0, String::new(), String::new()));
    let (code, _, said) = run(&["healthcheck", "--socket", public, "--url", "http://h/x"]).await;
    assert!(code == 1 && said.contains(&format!("http://h/x at {public}: the answer is 404")));
    let nobody = sockets.path("nobody").display().to_string();
    let (code, _, said) = run(&["healthcheck", "--socket", &nobody]).await;
    assert!(code == 1 && said.contains(&nobody), "{said}");

    let (code, report, said) = run(&["status", "--api-socket", api]).await;
    assert_eq!(code, 0, "{said}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["pid"].as_u64().unwrap(), sockets.pid().await, "{report}");
    let (code, _, said) = run(&["status", "--api-socket", public]).await;
    assert!(code == 1 && said.contains(public), "{said}");
}

#[tokio::test]
async fn files_of_sockets_have_the_permissions_that_the_umask_leaves() {
    let sockets = Sockets::new();
    let plain = sockets.command(&[]);
    let mut masked = Command::new("sh");
    masked
        .args(["-c", "umask 027 && exec \"$0\" \"$@\"", PROGRAM])
        .args(plain.as_std().get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let _program = Program::of(masked).await;
    let mode = fs::metadata(sockets.path("public")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
}

#[tokio::test]
async fn a_socket_that_was_left_is_replaced_and_one_in_use_is_not() {
    let sockets = Sockets::new();
    let mut program = Program::of(sockets.command(&[])).await;
    let (code, said) = outcome(sockets.command(&[])).await;
    assert_eq!(code, 1);
    assert!(said.contains("--socket: somebody listens at") && said.contains("/public"), "{said}");
    assert_eq!(sockets.ask("public", "GET", "/_chp_healthz", "").await.status, 200);

    program.signal(Signal::KILL);
    program.ended().await;
    assert!(sockets.path("public").exists());
    let _program = Program::of(sockets.command(&[])).await;
    assert_eq!(sockets.ask("public", "GET", "/_chp_healthz", "").await.status, 200);
}

#[tokio::test]
async fn z_1_z_02_z_05_unix_sockets_are_handed_over_with_their_files() {
    let sockets = Sockets::new();
    let mut program = Program::of(sockets.command(&[])).await;
    sockets.route_to_echo().await;
    let mut socket = sockets.open().await;
    let mut pid = sockets.pid().await;
    for _ in 0..2 {
        let id = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(id, Signal::USR2).unwrap();
        program.line("serves now").await;
        let old = pid;
        soon(async {
            while pid == old {
                pid = sockets.pid().await;
            }
        })
        .await;
        assert_echoes(&mut socket, "still there").await;
        assert!(sockets.routes().await["/user/ada"].is_object());
        assert_echoes(&mut sockets.open().await, "new").await;
    }
    drop(socket);
    assert!(program.ended().await.success());
    assert_eq!(sockets.ask("public", "GET", "/_chp_healthz", "").await.status, 200);
    let id = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    soon(async {
        while sockets.path("public").exists() || sockets.path("api").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn z_04_a_program_that_does_not_start_leaves_the_sockets_alone() {
    let sockets = Sockets::new();
    let replacement = sockets.path("replacement");
    let path = replacement.to_str().unwrap().to_owned();
    let mut program = Program::of(sockets.command(&["--upgrade-binary", &path])).await;
    fs::write(&replacement, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&replacement, fs::Permissions::from_mode(0o755)).unwrap();
    program.signal(Signal::USR2);
    program.line("goes on").await;
    assert_eq!(sockets.ask("public", "GET", "/_chp_healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag() {
    let program = Program::start(&[]).await;
    let mut second = Command::new(PROGRAM);
    second.args(["--ip", "127.0.0.1", "--port", &program.public.port().to_string()]);
    let (code, said) = outcome(second).await;
    assert_eq!(code, 1);
    assert!(
        said.contains(&format!("--ip: address {} is already in use", program.public)),
        "{said}"
    );
}

#[tokio::test]
async fn host_names_are_resolved_to_listen_on() {
    let mut by_name = Command::new(PROGRAM);
    by_name.args(["--ip", "localhost", "--port", "0", "--api-ip", "localhost", "--api-port", "0"]);
    by_name.env("CONFIGPROXY_AUTH_TOKEN", "s3cret").stdout(Stdio::piped());
    by_name.process_group(0).kill_on_drop(true);
    let program = Program::of(by_name).await;
    assert!(program.public.ip().is_loopback());
    assert_eq!(program.status().await["state"], "serving");
}
