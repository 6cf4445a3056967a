//! A Jupyter server at a machine of a swarm, and what its user at another one does.

use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use hub_spawner::docker::DockerConfig;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};
use url::Url;

use crate::{PATIENCE, cluster::Node};

/// What the server asks for, and its user knows.
const TOKEN: &str = "a-token-of-the-test";

/// The image of notebook servers: `cargo xtask test` makes it.
#[expect(clippy::disallowed_methods, reason = "tests are told by their runner what to use")]
pub(crate) fn image() -> String {
    let told = std::env::var("HUB_TEST_IMAGE").ok().filter(|image| !image.is_empty());
    told.unwrap_or_else(|| "hub-notebook:latest".to_owned())
}

/// Servers that run Jupyter, without a hub that they would ask who comes.
pub(crate) fn config(docker: DockerConfig, image: &str) -> DockerConfig {
    let token = format!("--ServerApp.token={TOKEN}");
    let command = ["jupyter", "server", "--ip=0.0.0.0", "--port=8888", &token];
    DockerConfig {
        image: image.to_owned(),
        cmd: Some(command.into_iter().collect()),
        volumes: Some([].into()),
        ..docker
    }
}

/// A server, as it is seen from a machine.
#[derive(Debug)]
pub(crate) struct Notebook<'a> {
    pub(crate) url: Url,
    pub(crate) visitor: &'a Node,
}

impl Notebook<'_> {
    /// What the server answers, with these words more for `wget`; null while it does not.
    pub(crate) async fn ask(&self, path: &str, more: &[&str]) -> Value {
        let url = format!("{}{path}", self.url);
        let header = format!("Authorization: token {TOKEN}");
        let words = [&["wget", "-q", "-O", "-", "--header", &header], more, &[&url]].concat();
        let output = self.visitor.busybox(&words).output().await.expect("run wget");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Starts a kernel, runs code in it and returns what it prints.
    pub(crate) async fn run(&self, code: &str) -> String {
        let kernel = self.ask("api/kernels", &["--post-data", "{}"]).await;
        let id = kernel["id"].as_str().unwrap_or_else(|| panic!("a kernel: {kernel}"));
        let url = format!("{}api/kernels/{id}/channels", self.url).replacen("http", "ws", 1);
        let mut request = url.into_client_request().expect("a request");
        let token = HeaderValue::from_str(&format!("token {TOKEN}")).expect("a header");
        request.headers_mut().insert("authorization", token);

        let host = self.url.host_str().expect("a host");
        let port = self.url.port().expect("a port").to_string();
        let mut cable = self
            .visitor
            .busybox(&["nc", host, &port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("run nc");
        let ends = cable.stdout.take().zip(cable.stdin.take());
        let (from, to) = ends.expect("both are piped");
        let talk = async {
            let stream = tokio::io::join(from, to);
            let (mut socket, _) = client_async(request, stream).await.expect("the socket opens");
            socket.send(Message::text(execute(code).to_string())).await.expect("send the code");
            let mut said = String::new();
            loop {
                let message =
                    socket.next().await.expect("the socket stays open").expect("a message");
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message["parent_header"]["msg_id"] != "of-the-test" {
                    continue;
                }
                match message["header"]["msg_type"].as_str() {
                    Some("stream") => said += message["content"]["text"].as_str().expect("text"),
                    Some("error") => panic!("{code}: {}", message["content"]),
                    Some("status") if message["content"]["execution_state"] == "idle" => {
                        return said;
                    }
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, talk).await.expect("the kernel answers")
    }
}

/// The message that asks a kernel to run code.
fn execute(code: &str) -> Value {
    json!({
        "header": {
            "msg_id": "of-the-test", "username": "", "session": "one", "version": "5.3",
            "date": "2026-01-01T00:00:00Z", "msg_type": "execute_request",
        },
        "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": [],
        "content": {
            "code": code, "silent": false, "store_history": true, "user_expressions": {},
            "allow_stdin": false, "stop_on_error": true,
        },
    })
}
