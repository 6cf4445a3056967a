//! Automatic certificates, from a real authority (ACME-5: on this machine).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "acme")]

#[path = "support/pebble.rs"]
mod pebble;

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use http::Response;
use hub_proxy::{
    Acme, AcmeCause, AcmeChallenge, AcmeConfig, AcmeError, AcmeExternalAccount, AcmeProblem,
    AcmeState, AcmeStatus, ListenConfig, Listener, RedirectToHttps,
};
use pebble::{Pebble, Wishes, tls_connect};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const DEADLINE: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("this should have happened by now")
}

/// Account and certificates, and what is configured.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn config(&self, pebble: &Pebble, domains: &[&str]) -> AcmeConfig {
        let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        let mut config = AcmeConfig::new(domains, self.0.path().join("acme"));
        config.agree_tos = true;
        config.directory = pebble.directory().parse().unwrap();
        config.directory_ca = Some(pebble.directory_ca());
        config
    }

    /// The one file of this name that is kept.
    fn file(&self, name: &str) -> PathBuf {
        let dirs: Vec<_> = fs::read_dir(self.0.path().join("acme")).unwrap().collect();
        assert_eq!(dirs.len(), 1, "{dirs:?}");
        dirs[0].as_ref().unwrap().path().join(name)
    }
}

