//! A real ACME authority for one test: Debian's `pebble`, with a name server
//! that says what the test wants.

#![allow(dead_code, reason = "each test binary uses another part")]

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::TlsConnector;

/// Longer than anything takes that works.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a test may want to be different.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Life time of certificates; five years without.
    pub(crate) valid_seconds: Option<u32>,
    /// Name and key (base64url) without which there is no account.
    pub(crate) external_account: Option<(&'static str, &'static str)>,
    /// The address of the directory; 127.0.0.1 without.
    pub(crate) address: Option<Ipv4Addr>,
    /// The ports of http-01 and tls-alpn-01, where something listens already or
    /// will; free ones without.
    pub(crate) asked: Option<(u16, u16)>,
}

/// An authority that knows nothing from earlier tests. Its processes end when
/// this is dropped.
#[derive(Debug)]
pub(crate) struct Pebble {
    dir: TempDir,
    address: Ipv4Addr,
    ports: Ports,
    wishes: Wishes,
    processes: Vec<Process>,
}

/// Free a moment ago.
#[derive(Clone, Copy, Debug)]
struct Ports {
    directory: u16,
    management: u16,
    http: u16,
    tls: u16,
    dns: u16,
    dns_management: u16,
}

#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pebble {
    /// Ports and certificates, but nobody listens yet.
    pub(crate) fn prepared(wishes: Wishes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Held together, so that they differ.
        let address = wishes.address.unwrap_or(Ipv4Addr::LOCALHOST);
        let held: Vec<_> = (0..6).map(|_| TcpListener::bind((address, 0)).unwrap()).collect();
        let port = |index: usize| held[index].local_addr().unwrap().port();
        let (http, tls) = wishes.asked.unwrap_or_else(|| (port(2), port(3)));
        let ports = Ports {
            directory: port(0),
            management: port(1),
            http,
            tls,
            dns: port(4),
            dns_management: port(5),
        };
        let pebble = Self { dir, address, ports, wishes, processes: Vec::new() };
        pebble.write_own_certificate();
        pebble
    }

    /// Running, and every name below `test` leads to 127.0.0.1.
    pub(crate) async fn start(wishes: Wishes) -> Self {
        let mut pebble = Self::prepared(wishes);
        pebble.run().await;
        pebble
    }

    /// Starts the processes. What an earlier run knew is forgotten.
    pub(crate) async fn run(&mut self) {
        self.processes.clear();
        let ports = self.ports;
        let dns = format!("{}:{}", self.address, ports.dns);
        let mut names = Command::new("pebble-challtestsrv");
        names.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", &dns]);
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-management"]);
        names.arg(format!("{}:{}", self.address, ports.dns_management));
        self.spawn("names", &mut names);
        let config = self.dir.path().join("pebble.json");
        fs::write(&config, self.config().to_string()).unwrap();
        let mut pebble = Command::new("pebble");
        pebble.args(["-strict", "-dnsserver", &dns, "-config"]).arg(config);
        // Without pauses, but with the refusals of good nonces and the proofs
        // that are remembered, which clients have to live with.
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "15");
        self.spawn("pebble", &mut pebble);
        for port in [ports.dns_management, ports.directory, ports.management] {
            self.answers(port).await;
        }
    }

    /// Ends the processes.
    pub(crate) fn stop(&mut self) {
        self.processes.clear();
    }

    /// The directory's URL.
    pub(crate) fn directory(&self) -> String {
        format!("https://{}:{}/dir", self.address, self.ports.directory)
    }

    /// PEM of the authority behind the directory's own https.
    pub(crate) fn directory_ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Where http-01 is asked, instead of port 80.
    pub(crate) fn http_addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.http).into()
    }

    /// Where tls-alpn-01 is asked, instead of port 443.
    pub(crate) fn tls_addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.tls).into()
    }

    /// PEM of the root of the certificates that it issues.
    pub(crate) async fn root(&self) -> String {
        let ca = fs::read(self.directory_ca()).unwrap();
        let ca = CertificateDer::from_pem_slice(&ca).unwrap();
        let addr = (self.address, self.ports.management).into();
        let host = self.address.to_string();
        let mut stream = tls_connect(addr, &host, &[ca]).await.unwrap();
        stream.write_all(b"GET /roots/0 HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// From now on only `names` are in the DNS.
    pub(crate) async fn know_only(&self, names: &[&str]) {
        self.tell_names("/set-default-ipv4", r#"{"ip": ""}"#).await;
        for name in names {
            let body = format!(r#"{{"host": "{name}.", "addresses": ["127.0.0.1"]}}"#);
            self.tell_names("/add-a", &body).await;
        }
    }

    async fn tell_names(&self, path: &str, body: &str) {
        let addr = (self.address, self.ports.dns_management);
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(" 200 "), "{path}: {answer}");
    }

    fn spawn(&mut self, name: &str, command: &mut Command) {
        let log = File::create(self.dir.path().join(format!("{name}.log"))).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{:?} does not start ({error}); install Debian's `pebble`",
                command.get_program()
            )
        });
        self.processes.push(Process(child));
    }

    async fn answers(&self, port: u16) {
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect((self.address, port)).await.is_err() {
            let log = || fs::read_to_string(self.dir.path().join("pebble.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "nobody listens on {port}: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn config(&self) -> serde_json::Value {
        let Ports { directory, management, http, tls, .. } = self.ports;
        let path = |name: &str| self.dir.path().join(name);
        let mut pebble = serde_json::json!({
            "listenAddress": format!("{}:{directory}", self.address),
            "managementListenAddress": format!("{}:{management}", self.address),
            "certificate": path("cert.pem"),
            "privateKey": path("key.pem"),
            "httpPort": http,
            "tlsPort": tls,
        });
        if let Some(seconds) = self.wishes.valid_seconds {
            pebble["certificateValidityPeriod"] = seconds.into();
        }
        if let Some((name, key)) = self.wishes.external_account {
            pebble["externalAccountBindingRequired"] = true.into();
            pebble["externalAccountMACKeys"] = serde_json::json!({ name: key });
        }
        serde_json::json!({ "pebble": pebble })
    }

    fn write_own_certificate(&self) {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let own = CertificateParams::new(vec![self.address.to_string()]).unwrap();
        let own = own.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let files = [("ca.pem", ca_pem), ("cert.pem", own.pem()), ("key.pem", key.serialize_pem())];
        for (name, text) in files {
            fs::write(self.dir.path().join(name), text).unwrap();
        }
    }
}

/// Connects as a client that trusts just these roots.
pub(crate) async fn tls_connect(
    addr: SocketAddr,
    host: &str,
    roots: &[CertificateDer<'static>],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
