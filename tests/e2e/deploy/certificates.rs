//! A deployment's certificates: own, imported, from an authority.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::{Child, Command, Stdio},
};

use bytes::Bytes;
use futures_util::stream;
use hub_spawner::engine::Labels;
use hub_tests::{
    Browser, Deployment, Kernel, certificate, docker, eventually,
    hub::{notebook_image, program},
    wire,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use tar::{Builder, EntryType, Header};
use tokio::net::TcpStream;

use super::container_id;
use crate::pebble::{Pebble, Wishes, tls_connect};

/// A name that leads to this machine in the authority's DNS.
const HOST: &str = "hub.example.test";

/// A deployment that has everything but a certificate.
fn without_certificate() -> Deployment {
    let deployment = Deployment::prepare();
    fs::remove_dir_all(deployment.dir().join("secrets")).unwrap();
    deployment
}

fn read(deployment: &Deployment, file: &str) -> String {
    fs::read_to_string(deployment.dir().join(file)).unwrap()
}

/// Puts a new pair into `secrets/`; the certificate to trust for it.
fn renew(deployment: &Deployment) -> String {
    renew_for(deployment, 365)
}

fn renew_for(deployment: &Deployment, days: i32) -> String {
    let new = tempfile::tempdir().unwrap();
    let ca = certificate::issue_for(new.path(), days);
    for (from, to) in [("cert.pem", "jupyterhub.crt"), ("key.pem", "jupyterhub.key")] {
        fs::copy(new.path().join(from), deployment.dir().join("secrets").join(to)).unwrap();
    }
    ca
}

/// Waits until who trusts `ca` alone can connect.
async fn served(deployment: &Deployment, ca: &str) {
    let url = deployment.url.parse().unwrap();
    eventually("the certificate is served", || async {
        wire::connect(&url, Some(ca)).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

/// Fills a volume as certbot does, with a pair that is issued now: the names at
/// the top, which the reference deployment's script made, lead through `live/`
/// to `archive/`. Returns the certificate to trust.
async fn certbot(volume: &str, generation: u32) -> String {
    let issued = tempfile::tempdir().unwrap();
    let ca = certificate::issue(issued.path());
    let mut tar = Builder::new(Vec::new());
    for directory in ["archive/", "archive/localhost/", "live/", "live/localhost/"] {
        let mut header = header(EntryType::Directory, 0o700, 0);
        tar.append_data(&mut header, directory, std::io::empty()).unwrap();
    }
    for (name, file) in [("fullchain", "cert.pem"), ("privkey", "key.pem")] {
        let content = fs::read(issued.path().join(file)).unwrap();
        let path = format!("archive/localhost/{name}{generation}.pem");
        let mut regular = header(EntryType::Regular, 0o600, content.len() as u64);
        tar.append_data(&mut regular, path, content.as_slice()).unwrap();
        for (link, to) in [
            (
                format!("live/localhost/{name}.pem"),
                format!("../../archive/localhost/{name}{generation}.pem"),
            ),
            (format!("{name}.pem"), format!("live/localhost/{name}.pem")),
        ] {
            tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), link, to).unwrap();
        }
    }
    let archive = stream::iter([Ok(Bytes::from(tar.into_inner().unwrap()))]);
    let engine = docker::engine().await;
    engine.import_volume(volume, &notebook_image(), archive).await.unwrap();
    ca
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// A volume that goes with the deployment.
async fn volume(deployment: &Deployment) -> String {
    let name = format!("{}-secrets", deployment.name);
    let labels = Labels::from([("hub.deployment".to_owned(), deployment.name.clone())]);
    docker::engine().await.ensure_volume(&name, &labels).await.unwrap();
    name
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn tls_2_check_files_tells_what_is_wrong_with_a_certificate() {
    let deployment = without_certificate();
    let said = deployment.fail(&["check-files"]).await;
    assert!(said.contains("self-signed-cert"), "what to do: {said}");

    deployment.run(&["self-signed-cert", "--domain", "other.example.org"]).await;
    deployment.run(&["check-files"]).await;
    // TLS-4: nothing is replaced by accident, and the key is the owner's.
    let before = read(&deployment, "secrets/jupyterhub.crt");
    let said = deployment.fail(&["self-signed-cert", "--domain", "third.example.org"]).await;
    assert!(said.contains("--force"), "{said}");
    // XT-1: this one is good for the host, which every such certificate names.
    let told = deployment.told(&["self-signed-cert"]).await;
    assert!(told.contains("is there already"), "{told}");
    assert_eq!(read(&deployment, "secrets/jupyterhub.crt"), before);
    deployment.run(&["self-signed-cert", "--force"]).await;
    assert_ne!(read(&deployment, "secrets/jupyterhub.crt"), before);
    assert_eq!(mode(&deployment.dir().join("secrets/jupyterhub.key")), 0o600);

    // The key of another certificate.
    let key = read(&deployment, "secrets/jupyterhub.key");
    renew(&deployment);
    fs::write(deployment.dir().join("secrets/jupyterhub.key"), key).unwrap();
    let said = deployment.fail(&["check-files"]).await;
    assert!(said.contains("jupyterhub.key") && said.contains("jupyterhub.crt"), "{said}");

    // A host that it is not for.
    let mut deployment = deployment;
    renew(&deployment);
    deployment.set("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback");
    let said = deployment.fail(&["check-files"]).await;
    assert!(said.contains("not for hub.example.org"), "{said}");

    // Its days.
    deployment.set("OAUTH_CALLBACK_URL", &format!("{}/hub/oauth_callback", deployment.url));
    renew_for(&deployment, -1);
    let said = deployment.fail(&["check-files"]).await;
    assert!(said.contains("expired"), "{said}");
    renew_for(&deployment, 5);
    let said = deployment.told(&["check-files"]).await;
    assert!(said.contains("warning") && said.contains("expires"), "{said}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn tls_3_certificates_change_under_an_open_websocket() {
    let mut deployment = without_certificate();
    deployment.run(&["self-signed-cert"]).await;
    deployment.ca = read(&deployment, "secrets/jupyterhub.crt");
    deployment.run(&["network"]).await;
    let github = deployment.github().await;
    github.person("ada", 1815);
    github.sign_in("ada");
    deployment.run(&[]).await;
    let proxy = container_id(&deployment.proxy()).await;
    let mut ada: Browser = deployment.browser();
    let home = ada.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;

    // TLS-3: renewed files.
    let ca = renew(&deployment);
    let told = deployment.told(&["reload"]).await;
    assert!(told.contains("certs/tls.crt"), "{told}");
    served(&deployment, &ca).await;

    // A pair that does not fit changes nothing.
    let key = read(&deployment, "secrets/jupyterhub.key");
    renew(&deployment);
    fs::write(deployment.dir().join("secrets/jupyterhub.key"), key).unwrap();
    let said = deployment.fail(&["reload"]).await;
    assert!(said.contains("jupyterhub.key"), "{said}");
    served(&deployment, &ca).await;

    // ACME-4: from the volume that the old hub had.
    let volume = volume(&deployment).await;
    let empty = deployment.fail(&["import-certs", "--volume", &volume]).await;
    assert!(empty.contains("fullchain.pem"), "{empty}");
    let missing = deployment.fail(&["import-certs", "--volume", "test-no-such-volume"]).await;
    assert!(missing.contains("no volume"), "{missing}");
    let ca = certbot(&volume, 1).await;
    let said = deployment.fail(&["import-certs", "--volume", &volume]).await;
    assert!(said.contains("--force"), "{said}");
    deployment.run(&["import-certs", "--volume", &volume, "--force"]).await;
    assert_eq!(mode(&deployment.dir().join("secrets/jupyterhub.key")), 0o600);
    deployment.run(&["reload"]).await;
    served(&deployment, &ca).await;

    // IMG-3: that volume itself, and no files; certbot renews there.
    fs::remove_dir_all(deployment.dir().join("secrets")).unwrap();
    deployment.set("SECRETS_VOLUME", &volume);
    deployment.run(&[]).await;
    let ca = certbot(&volume, 2).await;
    let told = deployment.told(&["reload"]).await;
    assert!(told.contains("certs/tls.crt"), "{told}");
    served(&deployment, &ca).await;

    assert_eq!(container_id(&deployment.proxy()).await, proxy, "the proxy was never replaced");
    assert_eq!(kernel.run("6 * 7").await, "42", "over the same WebSocket");
}

/// The certificate that browsers get, if it is the authority's and for `host`.
async fn from_authority(port: u16, root: &str, host: &str) -> Result<Vec<u8>, String> {
    let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
    let addr = (Ipv4Addr::LOCALHOST, port).into();
    let stream = tls_connect(addr, host, &[root]).await.map_err(|error| error.to_string())?;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    Ok(chain[0].to_vec())
}

#[tokio::test]
#[ignore = "needs Docker and Pebble: cargo xtask test"]
async fn acme_1_a_deployment_obtains_its_certificate_and_keeps_it() {
    let mut deployment = without_certificate();
    deployment.run(&["network"]).await;
    let network = docker::engine().await.network(&docker::network(&deployment.name)).await;
    let Some(IpAddr::V4(address)) = network.unwrap().unwrap().gateway else { panic!("no gateway") };
    let wishes = Wishes {
        address: Some(address),
        asked: Some((deployment.http_port, deployment.port)),
        ..Wishes::default()
    };
    let pebble = Pebble::start(wishes).await;
    let callback = format!("https://{HOST}:{}/hub/oauth_callback", deployment.port);
    deployment.set("OAUTH_CALLBACK_URL", &callback);
    deployment.set("ACME_DOMAINS", HOST);
    deployment.set("ACME_EMAIL", "operator@example.test");
    deployment.set("ACME_DIRECTORY", &pebble.directory());
    fs::copy(pebble.directory_ca(), deployment.dir().join("authority.pem")).unwrap();
    deployment.set("ACME_DIRECTORY_CA", "authority.pem");
    // ACME-3.
    let said = deployment.fail(&["check-files"]).await;
    assert!(said.contains("ACME_AGREE_TOS"), "{said}");
    deployment.set("ACME_AGREE_TOS", "yes");
    let _github = deployment.github().await;
    deployment.run(&[]).await;
    let root = pebble.root().await;
    let (port, http_port) = (deployment.port, deployment.http_port);
    let first = eventually("the certificate is the authority's", || async {
        from_authority(port, &root, HOST).await
    })
    .await;
    let status = deployment.status().await;
    assert!(status["certificate"]["not_after"].is_string(), "{status:#}");
    assert_eq!(status["certificate"]["problem"], Value::Null, "{status:#}");

    // TLS-5: everything else on that port is sent to https, as it is.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.resolve(HOST, (Ipv4Addr::LOCALHOST, http_port).into()).build().unwrap();
    let asked = format!("http://{HOST}:{http_port}/hub/login?next=%2Fx");
    let answer = client.post(asked).send().await.unwrap();
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(
        (answer.status().as_u16(), to),
        (308, format!("https://{HOST}:{port}/hub/login?next=%2Fx"))
    );

    // ACME-1: kept in the volume, so that another container orders nothing.
    deployment.run(&["down"]).await;
    deployment.run(&[]).await;
    let again = eventually("the certificate is there again", || async {
        from_authority(port, &root, HOST).await
    })
    .await;
    assert!(first == again, "the same certificate");

    // Another domain, asked for in the other way.
    let other = "lab.example.test";
    deployment.set("ACME_DOMAINS", &format!("{HOST},{other}"));
    deployment.set("ACME_CHALLENGE", "tls-alpn-01");
    deployment.run(&[]).await;
    eventually("the certificate is for both", || async {
        from_authority(port, &root, HOST).await?;
        from_authority(port, &root, other).await
    })
    .await;
}

/// Another server that ends TLS in front of the deployment, with its certificate.
struct Terminator(Child);

impl Terminator {
    async fn start(deployment: &Deployment, port: u16) -> Self {
        let secrets = deployment.dir().join("secrets");
        let target = format!("http://127.0.0.1:{}", deployment.http_port);
        let child = Command::new(program("hub-proxy"))
            .args(["--ip", "127.0.0.1", "--port", &port.to_string(), "--api-port", "0"])
            .args(["--default-target", &target])
            .arg("--ssl-cert")
            .arg(secrets.join("jupyterhub.crt"))
            .arg("--ssl-key")
            .arg(secrets.join("jupyterhub.key"))
            .env_clear()
            .env("CONFIGPROXY_AUTH_TOKEN", "a-token-of-the-terminators-own")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let terminator = Self(child);
        eventually("the terminator listens", || async {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map(drop)
        })
        .await;
        terminator
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn tls_6_another_server_ends_tls() {
    let mut deployment = Deployment::prepare();
    deployment.set("HUB_TLS", "off");
    // The port of https is the terminator's.
    let port = deployment.port;
    deployment.run(&["network"]).await;
    let github = deployment.github().await;
    github.person("ada", 1815);
    github.sign_in("ada");
    // Nobody else reaches a port of the loopback address: the terminator is believed.
    deployment.run(&[]).await;
    let _terminator = Terminator::start(&deployment, port).await;

    let mut ada = deployment.browser();
    let home = ada.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("6 * 7").await, "42", "a WebSocket through both");
    let login = deployment.browser().look("/hub/oauth_login").await;
    let cookies: Vec<&str> =
        login.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert!(
        !cookies.is_empty() && cookies.iter().all(|line| line.contains("Secure")),
        "{cookies:?}"
    );
    let status = deployment.status().await;
    assert_eq!(status["certificate"], Value::Null, "{status:#}");
}
