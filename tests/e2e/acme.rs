//! A hub that obtains its own certificate.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use hub_tests::{docker, hub::program, wait::eventually};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use crate::pebble::{Pebble, Wishes, tls_connect};

/// A token that tells how the hub is doing.
const TOKEN: &str = "end-to-end-doctor-token";

/// The program on the ports where the authority looks.
struct Hub {
    dir: TempDir,
    deployment: String,
    process: Child,
}

impl Hub {
    fn start(pebble: &Pebble, acme: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let deployment = format!("test-{}", &Uuid::new_v4().simple().to_string()[..12]);
        fs::write(dir.path().join("hub.toml"), config(pebble, &deployment, acme)).unwrap();
        let process = Self::process(dir.path());
        Self { dir, deployment, process }
    }

    fn process(dir: &Path) -> Child {
        Command::new(program("hub-server"))
            .args(["--config", "hub.toml"])
            .current_dir(dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().append(true).create(true).open(log(dir)).unwrap())
            .spawn()
            .unwrap()
    }

    /// What `hub doctor` prints beside it.
    fn doctor(&self) -> String {
        let output = Command::new(program("hub"))
            .args(["doctor", "--config", "hub.toml"])
            .current_dir(self.dir.path())
            .env_clear()
            .env("HUB_TOKEN", TOKEN)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(log(self.dir.path())).unwrap_or_default()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("---- log of the hub ----\n{}", self.log());
        }
        docker::sweep(&self.deployment);
    }
}

fn log(dir: &Path) -> std::path::PathBuf {
    dir.join("hub.log")
}

fn config(pebble: &Pebble, deployment: &str, acme: &str) -> String {
    format!(
        "[http]\nlisten = \"{}\"\nredirect_listen = \"{}\"\n\
         public_url = \"https://hub.example.test\"\n\
         [http.acme]\ndirectory = \"{}\"\ndirectory_ca_file = {:?}\n{acme}\n\
         [spawner.docker]\nimage = \"hub-notebook:latest\"\ndeployment = \"{deployment}\"\n\
         network = \"{}\"\nprefix = \"{deployment}\"\n\
         [[services]]\nname = \"doctor\"\napi_token = \"{TOKEN}\"\nscopes = [\"read:hub\"]\n",
        pebble.tls_addr(),
        pebble.http_addr(),
        pebble.directory(),
        pebble.directory_ca(),
        docker::network(deployment),
    )
}

/// The page at `path`, over https, trusting the authority alone.
async fn page(pebble: &Pebble, root: &str, path: &str) -> Result<String, String> {
    let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
    let host = "hub.example.test";
    let stream = tls_connect(pebble.tls_addr(), host, &[root]).await;
    let mut stream = stream.map_err(|error| error.to_string())?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
    Ok(answer)
}

#[tokio::test]
#[ignore = "needs Docker and Pebble: cargo xtask test"]
async fn acme_1_the_hub_obtains_its_certificate_by_either_challenge() {
    for challenge in ["http-01", "tls-alpn-01"] {
        let pebble = Pebble::start(Wishes::default()).await;
        let acme = format!("agree_tos = true\nchallenge = \"{challenge}\"");
        let hub = Hub::start(&pebble, &acme);
        let root = pebble.root().await;
        let answer = eventually("the hub has its certificate", || async {
            page(&pebble, &root, "/hub/health").await
        });
        let answer = answer.await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{challenge}: {answer}");
        let kept: Vec<_> = fs::read_dir(hub.dir.path().join("acme")).unwrap().collect();
        assert_eq!(kept.len(), 1, "beside the configuration: {kept:?}");
    }
}

#[tokio::test]
#[ignore = "needs Docker and Pebble: cargo xtask test"]
async fn acme_2_the_doctor_tells_why_there_is_no_certificate_and_until_when_there_is_one() {
    let pebble = Pebble::start(Wishes::default()).await;
    pebble.know_only(&[]).await;
    let mut hub = Hub::start(&pebble, "agree_tos = true");
    let told = eventually("the doctor tells of the failure", || async {
        let told = hub.doctor();
        if told.contains("no new certificate") { Ok(told) } else { Err(told) }
    })
    .await;
    assert!(told.contains("hub.example.test") && told.contains("DNS record"), "{told}");
    assert!(told.contains("PROBLEM"), "{told}");

    // A hub that is started again asks at once.
    hub.process.kill().unwrap();
    hub.process.wait().unwrap();
    pebble.know_only(&["hub.example.test"]).await;
    hub.process = Hub::process(hub.dir.path());
    let told = eventually("the doctor finds a certificate", || async {
        let told = hub.doctor();
        if told.contains("certificate.pem: until") { Ok(told) } else { Err(told) }
    })
    .await;
    assert!(told.contains("its certificate: until"), "{told}");
    assert!(told.contains("answers at https://"), "with the certificate that is kept: {told}");
}

#[tokio::test]
#[ignore = "needs the built programs and Pebble: cargo xtask test"]
async fn acme_3_without_agreement_the_hub_does_not_start_and_names_the_terms() {
    let pebble = Pebble::start(Wishes::default()).await;
    let mut hub = Hub::start(&pebble, "agree_tos = false");
    assert_eq!(hub.process.wait().unwrap().code(), Some(2), "{}", hub.log());
    let told = hub.log();
    for part in ["http.acme", "terms of service", &pebble.directory(), "read them at data:"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}
