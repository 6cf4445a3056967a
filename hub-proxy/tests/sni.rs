//! Several certificates at one listener, chosen by the name that a client asks for.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/process.rs"]
mod process;
#[path = "support/running.rs"]
mod support;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use authority::*;
use hub_proxy::{ProxyConfig, TlsKeys};
use process::{Program, refused};
use rustix::process::Signal;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use support::*;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

/// Takes any certificate: the test looks at it.
#[derive(Debug)]
struct Taking;

impl ServerCertVerifier for Taking {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The certificate that whoever asks for `name` is shown; nobody asks for an address.
async fn shown(addr: SocketAddr, name: &str) -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Taking))
        .with_no_client_auth();
    let stream = soon(TcpStream::connect(addr)).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn read(cert: &Path) -> Vec<u8> {
    CertificateDer::from_pem_file(cert).unwrap().to_vec()
}

/// A pair in files that can be replaced.
struct Files(tempfile::TempDir);

impl Files {
    fn of(issued: &Issued) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.replace(issued);
        files
    }

    fn replace(&self, issued: &Issued) {
        for (from, to) in [(&issued.cert, self.cert()), (&issued.key, self.key())] {
            let new = self.0.path().join("new");
            fs::copy(from, &new).unwrap();
            fs::rename(new, to).unwrap();
        }
    }

    fn cert(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    fn load(&self) -> TlsKeys {
        TlsKeys::load(self.cert(), self.key()).unwrap()
    }

    fn shown(&self) -> Vec<u8> {
        read(&self.cert())
    }
}

async fn serving(keys: &TlsKeys) -> Running {
    let mut listen = listen();
    listen.tls = Some(keys.clone());
    Running::listening(nowhere().await, ProxyConfig::default(), listen, Duration::ZERO).await
}

#[tokio::test]
async fn s_06_each_name_is_shown_its_certificate_and_everybody_else_the_first() {
    let authority = Authority::new();
    let hub = Files::of(&authority.issue(&["hub.example", "*.hub.example", "127.0.0.1"]));
    let lab = Files::of(&authority.issue(&["lab.hub.example", "Lab.Example"]));
    let wild = Files::of(&authority.issue(&["*.wild.example", "*.lab.hub.example"]));
    let keys = hub.load();
    keys.show_by_name([lab.load(), wild.load(), keys.clone()]);
    let proxy = serving(&keys).await;
    for (name, files) in [
        ("hub.example", &hub),
        ("x.hub.example", &hub),
        ("lab.hub.example", &lab),
        ("lab.example", &lab),
        ("LAB.example", &lab),
        ("a.wild.example", &wild),
        ("a.lab.hub.example", &wild),
        ("wild.example", &hub),
        ("a.b.wild.example", &hub),
        ("other.example", &hub),
        ("127.0.0.1", &hub),
    ] {
        assert!(shown(proxy.addr, name).await == files.shown(), "{name}");
    }
    // Whoever checks is content, too.
    for name in ["hub.example", "lab.example", "a.wild.example"] {
        let stream = soon(TcpStream::connect(proxy.addr)).await.unwrap();
        let connector = TlsConnector::from(Arc::new(authority.client(None)));
        let name = ServerName::try_from(name).unwrap();
        soon(connector.connect(name, stream)).await.unwrap();
    }
    keys.show_by_name([]);
    assert!(shown(proxy.addr, "lab.example").await == hub.shown());
}

