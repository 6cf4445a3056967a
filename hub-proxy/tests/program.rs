//! The program as its users meet it: flags, pages, certificates, signals.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use process::{PROGRAM, Program, ask, command, command_anywhere, outcome, refused};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName};
use support::*;
use tokio::{net::TcpStream, process::Command};
use tokio_rustls::TlsConnector;

const HANDSHAKE: &str = "GET /user/ada/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// A certificate and its key in a directory, to be replaced.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a fresh pair and returns its certificate.
    fn renew(&self) -> CertificateDer<'static> {
        self.replace(CertificateParams::new(vec!["hub.example".to_owned()]).unwrap())
    }

    /// As [`Files::renew`], for another host or another time.
    fn replace(&self, params: CertificateParams) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        for (name, text) in [("cert.pem", cert.pem()), ("key.pem", key.serialize_pem())] {
            let new = self.0.path().join("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, self.0.path().join(name)).unwrap();
        }
        cert.der().clone()
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    async fn serving(&self, more: &[&str]) -> Program {
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        let args = [&["--ssl-cert", &cert, "--ssl-key", &key], more].concat();
        Program::start(&args).await
    }
}

/// Whether a browser that trusts just this certificate gets through.
async fn is_served(addr: SocketAddr, cert: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = soon(TcpStream::connect(addr)).await.unwrap();
    let name = ServerName::try_from("hub.example").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.is_ok()
}

#[tokio::test]
async fn p_013_p_019_h_02_the_default_target_answers_and_sees_the_client() {
    let (target, mut heads) = answering(ONCE).await;
    let mut program = Program::start(&["--default-target", &url(target)]).await;
    let beginning = program.beginning.join("\n");
    assert!(beginning.contains("[ConfigProxy] info: Route added /"), "{beginning}");
    let answer = ask(program.public, "GET", "/x?y", "X-Forwarded-For: 9.9.9.9\r\n", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.starts_with("get /x?y http/1.1\r\n"), "{head}");
    assert!(head.contains("x-forwarded-for: 9.9.9.9,127.0.0.1\r\n"), "{head}");
    program.signal(Signal::TERM);
    assert_eq!(program.ended().await.code(), Some(0), "D-06: nothing was cut");
}

#[tokio::test]
async fn a11_claims_of_clients_that_are_not_trusted_are_dropped() {
    let (target, mut heads) = answering(ONCE).await;
    let args = ["--default-target", &url(target), "--trusted-proxies", "10.0.0.0/8"];
    let program = Program::start(&args).await;
    ask(program.public, "GET", "/", "X-Forwarded-For: 9.9.9.9\r\n", "").await;
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.contains("x-forwarded-for: 127.0.0.1\r\n"), "{head}");
}

