//! Requests and answers that two readers could take for different messages.
//!
//! The target believes everything, so what it saw is what the proxy sent.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/lenient.rs"]
mod lenient;
#[path = "support/running.rs"]
mod support;

use lenient::{HELD, Seen, lenient, lenient_with};
use support::*;
use tokio::io::AsyncWriteExt;

/// A request that would give itself away if it reached the target.
const HIDDEN: &str = "GET /user/ada/hidden HTTP/1.1\r\nHost: h\r\n\r\n";

/// Sends what each case says and expects one answer with that status, the end
/// of the connection, and that the target saw nothing.
async fn are_refused(cases: &[(&[u8], u16)]) {
    let (target, seen) = lenient().await;
    let proxy = Running::to(target).await;
    for (request, status) in cases {
        let shown = String::from_utf8_lossy(request);
        let mut client = proxy.connect().await;
        client.send(request).await;
        let answer = client.try_rest().await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?} gave {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{shown:?} gave {answer}");
    }
    assert_eq!(seen.all(), "", "this reached the target");
}

/// A POST with these fields and this body, and something hidden behind it.
fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /user/ada/ HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}{HIDDEN}").into_bytes()
}

/// A GET with these lines behind its `Host`.
fn with(lines: &[u8]) -> Vec<u8> {
    [b"GET /user/ada/ HTTP/1.1\r\nHost: h\r\n", lines, b"\r\n\r\n"].concat()
}

async fn requests_are_refused(status: u16, requests: impl IntoIterator<Item = Vec<u8>>) {
    let requests: Vec<_> = requests.into_iter().collect();
    let cases: Vec<_> = requests.iter().map(|request| (request.as_slice(), status)).collect();
    are_refused(&cases).await;
}

#[tokio::test]
async fn sm_01_to_sm_06_framings_that_can_be_read_in_two_ways_are_refused() {
    let lengths = ["2, 2", "+2", "-1", "0x2", "2 2", "", "99999999999999999999999"];
    let each = lengths.map(|length| post(&format!("Content-Length: {length}"), "hi"));
    let two = [
        post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        post("Content-Length: 1\r\nContent-Length: 2", "hi"),
        post("Content-Length: 2\r\nContent-Length: 2", "hi"),
    ];
    requests_are_refused(400, each.into_iter().chain(two)).await;
}

#[tokio::test]
async fn sm_07_sm_09_sm_10_only_chunked_itself_is_a_transfer_encoding() {
    let codings = [
        "xchunked",
        "identity",
        "chunked, identity",
        "chunked, chunked",
        "\u{b}chunked",
        "chunked;",
    ]
    .into_iter()
    .chain(["\"chunked\"", "chunked\0", "chunked\r\nTransfer-Encoding: chunked"]);
    let requests = codings.map(|coding| post(&format!("Transfer-Encoding: {coding}"), "0\r\n\r\n"));
    requests_are_refused(400, requests).await;
}

