//! What Prometheus is told (proxy contract, section 10).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/http2.rs"]
mod http2;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{fs, net::SocketAddr, path::Path};

use process::{Program, ask};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustix::process::Signal;
use support::*;

/// Where the program says that its numbers are.
async fn announced(program: &mut Program) -> SocketAddr {
    let line = program.line("Metrics at http://").await;
    let at = line.split("http://").nth(1).unwrap();
    at.trim_end_matches("/metrics").parse().unwrap()
}

/// The value of each line; names with their labels.
async fn numbers(at: SocketAddr) -> Vec<(String, f64)> {
    let answer = ask(at, "GET", "/metrics", "", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let lines = answer.body.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

async fn number(at: SocketAddr, name: &str) -> Option<f64> {
    numbers(at).await.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// Writes a certificate that is good until the first of this year.
fn certify(dir: &Path, year: i32) {
    let mut params = CertificateParams::new(vec!["hub.example".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    for (name, text) in [("key.pem", key.serialize_pem()), ("cert.pem", cert.pem())] {
        let new = dir.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, dir.join(name)).unwrap();
    }
}

/// The first of January, in seconds since 1970.
fn first_of(year: i32) -> f64 {
    let day = jiff::civil::date(i16::try_from(year).unwrap(), 1, 1);
    day.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second() as f64
}

#[tokio::test]
async fn m_01_to_m_09_numbers_are_at_one_path_of_a_listener_of_their_own() {
    let args = ["--metrics-ip", "127.0.0.1", "--metrics-port", "0"];
    let mut program = Program::start(&args).await;
    let at = announced(&mut program).await;
    assert_eq!(number(at, "hub_proxy_routes").await, Some(0.0));
    let (target, _heads) = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    program.route("/user/ada", target).await;
    let all = numbers(at).await;
    let value = |name: &str| all.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    assert_eq!(value("hub_proxy_routes"), Some(1.0), "{all:?}");
    assert_eq!(value("hub_proxy_websockets"), Some(0.0));
    assert!(value("hub_proxy_connections").is_some());
    assert_eq!(value("api_route_add"), Some(1.0));
    assert_eq!(value("requests_api{status=\"201\"}"), Some(1.0), "{all:?}");
    assert_eq!(value("requests_web"), Some(0.0));
    assert_eq!(value("hub_proxy_draining"), Some(0.0));
    assert!(all.iter().any(|(name, _)| name.starts_with("hub_proxy_build_info{version=")));
    assert_eq!(value("hub_tls_not_after_seconds"), None, "no TLS here");
    // M-02, M-04.
    assert!(value("process_resident_memory_bytes").unwrap() > 0.0);
    assert!(value("process_cpu_seconds_total").is_some());
    assert!(all.iter().all(|(name, _)| !name.starts_with("nodejs_")));

    for (method, path, status) in
        [("GET", "/", 404), ("GET", "/metrics/x", 404), ("POST", "/metrics", 405)]
    {
        assert_eq!(ask(at, method, path, "", "").await.status, status, "{method} {path}");
    }
    assert_eq!(program.get("/metrics").await.status, 404, "not where browsers are");
    assert_eq!(number(at, "requests_web").await, Some(1.0));
    assert_eq!(number(at, "requests_ws").await, Some(0.0));
    assert_eq!(number(at, "requests_proxy{status=\"404\"}").await, Some(1.0));
    let all = numbers(at).await;
    assert!(all.iter().all(|(name, _)| !name.contains("ada")), "no user has a number: {all:?}");
}

#[tokio::test]
async fn m_03_an_address_without_a_port_is_no_listener() {
    let mut program = Program::start(&["--metrics-ip", "127.0.0.1"]).await;
    assert_eq!(program.get("/").await.status, 404);
    assert!(!program.last_words().await.contains("Metrics at"), "as configurable-http-proxy");
}

#[tokio::test]
async fn m_01_look_ups_and_updates_are_summaries_as_configurable_http_proxy_has_them() {
    let args = ["--metrics-ip", "127.0.0.1", "--metrics-port", "0"];
    let mut program = Program::start(&args).await;
    let at = announced(&mut program).await;
    let page = ask(at, "GET", "/metrics", "", "").await.body;
    let names = ["find_target_for_req", "last_activity_updating"];
    for name in names {
        assert!(page.contains(&format!("\n# TYPE {name} summary\n")), "{page}");
        for series in ["_sum", "_count", "{quantile=\"0.5\"}", "{quantile=\"0.999\"}"] {
            assert_eq!(number(at, &format!("{name}{series}")).await, Some(0.0), "{series}");
        }
    }
    // Nothing below 300, nothing that counts as use.
    assert_eq!(program.get("/nowhere").await.status, 404);
    assert_eq!(number(at, "find_target_for_req_count").await, Some(1.0));
    assert_eq!(number(at, "last_activity_updating_count").await, Some(0.0));

    let (target, _heads) = answering(ONCE).await;
    program.route("/user/ada", target).await;
    assert_eq!(program.get("/user/ada/").await.body, "ok");
    assert_eq!(number(at, "find_target_for_req_count").await, Some(2.0));
    for name in names {
        assert!(number(at, &format!("{name}_count")).await >= Some(1.0), "{name}");
        let sum = number(at, &format!("{name}_sum")).await.unwrap();
        assert!(sum > 0.0 && sum < 60.0, "in seconds: {sum}");
        let low = number(at, &format!("{name}{{quantile=\"0.01\"}}")).await.unwrap();
        let high = number(at, &format!("{name}{{quantile=\"0.999\"}}")).await.unwrap();
        // The middle of a range may be a sixteenth beside what was measured.
        assert!(low <= high && high <= sum * 17.0 / 16.0, "{name}: {low}, {high} of {sum}");
    }
}

/// Waits until a number is at least so much, and tells it.
async fn reaches(at: SocketAddr, name: &str, least: f64) -> f64 {
    soon(async {
        loop {
            if let Some(value) = number(at, name).await.filter(|value| *value >= least) {
                return value;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn m_05_to_m_09_traffic_has_numbers_from_the_start_and_none_is_a_users() {
    let args = ["--metrics-ip", "127.0.0.1", "--metrics-port", "0"];
    let mut program = Program::start(&args).await;
    let at = announced(&mut program).await;
    let page = ask(at, "GET", "/metrics", "", "").await.body;
    for name in [
        "hub_proxy_bytes_total",
        "hub_proxy_upstream_connects_total",
        "hub_proxy_upstream_reuses_total",
        "hub_proxy_upstream_retries_total",
        "hub_proxy_tls_handshakes_total",
        "hub_proxy_rejected_requests_total",
    ] {
        assert!(page.contains(&format!("\n# HELP {name} ")), "{page}");
        assert!(page.contains(&format!("\n# TYPE {name} counter\n")), "{page}");
    }
    for name in ["hub_proxy_time_to_first_byte_seconds", "hub_proxy_request_duration_seconds"] {
        assert!(page.contains(&format!("\n# TYPE {name} histogram\n")), "{page}");
        assert_eq!(number(at, &format!("{name}_count")).await, Some(0.0));
    }
    assert_eq!(number(at, "hub_proxy_upstream_retries_total").await, Some(0.0));
    let received = "hub_proxy_bytes_total{direction=\"from_clients\"}";
    assert_eq!(number(at, received).await, Some(0.0), "those who ask for numbers do not count");

    let target = target(|mut client| async move {
        while let Some(first) = client.try_take(1).await {
            client.ahead.splice(0..0, first);
            client.head().await;
            client.send(OK).await;
        }
    })
    .await;
    program.route("/user/ada", target).await;
    let mut asked = 0.0;
    soon(async {
        while number(at, "hub_proxy_upstream_reuses_total").await == Some(0.0) {
            assert_eq!(program.get("/user/ada/").await.body, "ok");
            asked += 1.0;
        }
    })
    .await;
    let made = number(at, "hub_proxy_upstream_connects_total{result=\"ok\"}").await.unwrap();
    assert!(made >= 1.0 && made < asked, "{made} for {asked}");
    program.route("/user/eve", nowhere().await).await;
    assert_eq!(program.get("/user/eve/").await.status, 503);
    asked += 1.0;
    let failed = number(at, "hub_proxy_upstream_connects_total{result=\"failed\"}").await;
    assert_eq!(failed, Some(1.0));

    for (request, reason) in [
        ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "malformed"),
        ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "unsupported"),
        ("GET /%zz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "path"),
    ] {
        let name = format!("hub_proxy_rejected_requests_total{{reason=\"{reason}\"}}");
        assert_eq!(number(at, &name).await, Some(0.0));
        let mut client = Client::to(program.public).await;
        client.send(request).await;
        client.gone().await;
        assert_eq!(number(at, &name).await, Some(1.0), "{reason}");
    }
    // What no parser took for a request has no answer of a service.
    asked += 2.0;
    for name in ["hub_proxy_time_to_first_byte_seconds", "hub_proxy_request_duration_seconds"] {
        assert_eq!(reaches(at, &format!("{name}_count"), asked).await, asked, "{name}");
        let all = number(at, &format!("{name}_bucket{{le=\"+Inf\"}}")).await;
        assert_eq!(all, Some(asked));
        assert!(number(at, &format!("{name}_bucket{{le=\"0.005\"}}")).await <= all);
        assert!(number(at, &format!("{name}_sum")).await > Some(0.0));
    }
    assert!(number(at, received).await > Some(100.0));
    assert!(number(at, "hub_proxy_bytes_total{direction=\"to_clients\"}").await > Some(100.0));
    let users = |name: &String| name.contains("ada") || name.contains("eve");
    assert!(!numbers(at).await.iter().any(|(name, _)| users(name)));
}

#[tokio::test]
async fn m_08_handshakes_are_counted_by_how_they_end() {
    let (tls, dir) = (http2::Tls::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    fs::write(&cert, &tls.cert_pem).unwrap();
    fs::write(&key, &tls.key_pem).unwrap();
    let files = ["--ssl-cert", &cert, "--ssl-key", &key];
    let args = [&files[..], &["--metrics-ip", "127.0.0.1", "--metrics-port", "0"]].concat();
    let mut program = Program::start(&args).await;
    let at = announced(&mut program).await;
    let stream = tls.connect(program.public).await;
    reaches(at, "hub_proxy_tls_handshakes_total{result=\"ok\"}", 1.0).await;
    drop(stream);
    let mut client = Client::to(program.public).await;
    client.send(b"\x16\x03\x01\x00\x02no").await;
    client.gone().await;
    let failed = "hub_proxy_tls_handshakes_total{result=\"failed\"}";
    assert_eq!(reaches(at, failed, 1.0).await, 1.0);
}

#[tokio::test]
async fn acme_2_the_end_of_the_certificate_is_a_number_and_z_01_a_successor_goes_on_with_it() {
    let dir = tempfile::tempdir().unwrap();
    certify(dir.path(), 2040);
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let mut program = Program::start(&[
        "--ssl-cert",
        &cert,
        "--ssl-key",
        &key,
        "--metrics-ip",
        "127.0.0.1",
        "--metrics-port",
        "0",
    ])
    .await;
    let at = announced(&mut program).await;
    assert_eq!(number(at, "hub_tls_not_after_seconds").await, Some(first_of(2040)));

    certify(dir.path(), 2041);
    program.signal(Signal::HUP);
    soon(async {
        while number(at, "hub_tls_not_after_seconds").await != Some(first_of(2041)) {
            tokio::task::yield_now().await;
        }
    })
    .await;

    program.signal(Signal::USR2);
    program.line("serves now").await;
    assert_eq!(number(at, "hub_tls_not_after_seconds").await, Some(first_of(2041)));
}
