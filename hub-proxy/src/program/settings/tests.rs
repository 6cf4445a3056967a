use clap::Parser;

use super::*;
use crate::program::{args::CommandLine, endpoint::Host};

fn tcp(host: &str, port: u16) -> Endpoint {
    let host = if host.is_empty() { Host::Any } else { Host::Named(host.to_owned()) };
    Endpoint::Tcp { host, port }
}

fn settings(args: &[&str], environment: Environment) -> Result<Settings, String> {
    let args = CommandLine::try_parse_from([&["hub-proxy"], args].concat()).unwrap();
    Settings::new(args.run, environment).map_err(|error| error.to_string())
}

fn with(args: &[&str]) -> Settings {
    settings(args, Environment::default()).unwrap()
}

fn refused(args: &[&str]) -> String {
    settings(args, Environment::default()).unwrap_err()
}

#[test]
fn section_1_defaults_are_those_of_configurable_http_proxy() {
    let settings = with(&[]);
    assert_eq!(settings.public, tcp("", 8000));
    assert_eq!(settings.api, tcp("localhost", 8001));
    assert_eq!(settings.proxy.trusted_proxies, TrustForwarded::Everyone);
    assert!(settings.proxy.x_forward && settings.proxy.prepend_path);
    assert_eq!(settings.keep_alive_timeout, Duration::from_secs(75), "K-08");
    assert!(settings.proxy.include_prefix && !settings.proxy.change_origin);
    assert!(settings.https.is_none() && settings.redirect.is_none() && settings.token.is_none());
}

#[test]
fn section_1_ways_to_say_all_interfaces() {
    for (args, warnings) in [(vec!["--ip", ""], 0), (vec!["--ip=*"], 1), (vec![], 0)] {
        let settings = with(&args);
        assert_eq!((settings.public, settings.warnings.len()), (tcp("", 8000), warnings));
    }
    assert_eq!(with(&["--ip", "[::1]"]).public, tcp("::1", 8000));
    assert_eq!(with(&["--port", "9000"]).api, tcp("localhost", 9001));
    assert!(refused(&["--port", "65535"]).starts_with("--api-port: "));
}

#[test]
fn section_1_unix_sockets_take_the_place_of_addresses() {
    let settings = with(&["--socket", "p", "--metrics-socket", "m"]);
    assert_eq!(settings.public, Endpoint::Unix("p".into()));
    assert_eq!(settings.api, tcp("localhost", 8001), "there is no port to be the next of");
    assert_eq!(settings.metrics, Some(Endpoint::Unix("m".into())));
    assert_eq!(with(&["--api-socket", "a", "--port", "65535"]).api, Endpoint::Unix("a".into()));
    let tls = ["--ssl-key", "k", "--ssl-cert", "c", "--socket", "p", "--redirect-port", "80"];
    assert!(refused(&tls).starts_with("--redirect-to: the socket of --socket has no port"));
    assert_eq!(
        with(&[&tls[..], &["--redirect-to", "443"]].concat()).redirect.unwrap().to,
        Some(443)
    );
}

#[test]
fn p_016_redirects_name_the_public_port_or_another() {
    let tls = ["--ssl-key", "k", "--ssl-cert", "c", "--port", "8443", "--redirect-port", "8080"];
    let redirect = with(&tls).redirect.unwrap();
    assert_eq!((redirect.from, redirect.to), (tcp("", 8080), None));
    assert!(!redirect.keeps_method, "P-015: 301, as the program that this one stands in for");
    let more = ["--redirect-to", "443", "--redirect-keeps-method"];
    let redirect = with(&[&tls[..], &more].concat()).redirect.unwrap();
    assert_eq!((redirect.to, redirect.keeps_method), (Some(443), true));
}

