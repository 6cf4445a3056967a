//! Clients of HTTP/2 that make work and take no answers (H2-05).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "tls")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/running.rs"]
mod support;

use std::time::Duration;

use http::{Request, StatusCode};
use http2::*;
use hub_proxy::ProxyConfig;
use support::*;
use tokio::{sync::mpsc, time::Instant};

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "hub.example"),
    (":path", "/user/ada/"),
];

const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// More than all buffers of two connected sockets hold, and than may wait in ours.
const FLOOD: usize = 64 << 20;

/// A proxy in front of a target that never answers.
struct Flooded {
    tls: Tls,
    proxy: Running,
}

impl Flooded {
    async fn keeping(keep_alive: Duration) -> Self {
        let target = target(|mut client| async move { client.gone().await }).await;
        let tls = Tls::new();
        let mut listen = listen();
        listen.tls = Some(tls.keys.clone());
        listen.http2 = true;
        listen.keep_alive_timeout = keep_alive;
        let config = ProxyConfig::default();
        let proxy = Running::listening(target, config, listen, Duration::ZERO).await;
        Self { tls, proxy }
    }

    async fn start() -> Self {
        Self::keeping(DEADLINE * 2).await
    }

    async fn raw(&self) -> Raw {
        self.tls.raw(self.proxy.addr).await
    }

    async fn assert_serves_others(&self) {
        let mut other = self.tls.open(self.proxy.addr).await;
        let request = Request::get("https://hub.example/hub/").body(Default::default()).unwrap();
        let answer = soon(other.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// Told why, and that is the end of the connection.
    async fn assert_ends(&self, mut flooding: Raw, reason: [u8; 4]) {
        let goaway = flooding.next_of(&[GOAWAY]).await.unwrap();
        assert_eq!(goaway.payload[4..8], reason, "{goaway:?}");
        while flooding.next().await.is_some() {}
        self.assert_serves_others().await;
    }
}

#[tokio::test]
async fn h2_05_fields_that_never_end_end_the_connection() {
    let flooded = Flooded::start().await;
    // Those that would be few if they ended, and those beyond the limit of all fields.
    for size in [1, 16 * 1024] {
        let mut raw = flooded.raw().await;
        raw.send(HEADERS, 0, 1, &block(&GET)).await;
        // A value that is announced as longer than all that comes of it.
        raw.send(CONTINUATION, 0, 1, b"\x00\x01a\x7f\xff\xff\xff\x01").await;
        let piece = frame(CONTINUATION, 0, 1, &vec![b'a'; size]);
        for _ in 0..8 {
            if !raw.try_send(&piece).await {
                break;
            }
        }
        flooded.assert_ends(raw, ENHANCE_YOUR_CALM).await;
    }
}

#[tokio::test]
async fn h2_05_whoever_makes_the_proxy_reset_is_told_to_calm_down() {
    let flooded = Flooded::start().await;
    // A window beyond what one can have is an error of its stream. Of a window that does not
    // grow and of more of a request that was complete, the first one is enough.
    let beyond = 0x7fff_ffff_u32.to_be_bytes();
    for (kind, payload, reason) in [
        (WINDOW_UPDATE, &beyond, ENHANCE_YOUR_CALM),
        (WINDOW_UPDATE, &[0; 4], PROTOCOL_ERROR),
        (DATA, b"more", PROTOCOL_ERROR),
    ] {
        let mut raw = flooded.raw().await;
        for stream in (1..20_001).step_by(2) {
            raw.request_quietly(stream, &GET).await;
            if !raw.try_send(&frame(kind, 0, stream, payload)).await {
                break;
            }
        }
        flooded.assert_ends(raw, reason).await;
    }
}

#[tokio::test]
async fn h2_05_pieces_without_content_end_the_connection() {
    let flooded = Flooded::start().await;
    let mut raw = flooded.raw().await;
    let mut post = GET;
    post[0].1 = "POST";
    raw.upload(1, &post).await;
    let pieces = frame(DATA, 0, 1, &[]).repeat(100);
    for _ in 0..100 {
        if !raw.try_send(&pieces).await {
            break;
        }
    }
    flooded.assert_ends(raw, ENHANCE_YOUR_CALM).await;
}

/// A proxy with this limit for answers that are not taken, in front of a target that
/// [sends without end](sending_without_end).
async fn sending(tls: &Tls, limit: Duration) -> (Running, mpsc::UnboundedReceiver<()>) {
    let (target, events) = sending_without_end().await;
    let mut listen = listen();
    listen.tls = Some(tls.keys.clone());
    listen.http2 = true;
    listen.write_stall_timeout = limit;
    let proxy = Running::listening(target, ProxyConfig::default(), listen, Duration::ZERO).await;
    (proxy, events)
}

#[tokio::test]
async fn t_08_an_answer_that_a_client_gives_no_window_is_given_up_and_no_other() {
    let tls = Tls::new();
    let (proxy, mut events) = sending(&tls, Duration::from_millis(200)).await;
    let mut raw = tls.raw(proxy.addr).await;
    // Windows of streams that hold the small answers only.
    raw.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 4, 0]).await;
    raw.request(1, &GET).await;
    let mut taken = 0;
    while let Some(frame) = raw.next_of(&[DATA, RST_STREAM]).await {
        assert_eq!(frame.stream, 1);
        if frame.kind == RST_STREAM {
            break;
        }
        taken += frame.payload.len();
    }
    assert_eq!(taken, 1024, "what there was a window for");
    soon(events.recv()).await.unwrap();
    raw.request(3, &[GET[0], GET[1], GET[2], (":path", "/hub/")]).await;
    assert_eq!(raw.next_of(&[HEADERS]).await.unwrap().stream, 3, "the connection goes on");
}