#[tokio::test]
async fn sm_08_a_coding_we_do_not_know_is_a_501() {
    requests_are_refused(501, [post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n")]).await;
}

#[tokio::test]
async fn sm_11_to_sm_14_lines_that_are_no_fields_are_refused() {
    requests_are_refused(
        400,
        [
            post("Transfer-Encoding : chunked", "0\r\n\r\n"),
            with(b"X : 1"),
            b"POST /user/ada/ HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_vec(),
            with(b"X: a\r\n b"),
            with(b"X: a\r\n\tb"),
            b"GET /user/ada/ HTTP/1.1\r\n Host: h\r\n\r\n".to_vec(),
        ],
    )
    .await;
}

#[tokio::test]
async fn sm_16_to_sm_18_bytes_that_no_field_may_have_are_refused() {
    let lines: [&[u8]; 7] =
        [b"X: a\rb", b"X: a\r\r\nY: b", b"X: a\0b", b"X\x01: a", b"X\0Y: a", b": a", b"no colon"];
    requests_are_refused(400, lines.map(with)).await;
}

#[tokio::test]
async fn sm_15_a_bare_line_end_ends_no_line() {
    requests_are_refused(
        400,
        [
            b"GET /user/ada/ HTTP/1.1\nHost: h\n\n".to_vec(),
            b"GET /user/ada/ HTTP/1.1\r\nHost: h\nX: a\r\n\r\n".to_vec(),
            b"GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\n".to_vec(),
        ],
    )
    .await;
}

#[tokio::test]
async fn sm_19_to_sm_21_the_host_is_one_and_is_a_host() {
    let hosts = [
        "Host: h\r\nHost: h",
        "Host: a b",
        "Host: a/b",
        "Host: a@b",
        "Host: ",
        "X: no host",
        "Host: [::1",
        "Host: a:b:c",
        "Host: h:99999",
        "Host: a,b",
    ];
    let requests =
        hosts.map(|host| format!("GET /user/ada/ HTTP/1.1\r\n{host}\r\n\r\n").into_bytes());
    requests_are_refused(400, requests).await;
}

#[tokio::test]
async fn sm_31_to_sm_34_request_lines_that_are_none_are_refused() {
    let request = |line: &str| format!("{line}\r\nHost: h\r\n\r\n").into_bytes();
    let lines = ["GET /user/ada/a b HTTP/1.1", "GET /user/ada/", "GET  /user/ada/ HTTP/1.1"];
    requests_are_refused(400, lines.map(request)).await;
    let versions = ["GET /user/ada/ HTTP/1.2", "GET /user/ada/ HTTP/2.0"];
    requests_are_refused(505, versions.map(request)).await;
}

#[tokio::test]
async fn sm_35_the_preface_of_http_2_is_no_request_here() {
    are_refused(&[(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400)]).await;
}

#[tokio::test]
async fn sm_23_chunks_are_written_anew_without_extensions() {
    for body in ["2;x=y\r\nhi\r\n0;z\r\n\r\n", "0002\r\nhi\r\n000\r\n\r\n"] {
        let (target, seen) = lenient().await;
        let proxy = Running::to(target).await;
        let mut client = proxy.connect().await;
        let head = "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{body}")).await;
        client.head().await;
        let seen = seen.until(|seen| seen.ends_with("0\r\n\r\n")).await;
        assert!(seen.ends_with("\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), "{body:?} became {seen}");
    }
}

/// Bodies that are not chunked well.
const MALFORMED: [&str; 12] = [
    "2;x\ny\r\nhi\r\n0\r\n\r\n",
    "2\nhi\r\n0\r\n\r\n",
    "0x2\r\nhi\r\n0\r\n\r\n",
    "+2\r\nhi\r\n0\r\n\r\n",
    " 2\r\nhi\r\n0\r\n\r\n",
    "2 \r\nhi\r\n0\r\n\r\n",
    "_2\r\nhi\r\n0\r\n\r\n",
    "10000000000000002\r\nhi\r\n0\r\n\r\n",
    "2\r\nhi0\r\n\r\n",
    "2\r\nhi!\r\n0\r\n\r\n",
    "0\r\nno colon\r\n\r\n",
    "0\r\nX: a\r\n folded\r\n\r\n",
];

/// Sends a POST with this body: one answer comes, a 400, and the end.
async fn is_refused_at_the_end(mut client: Client, body: &str) {
    client.send(post("Transfer-Encoding: chunked", body)).await;
    client.gone().await;
    let answer = String::from_utf8_lossy(&client.ahead).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?} gave {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{body:?} gave {answer}");
}

#[tokio::test]
async fn sm_24_to_sm_26_sm_28_bodies_that_are_not_chunked_well_end_the_connection() {
    for body in MALFORMED {
        let (target, seen) = lenient_with("").await;
        let proxy = Running::to(target).await;
        let client = proxy.connect().await;
        is_refused_at_the_end(client, body).await;
        let seen = seen.all();
        assert!(!seen.contains("hidden"), "{body:?} became {seen}");
        assert!(!seen.ends_with("0\r\n\r\n"), "{body:?} looks finished: {seen}");
    }
}

#[tokio::test]
async fn sm_24_to_sm_26_sm_28_so_they_do_where_connections_are_kept() {
    for body in MALFORMED {
        let (target, seen) = lenient().await;
        let proxy = Running::to(target).await;
        warm(&proxy, &seen).await;
        let client = proxy.connect().await;
        is_refused_at_the_end(client, body).await;
        // What is not complete may have begun, but says that it goes on.
        let seen = seen.all();
        assert!(!seen.contains("hidden"), "{body:?} became {seen}");
        assert!(!seen.contains("content-length: 0"), "{body:?} became empty: {seen}");
        assert!(!seen.ends_with("0\r\n\r\n"), "{body:?} looks finished: {seen}");
    }
}

#[tokio::test]
async fn u_04_k_04_an_upload_that_ends_at_once_is_sent_over_no_kept_connection() {
    for fields in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        for method in ["POST", "PUT"] {
            let (target, seen) = lenient().await;
            let proxy = Running::to(target).await;
            warm(&proxy, &seen).await;
            let mut client = proxy.connect().await;
            // All of it is there, and its end, before the upload is begun.
            let begun = format!("{method} /user/ada/cut HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
            let first = format!("GET /user/ada{HELD} HTTP/1.1\r\nHost: h\r\n\r\n");
            client.send(first + &begun).await;
            client.stream.shutdown().await.unwrap();
            seen.let_go();
            client.gone().await;
            // Whatever left before this is there before it.
            proxy.ask(&get("/user/ada/last")).await;
            let seen = seen.until(|seen| seen.contains("/last")).await;
            assert!(seen.contains(HELD), "{seen}");
            assert!(!seen.contains("content-length: 0"), "{method}, {fields} became {seen}");
        }
    }
}

/// Has the proxy keep three connections to its target.
async fn warm(proxy: &Running, seen: &Seen) {
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = proxy.connect().await;
        let head = "POST /user/ada/warm HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
        client.send(format!("{head}h")).await;
        clients.push(client);
    }
    // None of them is free for another.
    seen.until(|seen| seen.matches("\r\n\r\nh").count() == 3).await;
    for client in &mut clients {
        client.send("i").await;
        client.head().await;
        client.until("ok").await;
    }
    seen.until(|seen| seen.matches("\r\n\r\nhi").count() == 3).await;
}

#[tokio::test]
async fn sm_27_trailers_that_frame_or_route_do_not_arrive() {
    for field in ["Content-Length: 5", "Transfer-Encoding: chunked", "Host: evil", "Cookie: a=1"] {
        let (target, seen) = lenient().await;
        let proxy = Running::to(target).await;
        let mut client = proxy.connect().await;
        let name = field.split(':').next().unwrap();
        client
            .send(format!(
                "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTrailer: {name}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{field}\r\n\r\n"
            ))
            .await;
        client.rest().await;
        let seen = seen.all();
        let body = seen.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(!body.to_lowercase().contains(&field.to_lowercase()), "{field} in {seen}");
    }
}

#[tokio::test]
async fn sm_30_escaped_line_ends_stay_escaped() {
    let (target, seen) = lenient().await;
    let proxy = Running::to(target).await;
    proxy.ask(&get("/user/ada/a%0d%0aX:1?b%0d%0aY:2")).await;
    let seen = seen.all();
    assert!(seen.starts_with("GET /user/ada/a%0d%0aX:1?b%0d%0aY:2 HTTP/1.1\r\n"), "{seen}");
    let page = proxy.ask(&get("/hub/a%0d%0aX:1")).await;
    assert!(page.contains("GET /hub/a%0d%0aX:1 "), "{page}");
}

#[tokio::test]
async fn sm_36_connection_cannot_take_away_what_a_target_decides_by() {
    let (target, seen) = lenient().await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client
        .send(
            "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nCookie: c=1\r\nAuthorization: token t\r\n\
             Connection: close, host, content-length, cookie, authorization, x-forwarded-for\r\n\
             Content-Length: 2\r\n\r\nhi",
        )
        .await;
    client.rest().await;
    let seen = seen.all().to_lowercase();
    for line in ["host: h", "content-length: 2", "cookie: c=1", "authorization: token t"] {
        assert_eq!(seen.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {seen}");
    }
    assert!(seen.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nhi"), "{seen}");
}

#[tokio::test]
async fn sm_37_two_requests_at_once_have_two_answers_in_their_order() {
    let target = target(|mut client| async move {
        loop {
            let head = client.head().await;
            let number = if head.starts_with("get /user/ada/1 ") { "1" } else { "2" };
            assert!(client.ahead.is_empty(), "one is sent after the other");
            client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}")).await;
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let first = "GET /user/ada/1 HTTP/1.1\r\nHost: h\r\n\r\n";
    let answer = proxy.ask(&format!("{first}{}", get("/user/ada/2"))).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
    assert!(answer.contains("\r\n\r\n1HTTP/1.1") && answer.ends_with("\r\n\r\n2"), "{answer}");
}

#[tokio::test]
async fn sm_38_a_name_with_an_underscore_frames_nothing() {
    let (target, seen) = lenient().await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    client
        .send(
            "POST /user/ada/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 6\r\n\
             Transfer_Encoding: chunked\r\n\r\n0\r\n\r\nX",
        )
        .await;
    client.rest().await;
    let seen = seen.all().to_lowercase();
    assert!(seen.contains("content-length: 6\r\n") && !seen.contains("chunked"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n0\r\n\r\nx"), "{seen}");
}

#[tokio::test]
async fn sm_39_empty_lines_before_a_request_are_nothing() {
    let (target, _seen) = lenient().await;
    let proxy = Running::to(target).await;
    let answer = proxy.ask(&format!("\r\n\r\n{}", get("/user/ada/"))).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    are_refused(&[(b"\r\n\r\n\r\nGET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n", 400)]).await;
}

#[tokio::test]
async fn sm_43_a_handshake_with_a_body_is_refused() {
    let handshake = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\n";
    let bodies = ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"];
    requests_are_refused(400, bodies.map(|body| format!("{handshake}{body}").into_bytes())).await;
}

#[tokio::test]
async fn sm_44_sm_47_answers_with_two_readings_are_a_503() {
    for fields in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
        "Content-Length: +1\r\n\r\na",
        "X: a\rb\r\nContent-Length: 1\r\n\r\na",
        "X: a\0b\r\nContent-Length: 1\r\n\r\na",
        "X: a\r\n b\r\nContent-Length: 1\r\n\r\na",
        "X : a\r\nContent-Length: 1\r\n\r\na",
    ] {
        let (target, seen) = lenient_with(format!("HTTP/1.1 200 OK\r\n{fields}")).await;
        let proxy = Running::to(target).await;
        for requests in 1..=2 {
            let answer = proxy.ask(&get("/user/ada/")).await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{fields:?} gave {answer}");
            assert_eq!(seen.connections(), requests, "such a connection is not used again");
        }
    }
}

#[tokio::test]
async fn sm_44_an_answer_that_announces_what_it_cannot_have_is_a_503() {
    for answer in [
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let (target, seen) = lenient_with(answer).await;
        let proxy = Running::to(target).await;
        for requests in 1..=2 {
            let answer = proxy.ask(&get("/user/ada/")).await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert_eq!(seen.connections(), requests, "such a connection is not used again");
        }
    }
    let (target, _) = lenient_with("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").await;
    let answer = Running::to(target).await.ask(&get("/user/ada/")).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 204 ") && !answer.contains("content-length"), "{answer}");
}

#[tokio::test]
async fn sm_46_an_answer_that_nobody_asked_for_reaches_nobody() {
    let (closed, mut closing) = tokio::sync::mpsc::unbounded_channel();
    let target = target(move |mut client| {
        let closed = closed.clone();
        async move {
            client.head().await;
            client.send(OK).await;
            client.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").await;
            client.gone().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    for _ in 0..3 {
        client.send("GET /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(client.head().await.starts_with("http/1.1 200 "));
        assert_eq!(client.take(2).await, b"ok");
        soon(closing.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn sm_50_a_body_in_answer_to_head_reaches_nobody() {
    let (target, seen) = lenient_with("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    let proxy = Running::to(target).await;
    let mut client = proxy.connect().await;
    for requests in 1..=2 {
        client.send("HEAD /user/ada/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let head = client.head().await;
        assert!(head.contains("content-length: 5\r\n"), "{head}");
        assert!(client.ahead.is_empty(), "{:?}", client.ahead);
        assert_eq!(seen.connections(), requests, "such a connection is not used again");
    }
}
