//! Sign-in by way of a forward proxy: a real tunnel to a GitHub that speaks TLS, whose
//! name only the proxy can resolve.

#![expect(clippy::unwrap_used, reason = "a stand-in that breaks ends its test")]

mod support {
    pub(crate) mod forward_proxy;
    #[expect(dead_code, reason = "tests of GitHub itself use more of it")]
    pub(crate) mod github;
}

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use hub_auth::{
    Answer, AuthError, Authenticator, Claims, Egress, GithubAuthenticator, GithubConfig,
    LoginStart, OidcAuthenticator, OidcConfig, system_clock,
};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use support::{
    forward_proxy::{Manner, Proxy},
    github::{CALLBACK_URL, Github, TOKEN_PATH, USER_PATH},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// A name that no resolver knows (RFC 6761 section 6.4).
const NAME: &str = "github.invalid";

/// GitHub behind TLS; it stops when dropped.
struct Secure {
    github: Github,
    address: SocketAddr,
    certificate: String,
    _tasks: JoinSet<()>,
}

impl Secure {
    async fn start() -> Self {
        let github = Github::start().await;
        let behind = github.address();
        let pair = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                open.spawn(async move {
                    // Who does not trust the certificate goes away.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut far = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut far).await;
                });
            }
        });
        Self { github, address, certificate: pair.cert.pem(), _tasks: tasks }
    }

    fn egress(&self, proxy: &str) -> Egress {
        let egress = Egress::default().trusting(&self.certificate).unwrap();
        egress.by_proxy(proxy, &[]).unwrap()
    }

    async fn sign_in(&self, egress: Egress) -> Result<Claims, AuthError> {
        let config = GithubConfig {
            egress,
            url: format!("https://{NAME}/").parse().unwrap(),
            ..self.github.config()
        };
        let authenticator = GithubAuthenticator::new(config).unwrap();
        let LoginStart { redirect, pending } = authenticator.begin().await.unwrap().unwrap();
        let callback = self.github.approve(&redirect);
        authenticator.finish(Answer::Callback { pending, callback }).await
    }
}

/// The message with those of its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_sign_in_goes_by_the_proxy() {
    let secure = Secure::start().await;
    let proxy = Proxy::start(Manner::LeadsTo(secure.address)).await;
    let egress = secure.egress(&format!("http://{}", proxy.address()));
    let claims = secure.sign_in(egress).await.unwrap();
    assert_eq!(claims.login, "Octo-Cat");
    assert_eq!(secure.github.seen(), [TOKEN_PATH, USER_PATH]);
    let head = format!("CONNECT {NAME}:443 HTTP/1.1\r\nhost: {NAME}:443\r\n\r\n");
    assert_eq!(proxy.asked(), [head.clone(), head]);
}

#[tokio::test]
async fn g1_a_proxy_gets_its_password_and_nobody_else_does() {
    let secure = Secure::start().await;
    // "hub:open sesame"
    let wanted = Manner::Wants("Basic aHViOm9wZW4gc2VzYW1l", secure.address);
    let proxy = Proxy::start(wanted).await;
    let address = proxy.address();
    let by = |text: &str| secure.egress(&format!("http://{text}{address}"));
    assert_eq!(secure.sign_in(by("hub:open%20sesame@")).await.unwrap().login, "Octo-Cat");

    let shown = format!(
        "GitHub could not be reached: the connection failed: client error (Connect): the proxy http://{address} "
    );
    let error = secure.sign_in(by("")).await.unwrap_err();
    let expected = "wants a user name and password; write them into its address, http://NAME:PASSWORD@HOST:PORT";
    assert_eq!(chain(&error), format!("{shown}{expected}"));
    let error = secure.sign_in(by("hub:hush@")).await.unwrap_err();
    let expected = "does not accept the user name and password in its address";
    assert_eq!(chain(&error), format!("{shown}{expected}"));
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    assert!(!format!("{error:?}").contains("aHViOmh1c2g"), "{error:?}");
}

