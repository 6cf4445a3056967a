//! An OpenID provider of our own, on loopback: it signs real tokens, and lies in
//! the ways that a client has to notice.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hub_auth::{Callback, Clock, OidcAuthenticator, OidcConfig};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use url::Url;

pub(crate) const CLIENT_ID: &str = "hub";
pub(crate) const CLIENT_SECRET: &str = "client-secret-of-the-hub";
/// When everything happens, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;

/// Bytes in front of an RSA key of 2048 bits in PKCS #8, which the signing library
/// wants without.
const PKCS8_HEADER: usize = 26;

/// The stand-in; it stops when dropped.
pub(crate) struct Openid {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    _tasks: JoinSet<()>,
}

/// A key that it signs with.
#[derive(Clone)]
pub(crate) struct SigningKey {
    header: Header,
    secret: EncodingKey,
    published: Value,
}

/// What it does; change it before the request that is to see it.
pub(crate) struct Inner {
    pub(crate) metadata: Value,
    /// Signs.
    pub(crate) key: SigningKey,
    /// Are published.
    pub(crate) keys: Vec<Value>,
    /// Are put over the ID token's own claims; null removes one.
    pub(crate) claims: Value,
    pub(crate) userinfo: Value,
    /// What the last question for it had in its address.
    pub(crate) userinfo_query: Option<String>,
    /// What becomes of a signed token.
    pub(crate) tamper: Option<fn(String) -> String>,
    /// Paths that answer with a status instead.
    pub(crate) fails: HashMap<&'static str, StatusCode>,
    /// Paths that answer with this text instead; without one they never answer.
    pub(crate) says: HashMap<&'static str, Option<String>>,
    /// Paths that answer, with what is to be said then, once there is a permit for it.
    pub(crate) waits: HashMap<&'static str, Arc<Semaphore>>,
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    /// Takes the place of the refresh token when that is used.
    pub(crate) next_refresh_token: Option<String>,
    /// Path of each request that arrived.
    pub(crate) seen: Vec<String>,
    /// Fields of the last request for tokens.
    pub(crate) token_form: HashMap<String, String>,
    codes: HashMap<String, HashMap<String, String>>,
}

impl SigningKey {
    pub(crate) fn rsa(kid: &str) -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let secret = EncodingKey::from_rsa_der(&pair.serialized_der()[PKCS8_HEADER..]);
        Self::new(kid, Algorithm::RS256, secret)
    }

    pub(crate) fn ec(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let secret = EncodingKey::from_ec_der(pair.serialized_der());
        Self::new(kid, Algorithm::ES256, secret)
    }

    fn new(kid: &str, algorithm: Algorithm, secret: EncodingKey) -> Self {
        let mut jwk = Jwk::from_encoding_key(&secret, algorithm).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        Self { header, secret, published: serde_json::to_value(jwk).unwrap() }
    }

    pub(crate) fn published(&self) -> Value {
        self.published.clone()
    }

    /// Signs without saying with which key.
    pub(crate) fn without_id(mut self) -> Self {
        self.header.kid = None;
        self
    }
}

impl Openid {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let key = SigningKey::rsa("first");
        let inner = Arc::new(Mutex::new(Inner {
            metadata: json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "userinfo_endpoint": format!("{issuer}/userinfo"),
                "jwks_uri": format!("{issuer}/keys"),
                "end_session_endpoint": format!("{issuer}/end?realm=lab"),
                "response_types_supported": ["code"],
                "authorization_response_iss_parameter_supported": true,
            }),
            keys: vec![key.published()],
            key,
            claims: json!({}),
            userinfo_query: None,
            userinfo: json!({ "sub": "4711", "name": "Ada L.", "groups": ["staff"] }),
            tamper: None,
            fails: HashMap::new(),
            says: HashMap::new(),
            waits: HashMap::new(),
            access_token: "access-1".to_owned(),
            refresh_token: None,
            next_refresh_token: None,
            seen: Vec::new(),
            token_form: HashMap::new(),
            codes: HashMap::new(),
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&inner)));
        Self { address, inner, _tasks: tasks }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn config(&self) -> OidcConfig {
        let callback = "https://hub.test/hub/oauth_callback".parse().unwrap();
        let mut config = OidcConfig::new(self.issuer(), CLIENT_ID, CLIENT_SECRET.into(), callback);
        config.service = "Keycloak".to_owned();
        config
    }

    pub(crate) fn authenticator(&self) -> OidcAuthenticator {
        OidcAuthenticator::new(self.config(), clock()).unwrap()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap());
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.inner.lock().unwrap().seen.clone()
    }

    /// The browser arrives at `authorize`, and the person agrees.
    pub(crate) fn approve(&self, authorize: &Url) -> Callback {
        assert_eq!(authorize.path(), "/authorize");
        let query: HashMap<String, String> = authorize.query_pairs().into_owned().collect();
        assert_eq!(query["client_id"], CLIENT_ID);
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["code_challenge_method"], "S256");
        let mut inner = self.inner.lock().unwrap();
        let code = format!("code{:016}", inner.codes.len());
        let state = query["state"].clone();
        inner.codes.insert(code.clone(), query);
        let iss = inner.metadata["issuer"].as_str().map(str::to_owned);
        Callback { code: Some(code.into()), state: Some(state), iss, ..Callback::default() }
    }
}