#[tokio::test]
async fn s_08_certificates_by_name_are_read_again_all_or_none() {
    let authority = Authority::new();
    let (hub, lab) = (
        Files::of(&authority.issue(&["hub.example"])),
        Files::of(&authority.issue(&["lab.example"])),
    );
    let keys = hub.load();
    keys.show_by_name([lab.load()]);
    let proxy = serving(&keys).await;
    lab.replace(&authority.issue(&["lab.example", "new.example"]));
    assert!(shown(proxy.addr, "new.example").await == hub.shown(), "not read yet");
    keys.reload().unwrap();
    for name in ["lab.example", "new.example"] {
        assert!(shown(proxy.addr, name).await == lab.shown(), "{name}");
    }
    let before = (hub.shown(), lab.shown());
    hub.replace(&authority.issue(&["hub.example"]));
    fs::write(lab.cert(), "nothing of the kind").unwrap();
    let error = keys.reload().unwrap_err().to_string();
    assert!(error.contains(arg(&lab.cert())), "{error}");
    assert!(shown(proxy.addr, "hub.example").await == before.0);
    assert!(shown(proxy.addr, "lab.example").await == before.1);
}

#[tokio::test]
async fn s_08_a_file_that_cannot_be_used_keeps_no_other_certificate_from_being_renewed() {
    let authority = Authority::new();
    let (hub, lab) = (
        Files::of(&authority.issue(&["hub.example"])),
        Files::of(&authority.issue(&["lab.example"])),
    );
    let keys = hub.load();
    keys.show_by_name([lab.load()]);
    let proxy = serving(&keys).await;
    let (told, mut reloads) = mpsc::unbounded_channel();
    let watching = keys.clone();
    TaskTracker::new().spawn(async move {
        watching.watch(Duration::from_millis(20), |reloaded| told.send(reloaded).unwrap()).await;
    });
    let before = lab.shown();
    fs::write(lab.cert(), "nothing of the kind").unwrap();
    let error = soon(reloads.recv()).await.unwrap().unwrap_err().to_string();
    assert!(error.contains(arg(&lab.cert())), "{error}");
    hub.replace(&authority.issue(&["hub.example"]));
    // Whoever looks while the key is not there yet reads again.
    while shown(proxy.addr, "hub.example").await != hub.shown() {
        let _ = soon(reloads.recv()).await.unwrap();
    }
    assert!(shown(proxy.addr, "lab.example").await == before);
    lab.replace(&authority.issue(&["lab.example"]));
    while shown(proxy.addr, "lab.example").await != lab.shown() {
        let _ = soon(reloads.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn s_06_s_08_the_program_shows_several_certificates_and_reads_them_again() {
    let authority = Authority::new();
    let (hub, lab) = (
        Files::of(&authority.issue(&["hub.example"])),
        Files::of(&authority.issue(&["*.example"])),
    );
    let two = |files: &Files| format!("{},{}", files.cert().display(), files.key().display());
    let (hub_cert, hub_key, lab_pair) = (hub.cert(), hub.key(), two(&lab));
    let main = ["--ssl-cert", arg(&hub_cert), "--ssl-key", arg(&hub_key)];
    let mut program = Program::start(&[&main[..], &["--ssl-sni", &lab_pair]].concat()).await;
    assert!(shown(program.public, "hub.example").await == hub.shown());
    assert!(shown(program.public, "lab.example").await == lab.shown());
    assert!(shown(program.public, "other").await == hub.shown());
    lab.replace(&authority.issue(&["lab.example"]));
    program.signal(Signal::HUP);
    program.line("Certificate and key were read again").await;
    assert!(shown(program.public, "lab.example").await == lab.shown());
    assert!(shown(program.public, "x.example").await == hub.shown());

    for bad in ["a.pem", ",", "a.pem,", ",a.key"] {
        let (code, said) = refused(&[&main[..], &["--ssl-sni", bad]].concat()).await;
        assert!(code == 1 && said.contains("--ssl-sni") && said.contains("CERT,KEY"), "{said}");
    }
    let (code, said) =
        refused(&[&main[..], &["--ssl-sni", "/none/c.pem,/none/k.pem"]].concat()).await;
    assert!(code != 0 && said.contains("/none/c.pem"), "{said}");
    assert_ne!(refused(&["--ssl-sni", &lab_pair]).await.0, 0, "without --ssl-cert");
}