#[tokio::test]
async fn p_048_p_071_r_03_r_05_r_06_r_33_routes_are_kept_over_the_network() {
    let (target, _heads) = answering(ONCE).await;
    let program = Program::start(&[]).await;
    program.route("/user/ada", target).await;
    assert_eq!(program.get("/user/ada/lab").await.body, "ok", "live when answered");
    let closed = ask(program.api, "DELETE", "/api/routes/user/ada", "", "").await;
    assert_eq!((closed.status, closed.body.as_str()), (403, ""));
    assert!(closed.head.contains("hub-proxy-start: "), "{}", closed.head);
    assert_eq!(program.api("DELETE", "/api/routes/user/ada", "").await.status, 204);
    let gone = program.get("/user/ada/lab").await;
    assert_eq!(gone.status, 404);
    assert!(gone.body.contains("404:") && gone.head.contains("text/html"), "P-048");
    let bulk = format!(r#"{{"routes": {{"/user/bob": {{"target": "{}"}}}}}}"#, url(target));
    assert_eq!(program.api("PUT", "/api/v2/routes", &bulk).await.status, 200);
    assert_eq!(program.get("/user/bob").await.body, "ok");
}

#[tokio::test]
async fn r_31_the_status_counts_websockets() {
    let target = target(|mut client| async move {
        client.head().await;
        client.send(SWITCHED).await;
        client.gone().await;
    })
    .await;
    let program = Program::start(&[]).await;
    program.route("/user/ada", target).await;
    let mut socket = Client::to(program.public).await;
    socket.send(HANDSHAKE).await;
    assert!(socket.head().await.contains(" 101 "));
    let status = program.status().await;
    assert_eq!((&status["websockets"], &status["state"]), (&1.into(), &"serving".into()));
    drop(socket);
    soon(async { while program.status().await["websockets"] != 0 {} }).await;
}

#[tokio::test]
async fn e_01_p_046_the_error_target_renders_pages() {
    let (pages, mut heads) = answering(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nConnection: close\r\n\
         Content-Length: 4\r\n\r\npage",
    )
    .await;
    let error_target = format!("{}/hub/error", url(pages));
    let program = Program::start(&["--error-target", &error_target]).await;
    let answer = ask(program.public, "GET", "/no%20such", "Cookie: c=1\r\n", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "page"));
    assert!(answer.head.contains("content-type: text/plain"), "{}", answer.head);
    assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.starts_with("get /hub/error/404?url=%2fno%2520such http/1.1\r\n"), "{head}");
    assert!(!head.contains("cookie"), "nobody's cookies: {head}");

    program.route("/user/ada", nowhere().await).await;
    assert_eq!(program.get("/user/ada").await.status, 503);
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.starts_with("get /hub/error/503?url=%2fuser%2fada http/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn e_01_without_an_answer_of_the_error_target_the_built_in_page_is_shown() {
    let error_target = url(nowhere().await);
    let program = Program::start(&["--error-target", &error_target]).await;
    let answer = program.get("/nothing").await;
    assert!(answer.status == 404 && answer.body.contains("404:"), "{answer:?}");
}

#[tokio::test]
async fn e_03_p_047_pages_come_from_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("404.html"), "own").unwrap();
    fs::write(dir.path().join("error.html"), "common").unwrap();
    let program = Program::start(&["--error-path", dir.path().to_str().unwrap()]).await;
    let answer = program.get("/nothing").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "own"));
    assert!(answer.head.contains("content-type: text/html"), "{}", answer.head);
    program.route("/user/ada", nowhere().await).await;
    let answer = program.get("/user/ada").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "common"));
}

