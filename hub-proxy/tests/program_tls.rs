//! Who shows whom a certificate, on all three sides of the program: browsers, the REST
//! API's clients, targets.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{
    fs, io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use authority::*;
use process::{PROGRAM, Program, command, outcome, refused};
use rustix::process::Signal;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use support::*;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_util::task::TaskTracker;

/// A target with TLS that answers each request with the name it was called by.
async fn encrypted_target(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let tasks = TaskTracker::new();
    tasks.clone().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tasks.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let name = stream.get_ref().1.server_name().unwrap_or("nobody").to_owned();
                let mut client = Client::over(stream);
                let answer = match client.head().await.contains("upgrade: websocket") {
                    true => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                             Connection: Upgrade\r\n\r\n"
                        .to_owned(),
                    false => format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{name}",
                        name.len()
                    ),
                };
                client.send(answer).await;
                if client.try_take(4).await.is_some_and(|said| said == b"ping") {
                    client.send("pong").await;
                }
            });
        }
    });
    addr
}

async fn connect(
    addr: SocketAddr,
    name: &str,
    config: ClientConfig,
) -> io::Result<Client<TlsStream<TcpStream>>> {
    let stream = soon(TcpStream::connect(addr)).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    Ok(Client::over(soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await?))
}

/// What `addr` answers to somebody; an error if it does not speak to them.
async fn asked(addr: SocketAddr, config: ClientConfig, fields: &str) -> io::Result<String> {
    let mut client = connect(addr, "127.0.0.1", config).await?;
    let request = format!(
        "GET /api/routes HTTP/1.1\r\nHost: h\r\nAuthorization: token s3cret\r\n\
         Connection: close\r\n{fields}\r\n"
    );
    client.send(request).await;
    // With TLS 1.3 a client learns only now that its certificate is not liked.
    Ok(String::from_utf8(client.try_rest().await?).unwrap())
}

#[tokio::test]
async fn p_053_s_05_s_06_a_target_gets_our_certificate_and_its_own_name() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let shown = authority.issue(&["localhost", "127.0.0.1"]);
    let target = encrypted_target(authority.server(&shown)).await;
    let ours = authority.issue(&["proxy"]);
    let (named, addressed) =
        (format!("https://localhost:{}", target.port()), format!("https://{target}"));
    let (ca, cert, key) = (authority.file(), arg(&ours.cert), arg(&ours.key));
    let identity = ["--client-ssl-cert", cert, "--client-ssl-key", key];
    let flags = ["--client-ssl-request-cert", "--client-ssl-reject-unauthorized"];
    let believing = ["--default-target", &named, "--client-ssl-ca", arg(&ca)];

    let proxy = Program::start(&[&believing[..], &identity, &flags].concat()).await;
    let answer = proxy.get("/x").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "localhost"));
    let body = format!(r#"{{"target": "{addressed}"}}"#);
    assert_eq!(proxy.api("POST", "/api/routes/ip", &body).await.status, 201);
    let answer = proxy.get("/ip").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "nobody"), "an address is no name");

    // A WebSocket goes the same way.
    let mut client = Client::to(proxy.public).await;
    let handshake = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    client.send(format!("{handshake}\r\n")).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    client.send("ping").await;
    assert_eq!(client.take(4).await, b"pong");

    let proxy = Program::start(&believing).await;
    assert_eq!(proxy.get("/x").await.status, 503, "without a certificate of ours");
    let other = strangers.file();
    let doubting = ["--default-target", &named, "--client-ssl-ca", arg(&other)];
    let proxy = Program::start(&[&doubting[..], &identity].concat()).await;
    assert_eq!(proxy.get("/x").await.status, 503, "nobody we believe vouches for it");
}