#[tokio::test]
async fn t_08_u_02_an_answer_that_is_taken_slowly_goes_on() {
    let tls = Tls::new();
    let limit = Duration::from_secs(2);
    let (proxy, mut events) = sending(&tls, limit).await;
    let mut raw = tls.raw(proxy.addr).await;
    raw.request(1, &GET).await;
    let began = Instant::now();
    while began.elapsed() < limit * 3 / 2 {
        let frame = raw.next_of(&[DATA, RST_STREAM]).await.unwrap();
        assert_eq!(frame.kind, DATA);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let window = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
        raw.send(WINDOW_UPDATE, 0, 0, &window).await;
        raw.send(WINDOW_UPDATE, 0, 1, &window).await;
    }
    assert!(events.try_recv().is_err(), "the target is still asked");
}

/// Frames that have to be answered, many of them.
fn to_be_answered() -> [Vec<u8>; 2] {
    [frame(PING, 0, 0, b"hurry up"), frame(SETTINGS, 0, 0, &[])].map(|frame| frame.repeat(1000))
}

#[tokio::test]
async fn h2_05_a_flood_of_pings_or_settings_is_told_to_calm_down() {
    let flooded = Flooded::start().await;
    for frames in to_be_answered() {
        let mut raw = flooded.raw().await;
        // A request is open, so it is not the limit for connections without any that acts.
        raw.request(1, &GET).await;
        for _ in 0..3 {
            if !raw.try_send(&frames).await {
                break;
            }
        }
        let goaway = raw.next_of(&[GOAWAY]).await.unwrap();
        assert_eq!(goaway.payload, [[0, 0, 0, 1], ENHANCE_YOUR_CALM].concat());
        while raw.next().await.is_some() {}
        flooded.assert_serves_others().await;
    }
}

#[tokio::test]
async fn h2_05_a_flood_whose_answers_nobody_takes_ends_as_well() {
    let flooded = Flooded::start().await;
    for frames in to_be_answered() {
        let mut raw = flooded.raw().await;
        raw.request(1, &GET).await;
        let mut sent = 0;
        // Nothing is read on this side: sooner or later there is no other.
        while raw.try_send(&frames).await {
            sent += frames.len();
            assert!(sent < FLOOD, "all of it was read");
        }
        flooded.assert_serves_others().await;
    }
}

#[tokio::test]
async fn h2_05_pings_and_settings_are_no_reason_to_keep_a_connection() {
    let flooded = Flooded::keeping(Duration::from_millis(100)).await;
    for frame in [frame(PING, 0, 0, b"hurry up"), frame(SETTINGS, 0, 0, &[])] {
        let mut raw = flooded.raw().await;
        // Far from a flood, and neither read nor heeded: the proxy ends it all the same.
        let mut sent = 0;
        while raw.try_send(&frame).await {
            sent += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(sent < 900, "{sent} are many enough to be told to calm down");
        let mut reasons = Vec::new();
        while let Some(frame) = raw.next_quietly().await {
            if frame.kind == GOAWAY {
                reasons.push(frame.payload[4..8].to_vec());
            }
        }
        assert!(reasons.iter().all(|reason| *reason == [0; 4]), "{reasons:?}");
        flooded.assert_serves_others().await;
    }
}

#[tokio::test]
async fn h2_05_a_client_may_ping_all_the_time_while_much_passes() {
    let tls = Tls::new();
    let (proxy, _events) = sending(&tls, DEADLINE).await;
    let mut raw = tls.raw(proxy.addr).await;
    raw.request(1, &GET).await;
    // As clients do that measure how far away the other end is.
    for _ in 0..2_000 {
        let frame = raw.next_of(&[DATA, RST_STREAM, GOAWAY]).await.unwrap();
        assert_eq!(frame.kind, DATA);
        let window = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
        raw.send(WINDOW_UPDATE, 0, 0, &window).await;
        raw.send(WINDOW_UPDATE, 0, 1, &window).await;
        raw.send(PING, 0, 0, b"how far?").await;
    }
}
