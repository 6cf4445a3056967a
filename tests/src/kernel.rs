//! A Jupyter client without a notebook: one kernel, one WebSocket.

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};
use uuid::Uuid;

use crate::{
    Browser,
    wait::DEADLINE,
    wire::{self, Wire},
};

/// A WebSocket, plain or with TLS.
pub type Socket = WebSocketStream<Box<dyn Wire>>;

/// A connection to a kernel of somebody's server.
#[derive(Debug)]
pub struct Kernel {
    /// The kernel's id.
    pub id: String,
    socket: Socket,
    session: String,
}

impl Kernel {
    /// Starts a kernel and connects to it.
    pub async fn start(browser: &mut Browser, user: &str) -> Self {
        let answer = browser
            .script(
                Method::POST,
                &format!("/user/{user}/api/kernels"),
                Some(json!({ "name": "python3" })),
            )
            .await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        Self::connect(browser, user, &id).await
    }

    /// Connects to a kernel that runs.
    pub async fn connect(browser: &Browser, user: &str, id: &str) -> Self {
        let socket = open(browser, user, id, None).await.expect("the kernel's socket opens");
        Self { id: id.to_owned(), socket, session: Uuid::new_v4().simple().to_string() }
    }

    /// Sends code and returns what it is known by.
    async fn send(&mut self, code: &str) -> String {
        let id = Uuid::new_v4().simple().to_string();
        let message = json!({
            "header": {
                "msg_id": id, "username": "", "session": self.session, "date": "2026-01-01T00:00:00Z",
                "msg_type": "execute_request", "version": "5.3",
            },
            "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": [],
            "content": {
                "code": code, "silent": false, "store_history": true, "user_expressions": {},
                "allow_stdin": false, "stop_on_error": true,
            },
        });
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        id
    }

    /// Sends code and waits until the kernel is at it.
    pub async fn begin(&mut self, code: &str) {
        let id = self.send(code).await;
        let begun = async {
            loop {
                let message = self.socket.next().await.expect("the socket stays open").unwrap();
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                let ours = message["parent_header"]["msg_id"] == id;
                if ours && message["content"]["execution_state"] == "busy" {
                    return;
                }
            }
        };
        timeout(DEADLINE, begun).await.expect("the kernel begins");
    }

    /// Runs code and returns the text of its result or of what it printed.
    pub async fn run(&mut self, code: &str) -> String {
        let id = self.send(code).await;
        let answer = async {
            let mut said = String::new();
            loop {
                let message = self.socket.next().await.expect("the socket stays open").unwrap();
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["parent_header"]["msg_id"] != id {
                    continue;
                }
                match message["header"]["msg_type"].as_str() {
                    Some("execute_result") => {
                        said += message["content"]["data"]["text/plain"].as_str().unwrap();
                    }
                    Some("stream") => said += message["content"]["text"].as_str().unwrap(),
                    Some("error") => panic!("{code}: {}", message["content"]),
                    // Results come on the same channel before it; the reply comes on
                    // another one, and may be early.
                    Some("status") if message["content"]["execution_state"] == "idle" => {
                        return said.trim().to_owned();
                    }
                    _ => {}
                }
            }
        };
        timeout(DEADLINE, answer).await.expect("the kernel answers")
    }
}

/// Opens the WebSocket of a kernel with the browser's cookies, or a token.
///
/// # Errors
///
/// What the handshake was refused with.
pub async fn open(
    browser: &Browser,
    user: &str,
    id: &str,
    token: Option<&str>,
) -> Result<Socket, tungstenite::Error> {
    let url = browser.address(&format!("/user/{user}/api/kernels/{id}/channels"));
    let mut request = url.as_str().replacen("http", "ws", 1).into_client_request()?;
    let headers = request.headers_mut();
    match token {
        Some(token) => {
            headers.insert("authorization", HeaderValue::from_str(&format!("token {token}"))?);
        }
        None => {
            headers.insert("cookie", HeaderValue::from_str(&browser.cookie_line(&url))?);
        }
    }
    let origin = browser.hub().origin().ascii_serialization();
    headers.insert("origin", HeaderValue::from_str(&origin)?);
    let stream = wire::connect(&url, browser.ca()).await?;
    Ok(client_async(request, stream).await?.0)
}
