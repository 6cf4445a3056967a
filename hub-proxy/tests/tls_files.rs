//! Certificate and key files: what is accepted, and what is said about the rest.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(feature = "tls")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use hub_proxy::{TlsError, TlsKeys};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_util::sync::CancellationToken;

struct Pair {
    cert: String,
    key: String,
}

/// Signed by itself, for `hub.example`.
fn pair(change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let mut params = CertificateParams::new(vec!["hub.example".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    Pair { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn fresh() -> Pair {
    pair(|_| {})
}

fn named(names: &[&str]) -> Pair {
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    pair(|params| *params = CertificateParams::new(names).unwrap())
}

/// A server's certificate and those of its two issuers, the nearest first.
struct Chain {
    own: Pair,
    issuers: [String; 2],
}

fn chain() -> Chain {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let (root_key, between_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root_params = authority("root");
    let root = root_params.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(root_params, root_key);
    let between_params = authority("between");
    let between = between_params.signed_by(&between_key, &root_issuer).unwrap();
    let issuer = Issuer::new(between_params, between_key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["hub.example".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    Chain {
        own: Pair { cert: own.pem(), key: key.serialize_pem() },
        issuers: [between.pem(), root.pem()],
    }
}

/// A directory with `cert.pem` and `key.pem`.
struct Files(tempfile::TempDir);

impl Files {
    fn with(cert: &str, key: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        fs::write(files.cert(), cert).unwrap();
        fs::write(files.key(), key).unwrap();
        files.key_mode(0o600);
        files
    }

    fn key_mode(&self, mode: u32) {
        fs::set_permissions(self.key(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn cert(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    fn load_for(&self, hosts: &[&str]) -> Result<TlsKeys, TlsError> {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        TlsKeys::load_for(self.cert(), self.key(), hosts)
    }

    fn problem_for(&self, hosts: &[&str]) -> String {
        self.without_dir(&self.load_for(hosts).unwrap_err().to_string())
    }

    fn warnings(&self) -> Vec<String> {
        let warnings = self.load_for(&[]).unwrap().warnings();
        warnings.iter().map(|warning| self.without_dir(&warning.to_string())).collect()
    }

    fn without_dir(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new("tests/certificates").join(name)).unwrap()
}

#[test]
fn tls_2_each_problem_names_its_file_and_how_to_look_at_it() {
    let (good, other, chain) = (fresh(), fresh(), chain());
    let late = pair(|params| params.not_before = date_time_ymd(2200, 1, 1));
    let old = pair(|params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let encrypted = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let broken_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let broken_cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let not_pem = "not PEM; its first line should begin with `-----BEGIN`";
    let passphrase = "key.pem: the private key is encrypted and no passphrase is given; store it \
                      without one: openssl pkey -in key.pem -out key.pem.plain";
    let weak = "key.pem: the private key is encrypted in an old and weak way; encrypt it anew: \
               openssl pkcs8 -topk8 -in key.pem -out key.pem.new";
    for (cert, key, expected) in [
        ("hello", &*good.key, format!("cert.pem: {not_pem}: head -n 1 cert.pem")),
        ("", &good.key, format!("cert.pem: {not_pem}: head -n 1 cert.pem")),
        (
            &good.key,
            &good.key,
            "cert.pem: contains no certificate; see what it holds: grep BEGIN cert.pem".to_owned(),
        ),
        (
            broken_cert,
            &good.key,
            "cert.pem: a certificate in it cannot be used; look at it: openssl x509 -in cert.pem \
             -noout -text"
                .to_owned(),
        ),
        (&good.cert, "hello", format!("key.pem: {not_pem}: head -n 1 key.pem")),
        (
            &good.cert,
            &good.cert,
            "key.pem: contains no private key; see what it holds: grep BEGIN key.pem".to_owned(),
        ),
        (
            &good.cert,
            broken_key,
            "key.pem: the private key cannot be used; check it: openssl pkey -in key.pem -noout \
             -check"
                .to_owned(),
        ),
        (&good.cert, &encrypted, passphrase.to_owned()),
        (&fixture("pkcs1.pem"), &fixture("pkcs1-encrypted.key"), weak.to_owned()),
        (
            &good.cert,
            &other.key,
            "key.pem: the private key does not belong to the certificate in cert.pem; use the key \
             it was requested with. These two must print the same: openssl x509 -in cert.pem \
             -noout -pubkey; openssl pkey -in key.pem -pubout"
                .to_owned(),
        ),
        (
            &format!("{}{}{}", chain.issuers[1], chain.issuers[0], chain.own.cert),
            &chain.own.key,
            "cert.pem: the server's own certificate is number 3 in the file; put it first, the \
             issuers' after it: grep -c BEGIN cert.pem; openssl x509 -in cert.pem -noout -subject"
                .to_owned(),
        ),
        (
            &old.cert,
            &old.key,
            "cert.pem: the certificate expired on 2002-01-01T00:00:00Z; renew it and replace the \
             file: openssl x509 -in cert.pem -noout -dates"
                .to_owned(),
        ),
        (
            &late.cert,
            &late.key,
            "cert.pem: the certificate is not valid before 2200-01-01T00:00:00Z; check this \
             machine's clock, or wait: openssl x509 -in cert.pem -noout -dates"
                .to_owned(),
        ),
        (
            &fixture("rsa-1024.pem"),
            &fixture("rsa-1024.key"),
            "cert.pem: an RSA key of 1024 bits is too short; use 2048 at least, or ECDSA: openssl \
             x509 -in cert.pem -noout -text"
                .to_owned(),
        ),
    ] {
        assert_eq!(Files::with(cert, key).problem_for(&[]), expected);
    }
}

#[test]
fn tls_2_a_certificate_without_names_is_for_no_host_and_warned_about() {
    let nameless = Files::with(&fixture("nameless.pem"), &fixture("sec1.key"));
    assert_eq!(
        nameless.problem_for(&["hub.example.org"]),
        "cert.pem: the certificate names no host (no subject alternative name); browsers look at \
         nothing else: openssl x509 -in cert.pem -noout -ext subjectAltName"
    );
    // configurable-http-proxy starts with it.
    assert_eq!(
        nameless.warnings(),
        ["cert.pem: the certificate names no host (no subject alternative name), so browsers \
          warn of it: openssl x509 -in cert.pem -noout -ext subjectAltName"]
    );
}

#[test]
fn tls_2_swapped_files_are_told_by_what_is_missing_in_the_first() {
    let good = fresh();
    let swapped = Files::with(&good.key, &good.cert);
    assert!(swapped.problem_for(&[]).starts_with("cert.pem: contains no certificate"));
}

#[test]
fn s_01_missing_and_unreadable_files_are_told_apart() {
    let good = fresh();
    let files = Files::with(&good.cert, &good.key);
    fs::remove_file(files.key()).unwrap();
    assert_eq!(
        files.problem_for(&[]),
        "key.pem: no such file; correct the path or put the file there"
    );
    fs::create_dir(files.key()).unwrap();
    assert_eq!(files.problem_for(&[]), "key.pem: cannot be read");
    assert!(matches!(
        TlsKeys::load(Path::new("/nonexistent/cert.pem"), files.key()),
        Err(TlsError::Missing { .. })
    ));
}

#[test]
fn tls_1_keys_may_be_pkcs8_pkcs1_or_sec1() {
    for name in ["pkcs1", "sec1"] {
        let (cert, key) = (fixture(&format!("{name}.pem")), fixture(&format!("{name}.key")));
        assert!(!key.starts_with("-----BEGIN PRIVATE KEY"), "this is not PKCS#8");
        Files::with(&cert, &key).load_for(&["hub.example"]).unwrap();
    }
    let pkcs8 = fresh();
    assert!(pkcs8.key.starts_with("-----BEGIN PRIVATE KEY"));
    Files::with(&pkcs8.cert, &pkcs8.key).load_for(&["hub.example"]).unwrap();
}

#[test]
fn tls_1_certificate_and_key_may_be_one_file() {
    let chain = chain();
    let all = format!("{}{}{}", chain.own.key, chain.own.cert, chain.issuers[0]);
    let files = Files::with(&all, "");
    TlsKeys::load(files.cert(), files.cert()).unwrap();
}

#[test]
fn tls_2_the_certificate_is_for_the_hosts_people_use() {
    for (names, host, good) in [
        (&["hub.example"][..], "hub.example", true),
        (&["hub.example"], "HUB.example", true),
        (&["a.example", "hub.example"], "hub.example", true),
        (&["*.example.org"], "hub.example.org", true),
        (&["*.example.org"], "a.hub.example.org", false),
        (&["*.example.org"], "example.org", false),
        (&["hub.example"], "hub.example.org", false),
        (&["localhost"], "127.0.0.1", false),
        (&["127.0.0.1"], "127.0.0.1", true),
        (&["::1"], "[::1]", true),
        (&["::1"], "::1", true),
        (&["hub.example"], "not a host", false),
    ] {
        let pair = named(names);
        let loaded = Files::with(&pair.cert, &pair.key).load_for(&[host]);
        assert_eq!(loaded.is_ok(), good, "{names:?} for {host}: {loaded:?}");
    }
}

#[test]
fn tls_2_a_host_that_is_not_in_the_certificate_is_named() {
    let pair = named(&["hub.example", "10.0.0.1"]);
    assert_eq!(
        Files::with(&pair.cert, &pair.key).problem_for(&["hub.example", "hub.example.org"]),
        "cert.pem: the certificate is not for hub.example.org but for hub.example, 10.0.0.1; get \
         one that is, or use that host: openssl x509 -in cert.pem -noout -ext subjectAltName"
    );
}

#[test]
fn tls_2_a_leaf_alone_is_warned_about() {
    let chain = chain();
    let alone = Files::with(&chain.own.cert, &chain.own.key);
    let warnings = alone.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("cert.pem: only the server's own certificate is in it"),
        "{warnings:?}"
    );

    let full = format!("{}{}", chain.own.cert, chain.issuers[0]);
    assert!(Files::with(&full, &chain.own.key).warnings().is_empty());
    let own = fresh();
    assert!(Files::with(&own.cert, &own.key).warnings().is_empty(), "it has no other issuer");
}

#[test]
fn tls_2_issuers_out_of_order_are_warned_about() {
    let chain = chain();
    let [between, root] = &chain.issuers;
    let ordered = format!("{}{between}{root}", chain.own.cert);
    assert!(Files::with(&ordered, &chain.own.key).warnings().is_empty());
    let mixed = format!("{}{root}{between}", chain.own.cert);
    let warnings = Files::with(&mixed, &chain.own.key).warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("cert.pem: certificate number 2 is not the issuer of the one"),
        "{warnings:?}"
    );
}

#[test]
fn tls_2_a_key_that_everybody_may_read_is_warned_about() {
    let good = fresh();
    let files = Files::with(&good.cert, &good.key);
    for (mode, expected) in [
        (0o600, None),
        (0o640, None),
        (
            0o644,
            Some(
                "key.pem: everybody on this machine may read the private key (mode 0644); run: \
                  chmod o= key.pem",
            ),
        ),
    ] {
        files.key_mode(mode);
        assert_eq!(files.warnings().first().map(String::as_str), expected, "{mode:o}");
    }
}

#[test]
fn tls_2_a_reload_asks_for_the_same_hosts_and_keeps_the_old_pair() {
    let good = fresh();
    let files = Files::with(&good.cert, &good.key);
    let keys = files.load_for(&["hub.example"]).unwrap();
    let not_after = keys.not_after();
    let other = named(&["other.example"]);
    fs::write(files.cert(), &other.cert).unwrap();
    fs::write(files.key(), &other.key).unwrap();
    assert!(matches!(keys.reload(), Err(TlsError::NotForHost { .. })));
    assert_eq!(keys.not_after(), not_after);
}

#[test]
fn the_last_day_of_a_certificate_can_be_asked() {
    let pair = pair(|params| params.not_after = date_time_ymd(2200, 5, 6));
    let keys = TlsKeys::from_pem(pair.cert.as_bytes(), pair.key.as_bytes()).unwrap();
    assert_eq!(keys.not_after().to_string(), "2200-05-06T00:00:00Z");
}

#[tokio::test]
async fn tls_3_replaced_files_are_in_use_soon_and_bad_ones_are_told() {
    // Both in one file, and renamed into place: never seen half written.
    let files = Files::with("", "");
    let put = |text: &str| {
        fs::write(files.key(), text).unwrap();
        fs::rename(files.key(), files.cert()).unwrap();
    };
    let put_until = |year: i32| {
        let next = pair(|params| params.not_after = date_time_ymd(year, 1, 1));
        put(&format!("{}{}", next.key, next.cert));
    };
    put_until(2200);
    let keys = TlsKeys::load(files.cert(), files.cert()).unwrap();
    // Before anybody watches.
    put_until(2201);
    let (told, mut outcomes) = tokio::sync::mpsc::unbounded_channel::<Result<(), TlsError>>();
    let replaced = async {
        outcomes.recv().await.unwrap().unwrap();
        let newer: Timestamp = "2201-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(keys.not_after(), newer);

        put("half");
        let refused = outcomes.recv().await.unwrap().unwrap_err();
        assert!(matches!(refused, TlsError::NotPem { .. }), "{refused:?}");
        assert_eq!(keys.not_after(), newer);
    };
    let interval = Duration::from_millis(20);
    tokio::select! {
        () = keys.watch(interval, |outcome| told.send(outcome).unwrap()) => unreachable!(),
        done = tokio::time::timeout(Duration::from_secs(60), replaced) => done.unwrap(),
    }
}

#[tokio::test]
async fn watching_ends_when_told() {
    let good = fresh();
    let files = Files::with(&good.cert, &good.key);
    let stop = CancellationToken::new();
    stop.cancel();
    files.load_for(&[]).unwrap().keep_watching(stop).await;
}
