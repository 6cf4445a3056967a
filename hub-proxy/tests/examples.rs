//! The examples do what they say.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/running.rs"]
mod support;

use std::{net::SocketAddr, path::PathBuf, process::Stdio};

use support::*;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// An example that prints its address, and that address.
async fn example(name: &str, args: &[&str]) -> (Child, SocketAddr) {
    // Cargo builds examples along with tests, next to them.
    let tests = PathBuf::from(std::env::current_exe().unwrap().parent().unwrap());
    let program = tests.parent().unwrap().join("examples").join(name);
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let addr = soon(lines.next_line()).await.unwrap().unwrap().parse().unwrap();
    (child, addr)
}

async fn asked(addr: SocketAddr, path: &str) -> String {
    let mut client = Client::to(addr).await;
    client.send(get(path)).await;
    client.rest().await
}

#[tokio::test]
async fn the_static_proxy_leads_everything_to_its_one_server() {
    let (target, mut heads) = answering(ONCE).await;
    let (_child, addr) = example("static", &[&format!("http://{target}/base")]).await;
    for path in ["/", "/user/ada/lab?x=1"] {
        let answer = asked(addr, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok"), "{answer}");
        let head = soon(heads.recv()).await.unwrap();
        assert!(head.starts_with(&format!("get /base{path} http/1.1\r\n")), "{head}");
    }
    let nobody = format!("http://{}", nowhere().await);
    let (_child, addr) = example("static", &[&nobody]).await;
    assert!(asked(addr, "/").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn dynamic_routes_come_and_go() {
    let (target, _heads) = answering(ONCE).await;
    let (mut child, addr) = example("dynamic", &[]).await;
    assert!(asked(addr, "/user/ada/").await.starts_with("HTTP/1.1 404 "));
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("+/user/ada http://{target}\n").as_bytes()).await.unwrap();
    soon(async { while !asked(addr, "/user/ada/").await.ends_with("\r\n\r\nok") {} }).await;
    input.write_all(b"-/user/ada\n").await.unwrap();
    soon(async { while !asked(addr, "/user/ada/").await.contains("no route leads there") {} })
        .await;
    drop(input);
    assert!(soon(child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn the_application_around_the_proxy_answers_and_renders_failures() {
    let (_child, addr) = example("middleware", &[]).await;
    assert!(asked(addr, "/").await.ends_with("the application itself\n"));
    assert!(asked(addr, "/none").await.contains("no such page"));
    // Whatever is on port 8888 here, the proxy asks it.
    assert!(!asked(addr, "/notebook/x").await.contains("no such page"));
}