#[tokio::test]
async fn s_12_a_target_is_checked_unless_told_otherwise() {
    let authority = Authority::new();
    let shown = authority.issue(&["another.example"]);
    let target = encrypted_target(authority.server(&shown)).await;
    let target = format!("https://localhost:{}", target.port());
    let (ca, ours) = (authority.file(), authority.issue(&["proxy"]));
    let base = ["--default-target", &target, "--client-ssl-cert", arg(&ours.cert)];
    let base = [&base[..], &["--client-ssl-key", arg(&ours.key)]].concat();

    let checked = [&base[..], &["--client-ssl-ca", arg(&ca)]].concat();
    assert_eq!(Program::start(&checked).await.get("/").await.status, 503, "another's name");
    assert_eq!(Program::start(&base).await.get("/").await.status, 503, "unknown to the system");
    let mut proxy = Program::start(&[&base[..], &["--insecure"]].concat()).await;
    assert_eq!(proxy.get("/").await.status, 200);
    assert!(proxy.last_words().await.contains("--insecure: certificates of targets"));
    // As JupyterHub gives them with `internal_ssl`.
    let both = [&checked[..], &["--insecure"]].concat();
    assert_eq!(Program::start(&both).await.get("/").await.status, 200);
}

#[tokio::test]
async fn e_01_an_error_target_at_https_is_reached_as_targets_are() {
    let authority = Authority::new();
    let shown = authority.issue(&["localhost"]);
    let target = encrypted_target(authority.server(&shown)).await;
    let (ca, ours) = (authority.file(), authority.issue(&["proxy"]));
    let target = format!("https://localhost:{}/hub/error", target.port());
    let proxy = Program::start(&[
        "--error-target",
        &target,
        "--client-ssl-ca",
        arg(&ca),
        "--client-ssl-cert",
        arg(&ours.cert),
        "--client-ssl-key",
        arg(&ours.key),
    ])
    .await;
    let answer = proxy.get("/nowhere").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "localhost"));
}

#[tokio::test]
async fn s_03_browsers_show_certificates_where_they_are_asked() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let shown = authority.issue(&["127.0.0.1"]);
    let (known, unknown) = (authority.issue(&["browser"]), strangers.issue(&["browser"]));
    let (ca, cert, key) = (authority.file(), arg(&shown.cert), arg(&shown.key));
    let ask = ["--ssl-cert", cert, "--ssl-key", key, "--ssl-ca", arg(&ca), "--ssl-request-cert"];
    let require = [&ask[..], &["--ssl-reject-unauthorized"]].concat();

    let proxy = Program::start(&require).await;
    let answer = asked(proxy.public, authority.client(Some(&known)), "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    for stranger in [Some(&unknown), None] {
        let refused = asked(proxy.public, authority.client(stranger), "").await;
        assert!(refused.is_err(), "{refused:?}");
    }

    let proxy = Program::start(&ask).await;
    let answer = asked(proxy.public, authority.client(None), "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(asked(proxy.public, authority.client(Some(&unknown)), "").await.is_err());
}

