//! What strangers can make the program write down, and who reads it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{path::Path, time::Duration};

use http2::*;
use process::{PROGRAM, Program, ask_api, command};
use rustix::process::{Pid, Signal, kill_process};
use support::{Client, soon};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

const ACK: u8 = 1;

/// As long as this nothing has been written, and nothing more will be.
const LULL: Duration = Duration::from_millis(100);

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
        raw.try_send(&[frames, frame(PING, 0, 0, b"the last")].concat()).await;
        let mut other = tls.raw(program.public).await;
        other.request(1, &fields).await;
        other.next_of(&[HEADERS]).await.unwrap();
        // All of it has been looked at when the last is answered, or the connection ends.
        raw.next_of(&[PING]).await;
    }
    let log = program.last_words().await;
    let of_clients: Vec<_> = log.lines().filter(|line| !line.contains("] info: ")).collect();
    let expected = ["everybody on this machine may read", "SIGTERM"];
    let strange = of_clients.iter().filter(|line| !expected.iter().any(|text| line.contains(text)));
    assert_eq!(strange.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[tokio::test]
async fn g_01_a_log_that_nobody_reads_keeps_nobody_waiting() {
    let mut child = command(Path::new(PROGRAM), &[]).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let api = loop {
        let line = soon(log.next_line()).await.unwrap().unwrap();
        if let Some(at) = line.split("Proxy API at http://").nth(1) {
            break at.split('/').next().unwrap().parse().unwrap();
        }
    };
    // A line each: more than the pipe and the queue before it hold.
    let mut client = Client::to(api).await;
    let mut write_lines = async |count| {
        for _ in 0..count {
            let (head, _) = ask_api(&mut client, "GET", "/api/v2/status", "").await;
            assert!(head.starts_with("http/1.1 200 "), "{head}");
        }
    };
    write_lines(7000).await;
    // Once somebody reads again, they are told what they have missed.
    let mut lines = 0;
    let missing = loop {
        let Ok(line) = timeout(LULL, log.next_line()).await else {
            write_lines(1).await;
            continue;
        };
        let line = line.unwrap().unwrap();
        if let Some(count) = line.split("too slow: ").nth(1) {
            break count.parse::<usize>().unwrap();
        }
        lines += 1;
    };
    assert!(missing > 0 && lines + missing >= 7000, "{lines} and {missing}");

    write_lines(7000).await;
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(soon(child.wait()).await.unwrap().code(), Some(0));
}
