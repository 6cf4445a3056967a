//! The program `hub-proxy` obtains its own certificate.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "cli")]

#[path = "support/pebble.rs"]
mod pebble;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{path::Path, process::Stdio, time::Duration};

use jiff::Timestamp;
use pebble::{Pebble, Wishes, tls_connect};
use process::Program;
use rustix::process::Signal;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::Instant,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// On the ports where the authority looks.
fn command(pebble: &Pebble, dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hub-proxy"));
    let port = |addr: std::net::SocketAddr| addr.port().to_string();
    command
        .args(["--ip", "127.0.0.1", "--port", &port(pebble.tls_addr())])
        .args(["--redirect-port", &port(pebble.http_addr()), "--api-ip", "127.0.0.1"])
        .args(["--api-port", "0", "--acme-domain", "hub.example.test"])
        .args(["--acme-directory", &pebble.directory(), "--acme-dir"])
        .arg(dir.join("acme"))
        .arg("--acme-directory-ca")
        .arg(pebble.directory_ca())
        .args(more)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The answer to a health check over https, trusting the authority alone.
async fn health(pebble: &Pebble, root: &str) -> Result<String, String> {
    let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
    let host = "hub.example.test";
    let stream = tls_connect(pebble.tls_addr(), host, &[root]).await;
    let mut stream = stream.map_err(|error| error.to_string())?;
    let request =
        format!("GET /_chp_healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
    Ok(answer)
}

async fn is_certified(pebble: &Pebble, mut program: Child) {
    let root = pebble.root().await;
    let deadline = Instant::now() + DEADLINE;
    loop {
        match health(pebble, &root).await {
            Ok(answer) => return assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}"),
            Err(seen) => assert!(Instant::now() < deadline, "still {seen}"),
        }
        assert!(program.try_wait().unwrap().is_none(), "it has ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_1_the_program_obtains_its_certificate_by_either_challenge() {
    for challenge in ["http-01", "tls-alpn-01"] {
        let (pebble, dir) = (Pebble::start(Wishes::default()).await, tempfile::tempdir().unwrap());
        let more = ["--acme-agree-tos", "--acme-challenge", challenge];
        let program = command(&pebble, dir.path(), &more).spawn().unwrap();
        is_certified(&pebble, program).await;
    }
}

/// What the proxy tells of its certificate, once it is as wanted.
async fn certificate(program: &Program, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let told = program.status().await["certificate"].take();
        if wanted(&told) {
            return told;
        }
        assert!(Instant::now() < deadline, "still {told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_2_status_tells_what_failed_and_a_reload_does_not_hurry_the_authority() {
    let (pebble, dir) = (Pebble::start(Wishes::default()).await, tempfile::tempdir().unwrap());
    pebble.know_only(&[]).await;
    let mut command = command(&pebble, dir.path(), &["--acme-agree-tos"]);
    command.env("CONFIGPROXY_AUTH_TOKEN", "s3cret").stdout(Stdio::piped()).process_group(0);
    let mut program = Program::of(command).await;
    let failed = certificate(&program, |told| told["state"] == "failed").await;
    assert_eq!((&failed["source"], &failed["failures"]), (&json!("acme"), &json!(1)), "{failed}");
    assert_eq!(failed["not_after"], Value::Null, "what is served stands in");
    assert!(failed["problem"].as_str().unwrap().contains("hub.example.test"), "{failed}");
    assert!(failed["advice"].as_str().unwrap().contains("DNS"), "{failed}");

    program.signal(Signal::HUP);
    program.line("The order that failed is tried again").await;
    let sooner = certificate(&program, |told| told["next_try"] != failed["next_try"]).await;
    assert_eq!((&sooner["state"], &sooner["failures"]), (&json!("failed"), &json!(1)));
    let moment = |told: &Value| told["next_try"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let earlier = moment(&failed).duration_since(moment(&sooner));
    assert!(earlier.as_mins() >= 44, "in a quarter of an hour instead of one: {earlier}");
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_3_the_program_does_not_start_without_agreement() {
    let (pebble, dir) = (Pebble::start(Wishes::default()).await, tempfile::tempdir().unwrap());
    let output = command(&pebble, dir.path(), &[]).output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("--acme-domain: the terms of service of https://"), "{told}");
    assert!(told.contains("read them at data:"), "{told}");
}