#[tokio::test]
async fn each_way_in_which_a_proxy_fails_is_told_with_its_address() {
    let secure = Secure::start().await;
    let rows = [
        (
            Manner::Answers("HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!"),
            "answered with status 403 Forbidden instead of connecting to github.invalid:443; it has to allow that",
        ),
        (
            Manner::Answers("HTTP/1.1 502 Bad Gateway\r\n\r\n<h1>no such host</h1>"),
            "answered with status 502 Bad Gateway instead of connecting to github.invalid:443; it has to allow that",
        ),
        (
            Manner::Answers("SSH-2.0-OpenSSH_9.9\r\n"),
            "does not answer as a proxy does; is its address right?: invalid HTTP version parsed",
        ),
        (
            Manner::Answers(""),
            "does not answer as a proxy does; is its address right?: connection closed before message completed",
        ),
    ];
    for (manner, expected) in rows {
        let proxy = Proxy::start(manner).await;
        let address = proxy.address();
        let error = secure.sign_in(secure.egress(&address.to_string())).await.unwrap_err();
        assert!(matches!(error, AuthError::Unreachable { .. }), "{error:?}");
        assert_eq!(
            chain(&error),
            format!(
                "GitHub could not be reached: the connection failed: client error (Connect): the proxy http://{address} {expected}"
            )
        );
    }
    assert!(secure.github.seen().is_empty());
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let secure = Secure::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let error = secure.sign_in(secure.egress(&format!("http://{address}"))).await.unwrap_err();
    let text = chain(&error);
    let expected = format!("the proxy http://{address} cannot be reached: Connection refused");
    assert!(text.contains(&expected), "{text}");
}

#[tokio::test]
async fn a_proxy_that_hangs_costs_one_limit_of_time_and_is_named() {
    let secure = Secure::start().await;
    let proxy = Proxy::start(Manner::Silent).await;
    let config = GithubConfig {
        egress: secure.egress(&format!("http://{}", proxy.address())),
        url: format!("https://{NAME}/").parse().unwrap(),
        timeout: Duration::from_millis(300),
        ..secure.github.config()
    };
    let authenticator = GithubAuthenticator::new(config).unwrap();
    let LoginStart { redirect, pending } = authenticator.begin().await.unwrap().unwrap();
    let callback = secure.github.approve(&redirect);
    let error = authenticator.finish(Answer::Callback { pending, callback }).await.unwrap_err();
    let expected = format!(
        "GitHub could not be reached: no complete answer within 0.3 s, asked by way of the proxy http://{}",
        proxy.address()
    );
    assert_eq!(chain(&error), expected);
}

#[tokio::test]
async fn a_certificate_of_an_authority_of_ones_own_takes_that_authority() {
    let secure = Secure::start().await;
    let proxy = Proxy::start(Manner::LeadsTo(secure.address)).await;
    let egress = Egress::default().by_proxy(&proxy.address().to_string(), &[]).unwrap();
    let error = secure.sign_in(egress).await.unwrap_err();
    assert!(chain(&error).contains("invalid peer certificate"), "{}", chain(&error));
    assert!(secure.github.seen().is_empty());
}

#[tokio::test]
async fn this_machine_and_plain_http_are_asked_directly() {
    let github = Github::start().await;
    let proxy = Proxy::start(Manner::Answers("HTTP/1.1 403 Forbidden\r\n\r\n")).await;
    let egress = Egress::default().by_proxy(&proxy.address().to_string(), &[]).unwrap();
    let authenticator =
        GithubAuthenticator::new(GithubConfig { egress, ..github.config() }).unwrap();
    let LoginStart { redirect, pending } = authenticator.begin().await.unwrap().unwrap();
    let callback = github.approve(&redirect);
    authenticator.finish(Answer::Callback { pending, callback }).await.unwrap();
    assert!(proxy.asked().is_empty());
}

#[tokio::test]
async fn an_openid_provider_is_asked_by_the_proxy_for_its_addresses() {
    let secure = Secure::start().await;
    let proxy = Proxy::start(Manner::Answers("HTTP/1.1 403 Forbidden\r\n\r\n")).await;
    let egress = secure.egress(&proxy.address().to_string());
    let issuer = "https://id.invalid:8443/realms/lab".to_owned();
    let callback_url = CALLBACK_URL.parse().unwrap();
    let config = OidcConfig {
        egress,
        ..OidcConfig::new(issuer, "hub".to_owned(), "secret".into(), callback_url)
    };
    let oidc = OidcAuthenticator::new(config, system_clock()).unwrap();
    let error = oidc.begin().await.unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains(&format!("the proxy http://{} answered with", proxy.address())),
        "{text}"
    );
    assert!(proxy.asked()[0].starts_with("CONNECT id.invalid:8443 HTTP/1.1\r\n"));
}