/// A proxy on the ports where the authority looks.
struct Front {
    acme: Acme,
    tls: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Front {
    async fn start(pebble: &Pebble, config: AcmeConfig) -> Self {
        let acme = Acme::open(config).await.unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let plain = Listener::bind(&ListenConfig::new(pebble.http_addr())).await.unwrap();
        let redirect = RedirectToHttps::new(443).answering(acme.http_challenges());
        tasks.spawn(plain.serve(redirect, stop.clone(), Duration::ZERO));
        let mut listen = ListenConfig::new(pebble.tls_addr());
        listen.tls = Some(acme.keys());
        let https = Listener::bind(&listen).await.unwrap();
        let hello =
            tower::service_fn(async |_| Ok::<_, Infallible>(Response::new("hello\n".to_owned())));
        tasks.spawn(https.serve(hello, stop.clone(), Duration::ZERO));
        let (runner, stopped) = (acme.clone(), stop.clone());
        tasks.spawn(async move { runner.run(stopped).await });
        Self { acme, tls: pebble.tls_addr(), stop, tasks }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        soon(self.tasks.wait()).await;
    }

    /// The status once `wanted` says yes.
    async fn status(&self, wanted: impl Fn(&AcmeStatus) -> bool) -> AcmeStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.acme.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "still {status:?}");
            // Its change may have come between the two.
            let change = self.acme.status_changed();
            let _ = tokio::time::timeout(Duration::from_millis(50), change).await;
        }
    }

    async fn certified(&self) -> AcmeStatus {
        self.status(|status| matches!(status.state, AcmeState::Waiting { .. })).await
    }

    async fn failed(&self) -> (AcmeProblem, AcmeStatus) {
        let status = self.status(|status| matches!(status.state, AcmeState::Failed { .. })).await;
        match status.state.clone() {
            AcmeState::Failed { problem, .. } => (problem, status),
            other => panic!("{other:?}"),
        }
    }

    /// Gets a page over https as `host`, trusting the authority alone.
    async fn page(&self, root: &str, host: &str) -> std::io::Result<String> {
        let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
        let mut stream = soon(tls_connect(self.tls, host, &[root])).await?;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        Ok(page)
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_1_a_certificate_for_several_domains_by_http_01() {
    let (pebble, place) = (Pebble::start(Wishes::default()).await, Place::new());
    let front =
        Front::start(&pebble, place.config(&pebble, &["hub.example.test", "lab.example.test"]))
            .await;
    let status = front.certified().await;
    assert_eq!(status.not_after, Some(front.acme.keys().not_after()));
    let root = pebble.root().await;
    for host in ["hub.example.test", "lab.example.test"] {
        assert!(front.page(&root, host).await.unwrap().ends_with("hello\n"), "{host}");
    }
    assert!(front.page(&root, "other.example.test").await.is_err());
    for name in ["account.json", "certificate.pem"] {
        assert_eq!(mode(&place.file(name)), 0o600, "{name}");
    }
    assert_eq!(mode(place.file("account.json").parent().unwrap()), 0o700);
    front.stop().await;
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_1_a_certificate_for_several_domains_by_tls_alpn_01() {
    let (pebble, place) = (Pebble::start(Wishes::default()).await, Place::new());
    let mut config = place.config(&pebble, &["hub.example.test", "lab.example.test"]);
    config.challenge = AcmeChallenge::TlsAlpn01;
    let front = Front::start(&pebble, config).await;
    front.certified().await;
    let root = pebble.root().await;
    for host in ["hub.example.test", "lab.example.test"] {
        assert!(front.page(&root, host).await.unwrap().ends_with("hello\n"), "{host}");
    }
    front.stop().await;
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_1_account_and_certificate_are_kept_across_restarts() {
    let (pebble, place) = (Pebble::start(Wishes::default()).await, Place::new());
    let config = place.config(&pebble, &["hub.example.test"]);
    let front = Front::start(&pebble, config.clone()).await;
    front.certified().await;
    front.stop().await;
    let kept = |name| fs::read_to_string(place.file(name)).unwrap();
    let (account, certificate) = (kept("account.json"), kept("certificate.pem"));

    let front = Front::start(&pebble, config.clone()).await;
    assert!(front.acme.status().not_after.is_some(), "it is in use from the start");
    front.certified().await;
    assert_eq!(kept("certificate.pem"), certificate, "nothing was ordered");
    front.stop().await;

    // With more domains there is a new order, by the same account.
    let mut wider = place.config(&pebble, &["hub.example.test", "lab.example.test"]);
    wider.email = Some("ada@example.test".to_owned());
    let front = Front::start(&pebble, wider).await;
    front.certified().await;
    assert_ne!(kept("certificate.pem"), certificate);
    let id = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["credentials"].clone()
    };
    assert_eq!(id(&kept("account.json")), id(&account));
    assert!(kept("account.json").contains("ada@example.test"), "the authority was told");
    front.stop().await;
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_1_an_account_that_the_authority_forgot_is_made_anew() {
    let (mut pebble, place) = (Pebble::start(Wishes::default()).await, Place::new());
    let config = place.config(&pebble, &["hub.example.test"]);
    let front = Front::start(&pebble, config.clone()).await;
    front.certified().await;
    front.stop().await;
    let account = fs::read_to_string(place.file("account.json")).unwrap();
    fs::remove_file(place.file("certificate.pem")).unwrap();
    pebble.run().await;

    let front = Front::start(&pebble, config).await;
    front.certified().await;
    assert_ne!(fs::read_to_string(place.file("account.json")).unwrap(), account);
    front.stop().await;
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_2_a_certificate_is_renewed_while_it_is_served() {
    let wishes = Wishes { valid_seconds: Some(15), ..Wishes::default() };
    let (pebble, place) = (Pebble::start(wishes).await, Place::new());
    let front = Front::start(&pebble, place.config(&pebble, &["hub.example.test"])).await;
    let first = front.certified().await.not_after.unwrap();
    let root = pebble.root().await;
    let renewed = front.status(|status| {
        matches!(status.state, AcmeState::Waiting { .. }) && status.not_after != Some(first)
    });
    let renewed = renewed.await.not_after.unwrap();
    assert!(renewed > first);
    assert!(front.page(&root, "hub.example.test").await.unwrap().ends_with("hello\n"));
    front.stop().await;
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_2_after_a_failure_the_old_certificate_is_served_and_the_reason_told() {
    let (pebble, place) = (Pebble::start(Wishes::default()).await, Place::new());
    pebble.know_only(&["hub.example.test"]).await;
    let front = Front::start(&pebble, place.config(&pebble, &["hub.example.test"])).await;
    front.certified().await;
    front.stop().await;

    let front =
        Front::start(&pebble, place.config(&pebble, &["hub.example.test", "lab.example.test"]))
            .await;
    let (problem, status) = front.failed().await;
    assert_eq!(problem.domain(), Some("lab.example.test"), "{problem}");
    let root = pebble.root().await;
    assert!(front.page(&root, "hub.example.test").await.unwrap().ends_with("hello\n"));
    match status.state {
        AcmeState::Failed { failures, next_attempt, advice, .. } => {
            assert_eq!(failures, 1);
            assert!(advice.contains("DNS record"), "{problem}: {advice}");
            let next = next_attempt.duration_since(front.acme.keys().not_after());
            assert!(next.is_negative(), "before the old one ends");
        }
        other => panic!("{other:?}"),
    }

    // Whoever has corrected it need not wait for an hour.
    pebble.know_only(&["hub.example.test", "lab.example.test"]).await;
    front.acme.try_now();
    front.certified().await;
    assert!(front.page(&root, "lab.example.test").await.unwrap().ends_with("hello\n"));
    front.stop().await;
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_2_an_authority_that_is_away_is_tried_again() {
    let (mut pebble, place) = (Pebble::prepared(Wishes::default()), Place::new());
    let front = Front::start(&pebble, place.config(&pebble, &["hub.example.test"])).await;
    let (problem, status) = front.failed().await;
    assert_eq!(problem.cause(), AcmeCause::DirectoryUnreachable, "{problem}");
    assert_eq!(status.not_after, None, "what is served stands in");
    pebble.run().await;
    front.acme.try_now();
    front.certified().await;
    front.stop().await;
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_2_another_server_on_port_80_is_told() {
    let (pebble, place) = (Pebble::start(Wishes::default()).await, Place::new());
    let acme = Acme::open(place.config(&pebble, &["hub.example.test"])).await.unwrap();
    let plain = Listener::bind(&ListenConfig::new(pebble.http_addr())).await.unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let other = tower::service_fn(async |_| {
        Ok::<_, Infallible>(Response::new("welcome to nginx\n".to_owned()))
    });
    tasks.spawn(plain.serve(other, stop.clone(), Duration::ZERO));
    let (runner, stopped) = (acme.clone(), stop.clone());
    tasks.spawn(async move { runner.run(stopped).await });
    let front = Front { acme, tls: pebble.tls_addr(), stop, tasks };
    let (problem, _) = front.failed().await;
    assert_eq!(problem.cause(), AcmeCause::WrongServer, "{problem}");
    assert_eq!(problem.domain(), Some("hub.example.test"));
    front.stop().await;
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_3_without_agreement_the_terms_are_named_and_nothing_is_ordered() {
    let (pebble, place) = (Pebble::start(Wishes::default()).await, Place::new());
    let mut config = place.config(&pebble, &["hub.example.test"]);
    config.agree_tos = false;
    let refused = Acme::open(config).await.unwrap_err();
    assert!(matches!(&refused, AcmeError::TermsNotAgreed { terms: Some(_), .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains(&pebble.directory()) && text.contains("read them at data:"), "{text}");
    assert!(!place.0.path().join("acme").exists(), "nothing was made");
}

#[tokio::test]
#[ignore = "needs Pebble: cargo xtask test"]
async fn acme_1_an_external_account_is_used_where_one_is_wanted() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let wishes = Wishes { external_account: Some(("kid-1", key)), ..Wishes::default() };
    let (pebble, place) = (Pebble::start(wishes).await, Place::new());
    let mut config = place.config(&pebble, &["hub.example.test"]);
    let front = Front::start(&pebble, config.clone()).await;
    let (problem, _) = front.failed().await;
    assert_eq!(problem.cause(), AcmeCause::Account, "{problem}");
    front.stop().await;

    config.external_account =
        Some(AcmeExternalAccount { key_id: "kid-1".to_owned(), hmac_key: key.to_owned() });
    assert!(!format!("{config:?}").contains(key), "it is a secret");
    let front = Front::start(&pebble, config).await;
    front.certified().await;
    front.stop().await;
}

#[tokio::test]
async fn acme_3_an_authority_that_does_not_answer_has_terms_all_the_same() {
    let (pebble, place) = (Pebble::prepared(Wishes::default()), Place::new());
    let mut config = place.config(&pebble, &["hub.example.test"]);
    config.agree_tos = false;
    let refused = Acme::open(config).await.unwrap_err();
    assert!(matches!(refused, AcmeError::TermsNotAgreed { terms: None, .. }), "{refused:?}");
}

#[tokio::test]
async fn acme_1_what_cannot_work_is_refused_before_anything_is_made() {
    let (pebble, place) = (Pebble::prepared(Wishes::default()), Place::new());
    let refused = |config| async { Acme::open(config).await.unwrap_err() };
    let good = place.config(&pebble, &["hub.example.test"]);

    let none = {
        let mut c = good.clone();
        c.domains = Vec::new();
        c
    };
    assert!(matches!(refused(none).await, AcmeError::NoDomains));
    let wildcard = {
        let mut c = good.clone();
        c.domains = vec!["*.example.test".to_owned()];
        c
    };
    assert!(matches!(refused(wildcard).await, AcmeError::BadDomain { .. }));
    let mut no_ca = good.clone();
    no_ca.directory_ca = Some(place.0.path().join("absent.pem"));
    let told = refused(no_ca).await.to_string();
    assert!(told.contains("absent.pem: not a PEM file"), "{told}");
    let mut no_key = good.clone();
    no_key.external_account =
        Some(AcmeExternalAccount { key_id: "k".to_owned(), hmac_key: "?".to_owned() });
    assert!(matches!(refused(no_key).await, AcmeError::ExternalAccountKey));
    let mut in_a_file = good.clone();
    fs::write(place.0.path().join("file"), "").unwrap();
    in_a_file.dir = place.0.path().join("file");
    assert!(matches!(refused(in_a_file).await, AcmeError::Storage { .. }));
    assert!(!place.0.path().join("acme").exists());
}

#[tokio::test]
async fn acme_2_a_kept_certificate_that_is_damaged_is_not_the_end() {
    let (pebble, place) = (Pebble::prepared(Wishes::default()), Place::new());
    let config = place.config(&pebble, &["hub.example.test"]);
    Acme::open(config.clone()).await.unwrap();
    fs::write(place.file("certificate.pem"), "half").unwrap();
    let acme = Acme::open(config).await.unwrap();
    assert_eq!(acme.status().not_after, None);
}