#[tokio::test]
async fn s_03_s_04_without_authorities_any_certificate_will_do_or_none() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let shown = authority.issue(&["127.0.0.1"]);
    let unknown = strangers.issue(&["browser"]);
    for side in ["", "api-"] {
        let flag = |name: &str| format!("--{side}ssl-{name}");
        let (cert, key, ask) = (flag("cert"), flag("key"), flag("request-cert"));
        let args = [&*cert, arg(&shown.cert), &*key, arg(&shown.key), &*ask];
        let mut proxy = Program::start(&args).await;
        let addr = if side.is_empty() { proxy.public } else { proxy.api };
        let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
        for version in versions {
            // With a certificate, whether it was asked for shows in the handshake.
            let (client, asks) = authority.watched_client(&unknown, version);
            assert!(asked(addr, client, "").await.unwrap().starts_with("HTTP/1.1 "));
            assert_eq!(asks.load(Ordering::Relaxed), 1, "{side} {version:?}");
            // A certificate of which the client does not have the key is not its own.
            let client = authority.lying_client(&unknown, version);
            assert!(asked(addr, client, "").await.is_err(), "{side} {version:?}");
        }
        assert!(asked(addr, authority.client(None), "").await.is_ok());
        let log = proxy.last_words().await;
        assert!(log.contains(&format!("warn: {ask}: nobody checks")), "{log}");

        // The authorities of the system count once somebody has to vouch.
        let reject = flag("reject-unauthorized");
        let mut command = command(Path::new(PROGRAM), &[&args[..], &[&*reject]].concat());
        command.env("SSL_CERT_FILE", authority.file());
        let mut proxy = Program::of(command).await;
        let addr = if side.is_empty() { proxy.public } else { proxy.api };
        let known = authority.issue(&["browser"]);
        assert!(asked(addr, authority.client(Some(&known)), "").await.is_ok());
        for stranger in [Some(&unknown), None] {
            assert!(asked(addr, authority.client(stranger), "").await.is_err());
        }
        assert!(!proxy.last_words().await.contains("nobody checks"));
    }
    for side in ["", "api-"] {
        let (_, said) = refused(&[&format!("--{side}ssl-request-cert")]).await;
        assert!(said.contains(&format!("--{side}ssl-cert")), "{said}");
    }
}

#[tokio::test]
async fn s_08_other_authorities_of_clients_are_taken_up_and_what_is_none_changes_nothing() {
    let (first, second) = (Authority::new(), Authority::new());
    let shown = first.issue(&["127.0.0.1"]);
    let dir = tempfile::tempdir().unwrap();
    let clients = dir.path().join("clients.pem");
    fs::copy(first.file(), &clients).unwrap();
    for side in ["", "api-"] {
        fs::copy(first.file(), &clients).unwrap();
        let flag = |name: &str| format!("--{side}ssl-{name}");
        let mut proxy = Program::start(&[
            &flag("cert"),
            arg(&shown.cert),
            &flag("key"),
            arg(&shown.key),
            &flag("ca"),
            arg(&clients),
            &flag("request-cert"),
            &flag("reject-unauthorized"),
        ])
        .await;
        let addr = if side.is_empty() { proxy.public } else { proxy.api };
        // Whoever comes again resumes a session, for which no certificate is asked.
        let known = first.client(Some(&first.issue(&["client"])));
        let other = first.client(Some(&second.issue(&["client"])));
        for _ in 0..2 {
            assert!(asked(addr, known.clone(), "").await.is_ok());
        }
        assert!(asked(addr, other.clone(), "").await.is_err());
        let mut open = connect(addr, "127.0.0.1", known.clone()).await.unwrap();
        let question = "GET /api/routes HTTP/1.1\r\nHost: h\r\nAuthorization: token s3cret\r\n\r\n";
        open.send(question).await;
        let before = open.head().await;

        fs::copy(second.file(), &clients).unwrap();
        proxy.signal(Signal::HUP);
        proxy.line("Certificate and key were read again").await;
        assert!(asked(addr, other.clone(), "").await.is_ok());
        assert!(asked(addr, known, "").await.is_err(), "nor by a session of before");
        // No open connection is touched.
        open.until(if side.is_empty() { "</html>\n" } else { "{}" }).await;
        open.send(question).await;
        assert_eq!(open.head().await.lines().next(), before.lines().next());

        fs::write(&clients, "nothing of the kind").unwrap();
        proxy.signal(Signal::HUP);
        let told = proxy.line("the certificate was not replaced; the old one stays").await;
        assert!(told.contains(arg(&clients)), "{told}");
        assert!(asked(addr, other, "").await.is_ok());
    }
}