#[test]
fn p_017_p_018_custom_headers_are_split_at_the_first_colon() {
    let settings = with(&["--custom-header", " x-a :  one:two ", "--custom-header=X-B: 2"]);
    let headers: Vec<_> = settings
        .proxy
        .custom_headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(headers, [("x-a", "one:two"), ("x-b", "2")]);
    for field in ["no colon", ": value"] {
        assert!(refused(&["--custom-header", field]).contains("colon was expected"), "{field}");
    }
    assert!(refused(&["--custom-header", "a b: c"]).contains("no name of a field"));
}

#[test]
fn a11_trusted_proxies_are_networks_or_a_word() {
    let trust = |text| with(&["--trusted-proxies", text]).proxy.trusted_proxies;
    assert_eq!(trust("none"), TrustForwarded::Nobody);
    assert!(matches!(trust("10.0.0.0/8, ::1"), TrustForwarded::Networks(list) if list.len() == 2));
    let said = refused(&["--trusted-proxies", "10.0.0.0/99"]);
    assert!(said.starts_with("--trusted-proxies: `10.0.0.0/99` is not a network"), "{said}");
}

#[test]
fn p_041_an_unknown_storage_backend_is_named() {
    assert!(refused(&["--storage-backend", "redis"]).contains("\"redis\""));
}

#[test]
fn bad_targets_name_their_flag() {
    assert!(refused(&["--default-target", "nonsense"]).starts_with("--default-target: "));
    assert!(refused(&["--error-target", "ftp://h"]).starts_with("--error-target: "));
    assert!(log_level("LOUD").unwrap_err().to_string().starts_with("--log-level: "));
    assert_eq!(log_level("Debug").unwrap(), LevelFilter::DEBUG);
}

#[test]
fn section_1_the_token_comes_from_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let environment = |token: Option<&str>, file: bool| Environment {
        auth_token: token.map(str::to_owned),
        auth_token_file: file.then(|| path.clone()),
        ..Environment::default()
    };
    assert!(settings(&[], environment(Some("s"), false)).unwrap().token.is_some());
    let both = settings(&[], environment(Some("s"), true)).unwrap_err();
    assert!(both.contains("CONFIGPROXY_AUTH_TOKEN is set as well"), "{both}");
    let missing = settings(&[], environment(None, true)).unwrap_err();
    assert!(missing.contains("cannot be read"), "{missing}");
    std::fs::write(&path, "\n").unwrap();
    assert!(settings(&[], environment(None, true)).unwrap_err().contains("is empty"));
    std::fs::write(&path, "s3cret\n").unwrap();
    assert!(settings(&[], environment(None, true)).unwrap().token.is_some());
}

#[test]
fn s_12_targets_are_taken_unchecked_only_when_told_and_with_a_word_about_it() {
    assert!(with(&[]).proxy.target_tls.is_none());
    let settings = with(&["--insecure"]);
    assert!(settings.proxy.target_tls.is_some());
    assert!(settings.warnings.iter().any(|warning| warning.starts_with("--insecure")));
}

#[test]
fn s_05_what_targets_are_shown_is_read_at_once() {
    let said = refused(&["--client-ssl-ca", "/none/such"]);
    assert!(said.starts_with("--client-ssl-*: /none/such: no such file"), "{said}");
}

#[test]
fn acme_1_http_01_needs_port_80_and_domains_are_checked() {
    let acme = ["--acme-domain", "hub.example.org", "--acme-dir", "d"];
    assert!(refused(&acme).starts_with("--redirect-port: the authority asks on port 80"));
    let on_443 = with(&[&acme[..], &["--acme-challenge", "tls-alpn-01"]].concat());
    assert!(matches!(on_443.https, Some(Https::Acme(config)) if !config.agree_tos));
    assert!(with(&[&acme[..], &["--redirect-port", "80"]].concat()).https.is_some());
    let wildcard = ["--acme-domain", "*.example.org", "--acme-dir", "d"];
    assert!(refused(&wildcard).starts_with("--acme-domain: \"*.example.org\" cannot be"));
}