#[tokio::test]
async fn e_05_a_websocket_without_a_route_gets_a_bare_404() {
    let program = Program::start(&[]).await;
    let mut client = Client::to(program.public).await;
    client.send(HANDSHAKE).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("content-length: 0\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn p_017_h_01_h_06_p_037_to_p_039_flags_change_what_the_target_sees() {
    let (target, mut heads) = answering(ONCE).await;
    let args = ["--no-include-prefix", "--no-prepend-path", "--change-origin", "--no-x-forward"];
    let headers = ["--custom-header", "x-a:  one:two ", "--custom-header", "X-B: 2"];
    let program = Program::start(&[&args[..], &headers].concat()).await;
    let body = format!(r#"{{"target": "{}/base"}}"#, url(target));
    program.api("POST", "/api/routes/user/a%20da", &body).await;
    ask(program.public, "GET", "/user/a%20da/x%20y?q=1", "X-A: theirs\r\n", "").await;
    let head = soon(heads.recv()).await.unwrap();
    assert!(head.starts_with("get /x%20y?q=1 http/1.1\r\n"), "{head}");
    for line in ["x-a: one:two", "x-b: 2", &format!("host: {target}")] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("x-forwarded"), "{head}");
}

#[tokio::test]
async fn p_044_with_host_routing_the_host_is_the_first_segment() {
    let (target, mut heads) = answering(ONCE).await;
    let program = Program::start(&["--host-routing"]).await;
    program.route("/Hub.Example/user", target).await;
    let asked = async |host: &str| {
        let mut client = Client::to(program.public).await;
        client
            .send(format!("GET /user/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .await;
        client.head().await.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(asked("HUB.example:8000").await, "200");
    assert!(soon(heads.recv()).await.unwrap().starts_with("get /user/x http/1.1\r\n"));
    assert_eq!(asked("other.example").await, "404");
    assert_eq!(program.routes().await["/hub.example/user"]["host"], "hub.example");
}

#[tokio::test]
async fn sm_22_with_host_routing_an_absolute_target_leads_to_its_own_host() {
    let (real, mut heads) = answering(ONCE).await;
    let (other, mut others) = answering(ONCE).await;
    let program = Program::start(&["--host-routing", "--no-include-prefix"]).await;
    program.route("/real.example/user", real).await;
    program.route("/%5B::1%5D", real).await;
    program.route("/other.example", other).await;
    let asked = async |line: &str, host: &str| {
        let mut client = Client::to(program.public).await;
        client.send(format!("{line}\r\n{host}Connection: close\r\n\r\n")).await;
        client.head().await.split(' ').nth(1).unwrap().to_owned()
    };
    for (line, path, host) in [
        ("GET http://real.example/user/x?y HTTP/1.1", "/x?y", "real.example"),
        ("GET http://REAL.example:8000/user HTTP/1.1", "/", "real.example:8000"),
        ("GET http://[::1]:8000/user HTTP/1.1", "/user", "[::1]:8000"),
    ] {
        assert_eq!(asked(line, "Host: other.example\r\n").await, "200", "{line}");
        let head = soon(heads.recv()).await.unwrap();
        assert!(head.starts_with(&format!("get {path} http/1.1\r\n")), "{line}: {head}");
        for field in ["host", "x-forwarded-host"] {
            assert!(head.contains(&format!("\r\n{field}: {host}\r\n")), "{line}: {head}");
        }
        assert!(!head.contains("other.example"), "{line}: {head}");
    }
    let elsewhere = "GET http://elsewhere.example/user/x HTTP/1.1";
    assert_eq!(asked(elsewhere, "Host: real.example\r\n").await, "404");
    assert_eq!(asked("GET /user/x HTTP/1.1", "Host: [::1]\r\n").await, "200");
    assert_eq!(asked("GET /user/x HTTP/1.0", "").await, "404", "no host, no default");
    assert!(others.try_recv().is_err(), "nothing went by the field");
}

#[tokio::test]
async fn t_03_t_05_silence_ends_where_it_is_limited() {
    let silent = target(|mut client| async move { client.gone().await }).await;
    let program = Program::start(&["--proxy-timeout", "200"]).await;
    program.route("/user/ada", silent).await;
    assert_eq!(program.get("/user/ada").await.status, 503);

    let program = Program::start(&["--timeout", "200"]).await;
    program.route("/user/ada", silent).await;
    let mut client = Client::to(program.public).await;
    client.send(get("/user/ada")).await;
    client.gone().await;
}

#[tokio::test]
async fn p_052_p_069_d_01_d_02_the_health_check_says_that_the_process_ends() {
    let mut program = Program::start(&["--drain-delay", "3600"]).await;
    let well = program.get("/_chp_healthz").await;
    assert_eq!((well.status, well.body.as_str()), (200, r#"{"status":"OK"}"#));
    assert_eq!(program.get("/_chp_healthz?x").await.status, 404, "an ordinary path");
    program.signal(Signal::TERM);
    program.line("SIGTERM: draining").await;
    soon(async { while program.get("/_chp_healthz").await.status != 503 {} }).await;
    assert_eq!(program.status().await["state"], "draining");
    program.signal(Signal::INT);
    assert_eq!(program.ended().await.code(), Some(0), "a second signal waits for nothing");
}

#[tokio::test]
async fn d_04_d_05_d_06_open_websockets_are_waited_for_and_then_cut() {
    let target = target(|mut client| async move {
        client.head().await;
        client.send(SWITCHED).await;
        client.gone().await;
    })
    .await;
    let mut program = Program::start(&["--drain-timeout", "3600"]).await;
    program.route("/user/ada", target).await;
    let mut socket = Client::to(program.public).await;
    socket.send(HANDSHAKE).await;
    socket.head().await;
    program.signal(Signal::TERM);
    program.line("SIGTERM: draining").await;
    assert!(program.is_running());
    program.signal(Signal::TERM);
    socket.gone().await;
    assert_eq!(program.ended().await.code(), Some(2));
}

#[tokio::test]
async fn d_02_d_04_without_flags_nothing_is_accepted_and_open_connections_have_30_s() {
    for (args, waits) in [
        (&[][..], "accepted for 0 s more, and what is open then has 30 s"),
        (&["--drain-delay=1", "--drain-timeout=7"], "for 1 s more, and what is open then has 7 s"),
    ] {
        let mut program = Program::start(args).await;
        program.signal(Signal::TERM);
        let line = program.line("SIGTERM: draining").await;
        assert!(line.ends_with(waits), "{line}");
        assert_eq!(program.ended().await.code(), Some(0));
    }
}

#[tokio::test]
async fn d_04_as_the_child_of_a_jupyterhub_nothing_is_waited_for() {
    let target = target(|mut client| async move {
        client.head().await;
        client.send(SWITCHED).await;
        client.gone().await;
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let hub = dir.path().join("jupyterhub");
    // Passes the signal on, and ends as its child does.
    let script = r#""$@" & child=$!; trap 'kill -TERM $child' TERM; wait $child; wait $child"#;
    fs::write(&hub, script).unwrap();
    for (more, waits) in [(&[][..], "has 0 s"), (&["--drain-timeout=7"], "has 7 s")] {
        let mut command = command_anywhere(Path::new("sh"), &[hub.to_str().unwrap(), PROGRAM]);
        command.args(["--ip=127.0.0.1", "--port=0", "--api-ip=127.0.0.1", "--api-port=0"]);
        command.args(more);
        let mut program = Program::of(command).await;
        program.route("/user/ada", target).await;
        let mut socket = Client::to(program.public).await;
        socket.send(HANDSHAKE).await;
        socket.head().await;
        program.signal(Signal::TERM);
        let line = program.line("SIGTERM: draining").await;
        assert!(line.ends_with(waits), "{line}");
        if more.is_empty() {
            socket.gone().await;
            assert_eq!(program.ended().await.code(), Some(2), "it was cut");
        }
    }
}

#[tokio::test]
async fn d_06_compat_exit_is_the_code_of_configurable_http_proxy() {
    let mut program = Program::start(&["--compat-exit"]).await;
    program.signal(Signal::INT);
    assert_eq!(program.ended().await.code(), Some(2));
}

#[tokio::test]
async fn s_08_certificates_are_read_again_when_files_change_or_on_sighup() {
    let files = Files::new();
    let first = files.renew();
    let mut program = files.serving(&[]).await;
    assert!(is_served(program.public, &first).await);

    let second = files.renew();
    program.line("were read again").await;
    assert!(is_served(program.public, &second).await);
    assert!(!is_served(program.public, &first).await);

    fs::write(files.path("key.pem"), "nonsense").unwrap();
    let said = program.line("the certificate was not replaced").await;
    assert!(said.contains("key.pem: not PEM"), "{said}");
    assert!(is_served(program.public, &second).await, "a bad pair changes nothing");

    let third = files.renew();
    program.signal(Signal::HUP);
    program.line("were read again").await;
    assert!(is_served(program.public, &third).await);
}

#[tokio::test]
async fn p_015_s_14_plain_http_is_sent_to_https() {
    let files = Files::new();
    files.renew();
    let more = ["--redirect-port", "0", "--redirect-to", "443"];
    let mut program = files.serving(&more).await;
    let line = program.line("Added HTTP to HTTPS redirection from ").await;
    let from: SocketAddr =
        line.split(" from ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let answer = ask(from, "GET", "/a?b", "", "").await;
    assert_eq!(answer.status, 301);
    assert!(answer.head.contains("location: https://h/a?b\r\n"), "{}", answer.head);
}

#[tokio::test]
async fn tls_5_the_redirect_can_keep_the_method() {
    let files = Files::new();
    files.renew();
    let mut program = files.serving(&["--redirect-port", "0", "--redirect-keeps-method"]).await;
    let line = program.line("Added HTTP to HTTPS redirection from ").await;
    let from: SocketAddr =
        line.split(" from ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(ask(from, "POST", "/a?b", "", "x=1").await.status, 308);
}

#[tokio::test]
async fn tls_2_a_certificate_for_another_host_is_refused_at_the_start_and_later() {
    let files = Files::new();
    let other = || CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    files.replace(other());
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let host = ["--ssl-host", "hub.example"];
    let args = [&["--ssl-cert", cert.as_str(), "--ssl-key", key.as_str()], &host[..]].concat();
    let (code, said) = refused(&args).await;
    assert_eq!(code, 2);
    assert!(said.contains("is not for hub.example but for other.example"), "{said}");

    let first = files.renew();
    let mut program = files.serving(&host).await;
    files.replace(other());
    program.line("the certificate was not replaced; the old one stays").await;
    program.signal(Signal::HUP);
    program.line("the certificate was not replaced; the old one stays").await;
    assert!(is_served(program.public, &first).await);
}

#[tokio::test]
async fn tls_2_an_expired_certificate_is_served_where_that_is_wanted_until_there_is_another() {
    let files = Files::new();
    let expired = || {
        let mut params = CertificateParams::new(vec!["hub.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        params
    };
    files.replace(expired());
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let (code, said) = refused(&["--ssl-cert", &cert, "--ssl-key", &key]).await;
    assert_eq!(code, 2);
    assert!(said.contains("the certificate expired on 2020-02-01"), "{said}");

    let mut program = files.serving(&["--serve-expired"]).await;
    let said = program.line("the certificate has expired").await;
    assert!(said.contains("error: "), "{said}");
    let not_after = &program.status().await["certificate"]["not_after"];
    assert_eq!(not_after, "2020-02-01T00:00:00Z");
    files.replace(expired());
    program.line("the certificate was not replaced; the old one stays").await;
    let fresh = files.renew();
    program.line("were read again").await;
    assert!(is_served(program.public, &fresh).await);
}

#[tokio::test]
async fn r_06_another_token_in_its_file_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let write = |token: &str| {
        let new = dir.path().join("new");
        fs::write(&new, token).unwrap();
        fs::rename(&new, &path).unwrap();
    };
    write("s3cret\n");
    let mut command = command(Path::new(PROGRAM), &[]);
    command.env_remove("CONFIGPROXY_AUTH_TOKEN").env("CONFIGPROXY_AUTH_TOKEN_FILE", &path);
    let mut program = Program::of(command).await;
    assert_eq!(program.api("GET", "/api/routes", "").await.status, 200);

    write("0ther\n");
    program.line("The REST API's token was read again").await;
    assert_eq!(program.api("GET", "/api/routes", "").await.status, 403, "the old one");
    let other = "Authorization: token 0ther\r\n";
    assert_eq!(ask(program.api, "GET", "/api/routes", other, "").await.status, 200);

    write("");
    program.signal(Signal::HUP);
    let said = program.line("token was not replaced; the old one stays").await;
    assert!(said.contains("CONFIGPROXY_AUTH_TOKEN_FILE") && said.contains("is empty"), "{said}");
    assert_eq!(ask(program.api, "GET", "/api/routes", other, "").await.status, 200);

    write("s3cret");
    program.signal(Signal::HUP);
    program.line("The REST API's token was read again").await;
    assert_eq!(program.api("GET", "/api/routes", "").await.status, 200);
}

#[tokio::test]
async fn without_usable_tls_files_the_exit_code_is_2() {
    let (code, said) = refused(&["--ssl-key", "/no/key", "--ssl-cert", "/no/cert"]).await;
    assert_eq!(code, 2);
    assert!(said.contains("--ssl-cert, --ssl-key: /no/cert: no such file"), "{said}");
}

#[tokio::test]
async fn section_1_what_cannot_be_done_is_refused_in_words() {
    for (args, text) in [
        (vec!["--nonsense"], "--nonsense"),
        (vec!["--api-socket", "x"], "cannot be used with"),
        (vec!["--custom-header", "x"], "colon was expected"),
        (vec!["--ip", "no.such.host.invalid"], "--ip: \"no.such.host.invalid\" is no address"),
        (vec!["--redirect-port", "80"], "--ssl-key"),
        (vec!["--log-level", "loud"], "--log-level: \"loud\""),
    ] {
        let (code, said) = refused(&args).await;
        assert_eq!(code, 1, "{args:?}");
        assert!(said.contains(text), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn p_018_a_custom_header_without_colon_or_name_ends_the_program() {
    // Where something listens already: what is wrong is told before anything is opened.
    let program = Program::start(&[]).await;
    let port = program.public.port().to_string();
    for field in ["no colon", "", ":", ": value", "  : value"] {
        let mut command = Command::new(PROGRAM);
        command.args(["--ip", "127.0.0.1", "--port", &port, "--custom-header", "x-a: fine"]);
        command.args(["--custom-header", field]);
        let (code, said) = outcome(command).await;
        assert_eq!(code, 1, "{field:?}: {said}");
        assert!(said.contains("--custom-header") && said.contains("colon was expected"), "{said}");
        assert!(!said.contains("in use"), "{field:?}: {said}");
    }
}

#[tokio::test]
async fn the_health_of_a_proxy_can_be_asked_without_other_tools() {
    let healthcheck = async |url: String| {
        let mut command = Command::new(PROGRAM);
        command.args(["healthcheck", "--url", &url]);
        outcome(command).await
    };
    let program = Program::start(&[]).await;
    assert_eq!(healthcheck(format!("{}/_chp_healthz", url(program.public))).await.0, 0);
    let (code, said) = healthcheck(format!("{}/other", url(program.public))).await;
    assert_eq!(code, 1);
    assert!(said.contains("the answer is 404"), "{said}");
    assert_eq!(healthcheck(url(nowhere().await)).await.0, 1);

    let files = Files::new();
    files.renew();
    let program = files.serving(&[]).await;
    let url = format!("https://{}/_chp_healthz", program.public);
    assert_eq!(healthcheck(url).await, (0, String::new()), "whatever the certificate names");
}

#[tokio::test]
async fn an_open_api_is_warned_about() {
    let mut open = command(Path::new(PROGRAM), &[]);
    open.env_remove("CONFIGPROXY_AUTH_TOKEN");
    let mut program = Program::of(open).await;
    program.line("REST API is not authenticated.").await;
    let answer = ask(program.api, "GET", "/api/routes", "", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
}

#[tokio::test]
async fn h2_01_the_program_speaks_http2_without_tls_if_it_is_told_to() {
    let begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let program = Program::start(&["--h2c"]).await;
    let mut client = Client::to(program.public).await;
    client.send(begin).await;
    assert_eq!(client.take(9).await[3], 4, "settings");
    assert_eq!(program.get("/").await.status, 404, "HTTP/1.1 is spoken, too");
    let mut client = Client::to(program.api).await;
    client.send(begin).await;
    assert!(client.head().await.starts_with("http/1.1 400 "), "for browsers' side only");

    let files = Files::new();
    files.renew();
    let program = files.serving(&["--h2c"]).await;
    let beginning = program.beginning.join("\n");
    assert!(beginning.contains("warn: --h2c has no effect under TLS"), "{beginning}");
}
