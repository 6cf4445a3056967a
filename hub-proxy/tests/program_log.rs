//! What strangers can make the program write down.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use http2::*;
use process::Program;

const ACK: u8 = 1;

#[tokio::test]
async fn g_04_h2_05_a_client_of_http_2_writes_nothing_in_the_log() {
    let tls = Tls::new();
    let files = tls.files();
    let mut program = Program::start(&files.args()).await;
    let fields =
        [(":method", "GET"), (":scheme", "https"), (":authority", "h"), (":path", "/_chp_healthz")];
    for frames in [
        // Answers to questions that nobody asked.
        frame(PING, ACK, 0, b"answered").repeat(100),
        frame(SETTINGS, ACK, 0, &[]).repeat(3),
        // Of a stream that there is not.
        frame(DATA, 0, 9, b"nothing"),
        frame(HEADERS, 5, 2, &block(&fields)),
        frame(99, 0, 0, b"no such frame"),
        b"nothing like frames".repeat(100),
    ] {
        let mut raw = tls.raw(program.public).await;
        raw.request(1, &fields).await;
        raw.next_of(&[HEADERS]).await.unwrap();
        raw.try_send(&frames).await;
        let mut other = tls.raw(program.public).await;
        other.request(1, &fields).await;
        other.next_of(&[HEADERS]).await.unwrap();
        let _ = tokio::time::timeout(std::time::Duration::from_millis(100), raw.0.gone()).await;
    }
    let log = program.last_words().await;
    let of_clients: Vec<_> = log.lines().filter(|line| !line.contains("] info: ")).collect();
    let expected = ["everybody on this machine may read", "SIGTERM"];
    let strange = of_clients.iter().filter(|line| !expected.iter().any(|text| line.contains(text)));
    assert_eq!(strange.collect::<Vec<_>>(), Vec::<&&str>::new());
}
