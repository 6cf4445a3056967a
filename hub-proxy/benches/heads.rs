//! What the heads of a notebook's request and its answer cost: `cargo bench -p hub-proxy
//! --no-default-features --features bench --bench heads`. Each is told with the memory it
//! takes.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use hub_proxy::{
    Peer,
    bench::{Answered, Asked},
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// What a load generator sends, and what a browser does.
const REQUESTS: [(&str, &str); 2] = [
    ("bare", "GET /user/ada/small HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"),
    (
        "browser",
        "GET /user/ada/api/contents/lectures/week-07?type=directory&content=1&1732982400000 HTTP/1.1\r\n\
         Host: hub.example.org\r\n\
         Connection: keep-alive\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0\r\n\
         Accept: */*\r\n\
         Accept-Language: en-US,en;q=0.5\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Referer: https://hub.example.org/user/ada/lab/tree/lectures\r\n\
         Content-Type: application/json\r\n\
         X-XSRFToken: 2|6f1c1d2e|a0b1c2d3e4f5061728394a5b6c7d8e9f|1732982400\r\n\
         Sec-Fetch-Dest: empty\r\n\
         Sec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Site: same-origin\r\n\
         Cookie: jupyterhub-session-id=8a0f6f0c7d8e4f6a9b1c2d3e4f506172; _xsrf=2|6f1c1d2e|a0b1c2d3; \
         jupyterhub-user-ada=\"2|1:0|10:1732982400|19:jupyterhub-user-ada|44:Y29va2llIG9mIGEgc2lnbi1pbg==|0d1e2f\"\r\n\
         \r\n",
    ),
];

/// What a static file's server answers, and what a notebook server does.
const ANSWERS: [(&str, &str); 2] = [
    ("bare", "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nContent-Type: text/plain\r\n\r\n"),
    (
        "notebook",
        "HTTP/1.1 200 OK\r\n\
         Server: TornadoServer/6.4.2\r\n\
         Content-Type: application/json\r\n\
         Date: Mon, 30 Nov 2026 12:00:00 GMT\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: frame-ancestors 'self'; report-uri /hub/security/csp-report; default-src 'none'\r\n\
         Access-Control-Allow-Origin: https://hub.example.org\r\n\
         Last-Modified: Mon, 30 Nov 2026 11:59:00 GMT\r\n\
         X-JupyterHub-Version: 6.1.1\r\n\
         Etag: \"5d41402abc4b2a76b9719d911017c592\"\r\n\
         Content-Length: 1024\r\n\
         \r\n",
    ),
];

fn main() {
    divan::main();
}

fn of(heads: [(&str, &'static str); 2], name: &str) -> Bytes {
    let (_, head) = heads.into_iter().find(|(known, _)| *known == name).unwrap();
    Bytes::from_static(head.as_bytes())
}

fn peer() -> Peer {
    Peer { addr: Some("127.0.0.1:40000".parse().unwrap()), tls: false }
}

#[divan::bench(args = ["bare", "browser"])]
fn a_request_is_read(bencher: Bencher<'_, '_>, name: &str) {
    let head = of(REQUESTS, name);
    bencher.counter(BytesCount::new(head.len())).bench_local(|| Asked::read(black_box(&head)));
}

#[divan::bench(args = ["bare", "browser"])]
fn its_fields_are_rewritten(bencher: Bencher<'_, '_>, name: &str) {
    let (head, peer) = (of(REQUESTS, name), peer());
    bencher
        .with_inputs(|| Asked::read(&head).unwrap())
        .bench_local_refs(|asked| asked.rewrite(black_box(&peer)));
}

#[divan::bench(args = ["bare", "browser"])]
fn it_is_written(bencher: Bencher<'_, '_>, name: &str) {
    let mut asked = Asked::read(&of(REQUESTS, name)).unwrap();
    asked.rewrite(&peer());
    let mut out = Vec::with_capacity(8 * 1024);
    bencher.bench_local(|| {
        out.clear();
        black_box(&asked).write(&mut out);
    });
}

#[divan::bench(args = ["bare", "notebook"])]
fn an_answer_is_read(bencher: Bencher<'_, '_>, name: &str) {
    let head = of(ANSWERS, name);
    bencher.counter(BytesCount::new(head.len())).bench_local(|| Answered::read(black_box(&head)));
}

#[divan::bench(args = ["bare", "notebook"])]
fn the_answer_is_rewritten_and_written(bencher: Bencher<'_, '_>, name: &str) {
    let head = of(ANSWERS, name);
    let mut out = Vec::with_capacity(8 * 1024);
    bencher.with_inputs(|| Answered::read(&head).unwrap()).bench_local_refs(|answered| {
        out.clear();
        answered.rewrite();
        answered.write(&mut out);
    });
}
