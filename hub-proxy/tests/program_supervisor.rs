//! The program with sockets that a supervisor has made (Z-3).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use process::{Answer, PROGRAM, Program, ask_over, command_anywhere, outcome};
use rustix::process::{Pid, Signal, kill_process};
use support::*;
use tokio::{net::UnixStream, process::Command};

/// Passes sockets on as systemd does: makes them, and becomes the program.
const SUPERVISOR: &str = r#"
import fcntl, os, socket, sys
places, names, pid, *command = sys.argv[1:]
passed = []
for place in places.split(","):
    if place == "tcp":
        made = socket.create_server(("127.0.0.1", 0))
    elif place == "udp":
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    else:
        made = socket.socket(socket.AF_UNIX)
        made.bind(place)
        if not place.endswith("silent"):
            made.listen()
    # Out of the way of where they belong.
    passed.append(fcntl.fcntl(made.fileno(), fcntl.F_DUPFD, 100))
    made.detach()
for at, high in enumerate(passed):
    os.dup2(high, 3 + at)
    os.close(high)
os.environ["LISTEN_PID"] = pid or str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(passed))
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(command[0], command)
"#;

/// A directory for Unix sockets.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program with sockets in these places: `tcp`, `udp`, or a file here.
    fn given(&self, places: &[&str], names: &str, args: &[&str]) -> Command {
        self.given_for("", places, names, args)
    }

    fn given_for(&self, pid: &str, places: &[&str], names: &str, args: &[&str]) -> Command {
        let place = |name: &&str| match *name {
            "tcp" | "udp" => (*name).to_owned(),
            file => self.path(file).to_str().unwrap().to_owned(),
        };
        let places: Vec<_> = places.iter().map(place).collect();
        let plain = command_anywhere(Path::new(PROGRAM), args);
        let mut command = Command::new("python3");
        command
            .args(["-c", SUPERVISOR, &places.join(","), names, pid, PROGRAM])
            .args(plain.as_std().get_args())
            .env("CONFIGPROXY_AUTH_TOKEN", "s3cret")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    async fn ask(&self, name: &str, path: &str) -> Answer {
        let stream = soon(UnixStream::connect(self.path(name))).await.unwrap();
        let token = "Authorization: token s3cret\r\n";
        ask_over(Client::over(stream), "GET", path, token, "").await
    }

    async fn pid(&self, name: &str) -> i64 {
        let status = self.ask(name, "/api/v2/status").await.body;
        serde_json::from_str::<serde_json::Value>(&status).unwrap()["pid"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn z_3_sockets_of_a_supervisor_are_taken_by_their_names() {
    let dir = Dir::new();
    // Where it would listen otherwise, it could not.
    let args = ["--ip", "192.0.2.1", "--metrics-port", "1"];
    let places = ["api", "tcp", "metrics"];
    let program = Program::of(dir.given(&places, "api:public:metrics", &args)).await;
    let said = program.beginning.join("\n");
    assert!(said.contains(&format!("API at http://{}/api", dir.path("api").display())), "{said}");
    assert_eq!(program.get("/_chp_healthz").await.status, 200);
    assert_eq!(dir.pid("api").await, i64::from(program.pid()));
    assert!(dir.ask("metrics", "/metrics").await.body.contains("hub_proxy_routes 0"));
}

#[tokio::test]
async fn z_3_without_names_the_first_socket_is_public_and_the_second_the_api() {
    let dir = Dir::new();
    for names in ["", "hub-proxy.socket:hub-proxy.socket"] {
        let (public, api) = (format!("public{}", names.len()), format!("api{}", names.len()));
        let mut program = Program::of(dir.given(&[&public, &api], names, &[])).await;
        assert_eq!(dir.ask(&public, "/_chp_healthz").await.status, 200);
        assert_eq!(dir.pid(&api).await, i64::from(program.pid()));
        program.signal(Signal::TERM);
        assert!(program.ended().await.success());
        assert!(dir.path(&public).exists(), "it is the supervisor's file");
    }
}

#[tokio::test]
async fn z_3_z_1_a_successor_goes_on_with_them() {
    let dir = Dir::new();
    let mut program = Program::of(dir.given(&["public", "api"], "", &[])).await;
    let old = dir.pid("api").await;
    program.signal(Signal::USR2);
    program.line("serves now").await;
    assert!(program.ended().await.success());
    let new = dir.pid("api").await;
    assert_ne!(new, old);
    assert_eq!(dir.ask("public", "/_chp_healthz").await.status, 200);
    kill_process(Pid::from_raw(i32::try_from(new).unwrap()).unwrap(), Signal::TERM).unwrap();
    soon(async { while UnixStream::connect(dir.path("api")).await.is_ok() {} }).await;
    assert!(dir.path("public").exists() && dir.path("api").exists(), "the supervisor's, still");
}

#[tokio::test]
async fn z_3_p_016_redirects_name_the_port_of_a_supervisors_socket() {
    let dir = Dir::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["hub.example".to_owned()]).unwrap();
    let cert = cert.self_signed(&key).unwrap();
    std::fs::write(dir.path("cert.pem"), cert.pem()).unwrap();
    std::fs::write(dir.path("key.pem"), key.serialize_pem()).unwrap();
    let path = |name: &str| dir.path(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let tls = ["--ssl-cert", &cert, "--ssl-key", &key, "--redirect-port", "0"];
    // Not the port where it would listen otherwise.
    let args = [&["--ip", "127.0.0.1", "--port", "8000"], &tls[..]].concat();
    let mut program = Program::of(dir.given(&["api", "tcp"], "api:public", &args)).await;
    let line = program.line("Added HTTP to HTTPS redirection from ").await;
    let (from, to) = line.split_once(" from ").unwrap().1.split_once(" to ").unwrap();
    assert_eq!(to, program.public.port().to_string());
    let head = process::ask(from.parse().unwrap(), "GET", "/x", "", "").await.head;
    assert!(head.contains(&format!("\r\nlocation: https://h:{to}/x\r\n")), "{head}");

    let command = dir.given(&["other", "public"], "api:public", &tls);
    let (code, said) = outcome(command).await;
    assert_eq!(code, 1);
    assert!(said.contains("--redirect-to: the public socket has no port"), "{said}");
}

#[tokio::test]
async fn z_3_sockets_for_another_process_are_left_alone() {
    let dir = Dir::new();
    let args = ["--ip", "127.0.0.1", "--port", "0", "--api-ip", "127.0.0.1", "--api-port", "0"];
    let program = Program::of(dir.given_for("1", &["public"], "public", &args)).await;
    assert_eq!(program.get("/_chp_healthz").await.status, 200, "where the flags say");
    let said = program.beginning.join("\n");
    assert!(!said.contains("/public"), "{said}");
}

#[tokio::test]
async fn z_3_sockets_that_cannot_be_used_are_named_by_their_variable() {
    let dir = Dir::new();
    for (places, names, said) in [
        (vec!["udp"], "", "LISTEN_FDS: descriptor 3 is no stream socket that listens"),
        (vec!["a", "silent"], "", "LISTEN_FDS: descriptor 4 is no stream socket that listens"),
        (vec!["tcp"], "front", "LISTEN_FDNAMES: \"front\" is none of public"),
        (vec!["tcp", "tcp", "tcp"], "", "LISTEN_FDNAMES: 3 sockets without names"),
        (vec!["tcp", "tcp"], "public", "LISTEN_FDNAMES: there are 1 names for 2"),
        (
            vec!["tcp", "tcp", "tcp"],
            "public:api:redirect",
            "LISTEN_FDNAMES: there is a socket for \"redirect\", but no --redirect-port",
        ),
    ] {
        let (code, error) = outcome(dir.given(&places, names, &[])).await;
        assert_eq!(code, 1, "{error}");
        assert!(error.contains(said), "{error}");
    }
}