#[tokio::test]
async fn s_08_files_towards_targets_are_taken_up_when_they_change() {
    let (first, second) = (Authority::new(), Authority::new());
    let [at_first, at_second] = [&first, &second]
        .map(|authority| encrypted_target(authority.server(&authority.issue(&["localhost"]))));
    let (at_first, at_second) = (at_first.await, at_second.await);
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let put = |authority: &Authority| {
        let ours = authority.issue(&["proxy"]);
        for (from, to) in [(&authority.file(), &ca), (&ours.cert, &cert), (&ours.key, &key)] {
            fs::copy(from, to).unwrap();
        }
    };
    put(&first);
    let files = ["--client-ssl-ca", arg(&ca), "--client-ssl-cert", arg(&cert)];
    let mut proxy = Program::start(&[&files[..], &["--client-ssl-key", arg(&key)]].concat()).await;
    for (path, target) in [("/first", at_first), ("/second", at_second)] {
        let body = format!(r#"{{"target": "https://localhost:{}"}}"#, target.port());
        let added = proxy.api("POST", &format!("/api/routes{path}"), &body).await;
        assert_eq!(added.status, 201, "{added:?}");
    }
    let statuses = async |proxy: &Program| {
        (proxy.get("/first").await.status, proxy.get("/second").await.status)
    };
    assert_eq!(statuses(&proxy).await, (200, 503));

    put(&second);
    proxy.line("Certificates towards targets were read again").await;
    assert_eq!(statuses(&proxy).await, (503, 200));

    fs::write(&ca, "nothing of the kind").unwrap();
    let told = proxy.line("the certificates towards targets were not replaced").await;
    assert!(told.contains(arg(&ca)), "{told}");
    assert_eq!(statuses(&proxy).await, (503, 200));

    put(&first);
    proxy.signal(Signal::HUP);
    proxy.line("Certificates towards targets were read again").await;
    assert_eq!(statuses(&proxy).await, (200, 503));
}

#[tokio::test]
async fn s_04_the_api_speaks_tls_with_those_whom_several_authorities_vouch_for() {
    let (first, second, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let shown = first.issue(&["127.0.0.1"]);
    let bundle = first.file().with_file_name("bundle.pem");
    let pem = [first.file(), second.file()].map(|file| std::fs::read_to_string(file).unwrap());
    std::fs::write(&bundle, pem.concat()).unwrap();
    let (cert, key) = (arg(&shown.cert), arg(&shown.key));
    let mut proxy = Program::start(&[
        "--api-ssl-cert",
        cert,
        "--api-ssl-key",
        key,
        "--api-ssl-ca",
        arg(&bundle),
        "--api-ssl-request-cert",
        "--api-ssl-reject-unauthorized",
    ])
    .await;
    assert!(proxy.beginning.iter().any(|line| line.contains("Proxy API at https://127.0.0.1:")));
    let hubs = second.issue(&["hub"]);
    for hub in [&first.issue(&["hub"]), &hubs] {
        let answer = asked(proxy.api, first.client(Some(hub)), "").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{}"), "{answer}");
    }
    for stranger in [Some(&strangers.issue(&["hub"])), None] {
        assert!(asked(proxy.api, first.client(stranger), "").await.is_err());
    }

    // The program itself asks it, too.
    let api = format!("https://{}", proxy.api);
    let ca = first.file();
    let status = |more: &[&str]| {
        let mut command = tokio::process::Command::new(PROGRAM);
        command.args(["status", "--api", &api]).args(more).env("CONFIGPROXY_AUTH_TOKEN", "s3cret");
        command
    };
    let identity = ["--client-ssl-cert", arg(&hubs.cert), "--client-ssl-key", arg(&hubs.key)];
    let (code, said) =
        outcome(status(&[&identity[..], &["--client-ssl-ca", arg(&ca)]].concat())).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = outcome(status(&identity)).await;
    assert!(code == 1 && said.contains("UnknownIssuer"), "the token is not told anybody: {said}");
    assert!(proxy.is_running());
}

#[tokio::test]
async fn s_02_an_encrypted_key_needs_its_passphrase() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    let (cert, key) = (dir.join("sec1.pem"), dir.join("sec1-encrypted.key"));
    for (side, variable) in
        [("", "CONFIGPROXY_SSL_KEY_PASSPHRASE"), ("api-", "CONFIGPROXY_API_SSL_KEY_PASSPHRASE")]
    {
        let (cert_flag, key_flag) = (format!("--{side}ssl-cert"), format!("--{side}ssl-key"));
        let with = |passphrase: Option<&str>| {
            let args = [cert_flag.as_str(), arg(&cert), &key_flag, arg(&key)];
            let mut command = command(Path::new(PROGRAM), &args);
            command.envs(passphrase.map(|passphrase| (variable, passphrase)));
            command
        };
        let proxy = Program::of(with(Some("correct-horse"))).await;
        let https = proxy.beginning.iter().filter(|line| line.contains("https://127.0.0.1:"));
        assert_eq!(https.count(), 1, "{:?}", proxy.beginning);
        let (code, said) = outcome(with(None)).await;
        assert!(code == 2 && said.contains("no passphrase is given"), "{code}: {said}");
        assert!(said.contains(variable), "{said}");
        let (code, said) = outcome(with(Some("wrong"))).await;
        assert!(code == 2 && said.contains("check the passphrase"), "{code}: {said}");
    }
}

/// How a client that speaks only `version` fares, and the cipher that was agreed on.
async fn agreed(
    proxy: &Program,
    authority: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
) -> io::Result<rustls::CipherSuite> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let client = connect(proxy.public, "localhost", config).await?;
    Ok(client.stream.get_ref().1.negotiated_cipher_suite().unwrap().suite())
}

