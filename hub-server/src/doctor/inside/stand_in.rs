//! Something that answers where the hub is going to listen.

use std::{convert::Infallible, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// By which a caller knows that it was the doctor who answered.
pub(super) const WORDS: &str = "the doctor stands in for the hub";

/// Pause after a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one caller may take; the next one has to wait.
const LIMIT: Duration = Duration::from_secs(5);

/// Answers everybody with [`WORDS`], one after the other, until dropped.
pub(super) async fn answer_all(listener: &TcpListener) -> Infallible {
    loop {
        match listener.accept().await {
            // A caller that is gone is of no interest.
            Ok((stream, _)) => drop(tokio::time::timeout(LIMIT, answer(stream)).await),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < 8192 {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let length = WORDS.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{WORDS}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
