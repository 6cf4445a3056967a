//! Requests to the authority: https only, bounded in time and size.

use std::{future::Future, path::Path, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, header::USER_AGENT};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;

use super::{AcmeConfig, AcmeDirectory, AcmeError};
use crate::{BoxError, tls::provider};

/// Largest answer that is read; a chain of certificates has some kilobytes.
const ANSWER_BYTES: usize = 1024 * 1024;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Authorities ask clients to name themselves (RFC 8555 section 6.1).
const PRODUCT: &str = concat!("hub-proxy/", env!("CARGO_PKG_VERSION"));

/// An HTTP client for one authority.
#[derive(Clone, Debug)]
pub(super) struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
}

/// The part of a directory that concerns the terms (RFC 8555 section 7.1.1).
#[derive(Deserialize)]
struct Directory {
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
}

impl Outbound {
    /// A client that trusts whom the system trusts, and the file's authorities.
    pub(super) fn new(config: &AcmeConfig) -> Result<Self, AcmeError> {
        let mut roots = RootCertStore::empty();
        // Single certificates in the system's store may be odd; without any,
        // the first request says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &config.directory_ca {
            add(&mut roots, path)
                .map_err(|source| AcmeError::DirectoryCa { path: path.clone(), source })?;
        }
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| AcmeError::Setup(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Where the authority's terms are, if it has any.
    pub(super) async fn terms(
        &self,
        directory: &AcmeDirectory,
    ) -> Result<Option<String>, BoxError> {
        let request = Request::get(directory.as_str()).body(BodyWrapper::default())?;
        let mut answer = exchange(self.client.clone(), request).await?;
        let body = answer.body.into_bytes().await?;
        Ok(serde_json::from_slice::<Directory>(&body)?.meta.terms_of_service)
    }
}

impl HttpClient for Outbound {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.client.clone();
        Box::pin(async move { exchange(client, request).await.map_err(instant_acme::Error::Other) })
    }
}

async fn exchange(
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, BoxError> {
    request.headers_mut().insert(USER_AGENT, http::HeaderValue::from_static(PRODUCT));
    let answered = async {
        let (head, body) = client.request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes();
        Ok(BytesResponse { parts: head, body: Box::new(body) })
    };
    match tokio::time::timeout(TIMEOUT, answered).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no complete answer within {} s", TIMEOUT.as_secs()).into()),
    }
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), BoxError> {
    let mut any = false;
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
        any = true;
    }
    if any { Ok(()) } else { Err("there is no certificate in it".into()) }
}