#[tokio::test]
async fn one_version_and_chosen_ciphers_are_spoken_if_somebody_wants_that() {
    use rustls::{
        CipherSuite,
        version::{TLS12, TLS13},
    };
    let authority = Authority::new();
    let shown = authority.issue(&["localhost", "127.0.0.1"]);
    let files = ["--ssl-cert", arg(&shown.cert), "--ssl-key", arg(&shown.key)];
    let with = |flags: &[&'static str]| [&files[..], flags].concat();

    let proxy = Program::start(&with(&["--ssl-protocol", "TLSv1_2"])).await;
    assert!(agreed(&proxy, &authority, &TLS12).await.is_ok());
    assert!(agreed(&proxy, &authority, &TLS13).await.is_err());
    let proxy = Program::start(&with(&["--ssl-protocol=TLSv1_3"])).await;
    assert!(agreed(&proxy, &authority, &TLS12).await.is_err());
    assert!(agreed(&proxy, &authority, &TLS13).await.is_ok());

    let list = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:HIGH:!aNULL";
    let proxy = Program::start(&with(&["--ssl-ciphers", list])).await;
    let log = proxy.beginning.join("\n");
    assert!(log.contains("--ssl-ciphers: not known and left out: HIGH\n"), "{log}");
    let suite = agreed(&proxy, &authority, &TLS12).await.unwrap();
    assert_eq!(suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    assert!(agreed(&proxy, &authority, &TLS13).await.is_ok(), "it has suites of its own");

    for (flags, told) in [
        (["--ssl-protocol", "SSLv3"], "--ssl-protocol: \"SSLv3\" is not spoken; write TLSv1_2"),
        (["--ssl-ciphers", "RC4-SHA:HIGH"], "--ssl-ciphers: names no cipher that is known"),
    ] {
        let (code, said) = refused(&with(&flags)).await;
        assert!(code == 1 && said.contains(told), "{code} {said}");
    }
    let none = ["--ssl-protocol", "TLSv1_2", "--ssl-ciphers", "TLS_AES_128_GCM_SHA256"];
    let (code, said) = refused(&with(&none)).await;
    assert!(code == 1 && said.contains("of the one version"), "{code} {said}");
}