/// A clock that stands still.
pub(crate) fn clock() -> Clock {
    Arc::new(|| std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW))
}

async fn accept(listener: TcpListener, inner: Arc<Mutex<Inner>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let inner = Arc::clone(&inner);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&inner), request));
            // The other side hanging up early is part of some tests.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    inner: Arc<Mutex<Inner>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path();
    let said = inner.lock().unwrap().says.get(path).cloned();
    match said {
        Some(Some(text)) => return Ok(Response::new(Full::from(text))),
        Some(None) => return std::future::pending().await,
        None => {}
    }
    let gate = {
        let mut inner = inner.lock().unwrap();
        inner.seen.push(path.to_owned());
        inner.waits.get(path).cloned()
    };
    if let Some(gate) = gate {
        gate.acquire().await.unwrap().forget();
    }
    let mut inner = inner.lock().unwrap();
    if let Some(status) = inner.fails.get(path) {
        return Ok(json_answer(*status, &json!({})));
    }
    let bearer = format!("Bearer {}", inner.access_token);
    let authorized =
        parts.headers.get(header::AUTHORIZATION).is_some_and(|value| *value == *bearer);
    let (status, answer) = match path {
        "/.well-known/openid-configuration" => (StatusCode::OK, inner.metadata.clone()),
        "/keys" => (StatusCode::OK, json!({ "keys": inner.keys })),
        "/token" => inner.token(&body),
        "/userinfo" if authorized => {
            inner.userinfo_query = parts.uri.query().map(str::to_owned);
            (StatusCode::OK, inner.userinfo.clone())
        }
        "/userinfo" => (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_token" })),
        _ => (StatusCode::NOT_FOUND, json!({})),
    };
    Ok(json_answer(status, &answer))
}

impl Inner {
    fn token(&mut self, body: &[u8]) -> (StatusCode, Value) {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(body).into_owned().collect();
        self.token_form.clone_from(&form);
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let refused = |error: &str| (StatusCode::BAD_REQUEST, json!({ "error": error }));
        if field("client_id") != CLIENT_ID || field("client_secret") != CLIENT_SECRET {
            return (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }));
        }
        let nonce = if field("grant_type") == "refresh_token" {
            if self.refresh_token.as_deref() != Some(field("refresh_token")) {
                return refused("invalid_grant");
            }
            self.access_token = "access-2".to_owned();
            if let Some(next) = self.next_refresh_token.take() {
                self.refresh_token = Some(next);
            }
            None
        } else {
            let Some(query) = self.codes.remove(field("code")) else {
                return refused("invalid_grant");
            };
            let shown = Sha256::digest(field("code_verifier").as_bytes());
            if query["code_challenge"] != URL_SAFE_NO_PAD.encode(shown)
                || query["redirect_uri"] != field("redirect_uri")
            {
                return refused("invalid_grant");
            }
            query.get("nonce").cloned()
        };
        let mut answer = json!({
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": self.refresh_token,
            "scope": "openid profile email",
        });
        if let Some(token) = self.id_token(nonce) {
            answer["id_token"] = token.into();
        }
        (StatusCode::OK, answer)
    }

    fn id_token(&self, nonce: Option<String>) -> Option<String> {
        let mut claims = json!({
            "iss": self.metadata["issuer"],
            "aud": CLIENT_ID,
            "sub": "4711",
            "exp": NOW + 300,
            "iat": NOW,
            "preferred_username": "Ada",
            "email": "ada@lab.test",
            "email_verified": true,
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        let changes = self.claims.as_object()?;
        for (name, value) in changes {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        let token = jsonwebtoken::encode(&self.key.header, &claims, &self.key.secret).unwrap();
        Some(self.tamper.map_or(token.clone(), |tamper| tamper(token)))
    }
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into())
        .unwrap()
}
