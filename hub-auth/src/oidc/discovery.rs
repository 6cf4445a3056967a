//! Where everything is at a provider, read once a day.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{
    Request, StatusCode,
    header::{ACCEPT, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::Instant;
use url::Url;

use super::{OidcConfig, ProviderAddress, keys::Keys};
use crate::{
    AuthError, BoxError,
    outbound::{
        Outbound,
        exchange::{Exchange, Registration},
    },
};

/// How long what was read is good.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// What we asked for, in messages.
const WHAT: &str = "its OpenID configuration";

/// What is known of a provider's addresses, if anything yet.
#[derive(Default)]
pub(super) struct Discovery {
    known: Mutex<Option<(Arc<Provider>, Instant)>>,
}

/// A provider that can be used.
pub(super) struct Provider {
    pub(super) metadata: Metadata,
    pub(super) exchange: Exchange,
    pub(super) keys: Keys,
}

/// A provider's description of itself, OpenID Connect Discovery 1.0 section 3;
/// fields we do not use are left out.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    /// `None` for plain OAuth 2.
    pub(super) issuer: Option<String>,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) jwks_uri: Option<Url>,
    pub(super) end_session_endpoint: Option<Url>,
    /// Whether answers say whom they are from, RFC 9207.
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(super) sends_issuer: bool,
}

impl Discovery {
    /// The provider, asked if that was not done lately. One that does not answer is
    /// used as it was known.
    pub(super) async fn provider(
        &self,
        config: &OidcConfig,
        outbound: &Outbound,
    ) -> Result<Arc<Provider>, AuthError> {
        let known = self.known();
        if let Some((provider, read)) = &known
            && read.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(provider));
        }
        match (metadata(config, outbound).await, known) {
            (Ok(metadata), _) => {
                let provider = Arc::new(Provider::new(metadata, config, outbound));
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((Arc::clone(&provider), Instant::now()));
                Ok(provider)
            }
            (Err(_), Some((provider, _))) => Ok(provider),
            (Err(error), None) => Err(error),
        }
    }

    /// A panic elsewhere cannot leave it half changed.
    fn known(&self) -> Option<(Arc<Provider>, Instant)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Provider {
    fn new(metadata: Metadata, config: &OidcConfig, outbound: &Outbound) -> Self {
        let registration = Registration {
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            basic_auth: config.basic_auth,
            callback_url: config.callback_url.clone(),
            authorize_url: metadata.authorization_endpoint.clone(),
            token_url: metadata.token_endpoint.clone(),
            token_params: config.token_params.clone(),
        };
        let exchange = Exchange::new(registration, outbound.clone());
        Self { metadata, exchange, keys: Keys::default() }
    }

    /// Whether its ID tokens can be checked. Others say nothing: one that comes unasked
    /// with a plain OAuth 2 token is kept and not read.
    pub(super) fn checks_id_tokens(&self) -> bool {
        self.metadata.issuer.is_some() && self.metadata.jwks_uri.is_some()
    }
}

async fn metadata(config: &OidcConfig, outbound: &Outbound) -> Result<Metadata, AuthError> {
    let issuer = match &config.address {
        ProviderAddress::Issuer(issuer) => issuer,
        ProviderAddress::Endpoints(endpoints) => {
            return Ok(Metadata {
                issuer: None,
                authorization_endpoint: endpoints.authorize.clone(),
                token_endpoint: endpoints.token.clone(),
                userinfo_endpoint: Some(endpoints.userinfo.clone()),
                jwks_uri: None,
                end_session_endpoint: None,
                sends_issuer: false,
            });
        }
    };
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let metadata: Metadata = read(outbound, &url, WHAT).await?;
    check(&metadata, issuer)
        .map_err(|advice| AuthError::Misconfigured { provider: config.service.clone(), advice })?;
    Ok(metadata)
}

/// Section 4.3: it must be about the very issuer that was asked. Nothing may be
/// read or sent less safely than the description itself.
fn check(metadata: &Metadata, issuer: &str) -> Result<(), String> {
    let told = metadata.issuer.as_deref().unwrap_or_default();
    if told != issuer {
        return Err(format!(
            "it calls itself {told:?}, and this hub knows it as {issuer:?}; set issuer to the \
             former if that is right, with or without the slash at the end"
        ));
    }
    if metadata.jwks_uri.is_none() {
        return Err("it does not tell where its keys are (jwks_uri)".to_owned());
    }
    let urls = [&metadata.authorization_endpoint, &metadata.token_endpoint].into_iter().chain(
        [&metadata.userinfo_endpoint, &metadata.jwks_uri, &metadata.end_session_endpoint]
            .into_iter()
            .flatten(),
    );
    for url in urls {
        let safe =
            url.scheme() == "https" || (url.scheme() == "http" && issuer.starts_with("http:"));
        if !safe {
            return Err(format!("its address {url} is not https"));
        }
    }
    Ok(())
}

/// Reads a JSON document.
pub(super) async fn read<T: DeserializeOwned>(
    outbound: &Outbound,
    url: &str,
    what: &'static str,
) -> Result<T, AuthError> {
    let bad = |error: BoxError| outbound.bad_answer(error, what);
    let request = Request::get(url)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .body(Vec::new())
        .map_err(|error| bad(error.into()))?;
    let answer = outbound.send(request).await.map_err(|error| outbound.failed(error, what))?;
    match answer.status() {
        StatusCode::OK => serde_json::from_slice(answer.body()).map_err(|error| bad(error.into())),
        status => Err(bad(format!("{url} answered with status {status}").into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(issuer: &str, token: &str) -> Metadata {
        serde_json::from_value(serde_json::json!({
            "issuer": issuer,
            "authorization_endpoint": "https://id.test/authorize",
            "token_endpoint": token,
            "jwks_uri": "https://id.test/keys",
        }))
        .unwrap()
    }

    #[test]
    fn oidc_1_the_description_must_be_about_the_issuer_that_was_asked() {
        let good = metadata("https://id.test", "https://id.test/token");
        assert_eq!(check(&good, "https://id.test"), Ok(()));
        let error = check(&good, "https://id.test/").unwrap_err();
        assert!(error.contains("it calls itself \"https://id.test\""), "{error}");
        let plain = metadata("https://id.test", "http://id.test/token");
        assert_eq!(
            check(&plain, "https://id.test").unwrap_err(),
            "its address http://id.test/token is not https"
        );
        let keyless = Metadata { jwks_uri: None, ..good };
        assert!(check(&keyless, "https://id.test").unwrap_err().contains("jwks_uri"));
    }
}
