//! The hub's routers, assembled; nothing but assembly.

mod api;
pub(crate) mod assets;
pub(crate) mod error;
mod form;
mod forwarded;
mod gateway;
mod handlers;
mod health;
pub(crate) mod layers;
mod metrics_page;
mod named;
mod next;
mod oauth;
mod outside;
mod own_host;
mod pages;
pub(crate) mod paths;
pub(crate) mod render;
mod request;
pub(crate) mod request_log;
mod visitor;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use http::{HeaderName, HeaderValue};
use hub_proxy::Peer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{access::session, hub::Hub};

/// Largest request body of the hub's own endpoints, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// What the proxy falls back to: pages, REST API, and an answer for all else.
pub(crate) fn public(hub: Arc<Hub>) -> Router {
    let router = Router::new()
        .merge(health::routes(&hub))
        .merge(metrics_page::routes(&hub))
        .merge(assets_routes(&hub))
        .merge(pages::routes(&hub))
        .merge(oauth::routes(&hub))
        .merge(api::routes(&hub))
        .route(&hub.paths.in_hub("error/{status}"), get(gateway::page))
        .fallback(outside::not_routed);
    let settle = middleware::from_fn_with_state(Arc::clone(&hub), forwarded::settle);
    let own_host = middleware::from_fn_with_state(Arc::clone(&hub), own_host::keep);
    let told = middleware::from_fn_with_state(Arc::clone(&hub), gateway::told);
    around(router.layer(own_host).layer(told), hub).layer(settle)
}

const FORWARDED_FOR: &str = "x-forwarded-for";

/// What single-user servers may call: the REST API without a browser's pages.
pub(crate) fn private(hub: Arc<Hub>) -> Router {
    let router = Router::new()
        .merge(health::routes(&hub))
        .merge(oauth::server_routes(&hub))
        .merge(api::routes(&hub));
    // No proxy stands before this listener, so nobody may claim what one says. Whoever guesses
    // passwords from a notebook has an address all the same.
    around(router, hub).layer(middleware::map_request(
        |mut request: axum::extract::Request| async {
            for name in [FORWARDED_FOR, "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"]
            {
                request.headers_mut().remove(HeaderName::from_static(name));
            }
            let peer = request.extensions().get::<Peer>().and_then(|peer| peer.addr);
            let peer = peer.and_then(|addr| HeaderValue::try_from(addr.ip().to_string()).ok());
            if let Some(peer) = peer {
                request.headers_mut().insert(HeaderName::from_static(FORWARDED_FOR), peer);
            }
            request
        },
    ))
}

/// The cookies that only the hub may set, for the proxy to guard; a `*` at the end
/// stands for any ending.
pub fn reserved_cookies() -> Vec<String> {
    vec![
        session::LOGIN_COOKIE.to_owned(),
        session::HOST_LOGIN_COOKIE.to_owned(),
        session::SESSION_ID_COOKIE.to_owned(),
        pages::FRESH_COOKIE.to_owned(),
        pages::SIGNED_OUT_COOKIE.to_owned(),
        pages::SECOND_STEP_COOKIE.to_owned(),
        format!("{}*", pages::PENDING_COOKIE_PREFIX),
    ]
}

/// The layers of both routers; the first named here is the innermost.
fn around(router: Router<Arc<Hub>>, hub: Arc<Hub>) -> Router {
    router
        .layer(CatchPanicLayer::custom(layers::on_panic))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&hub), layers::error_pages))
        .layer(middleware::from_fn_with_state(Arc::clone(&hub), layers::headers))
        .layer(middleware::from_fn_with_state(Arc::clone(&hub), request_log::log))
        .with_state(hub)
}

fn assets_routes(hub: &Hub) -> Router<Arc<Hub>> {
    use axum::{extract::Path, http::Uri};
    use http::{HeaderMap, header};

    let serve = |Path(path): Path<String>, uri: Uri, headers: HeaderMap| async move {
        let versioned = uri.query().is_some_and(|query| query.starts_with("v="));
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        assets::serve(&path, versioned, known)
    };
    let logo = || async { assets::serve("img/logo.svg", false, None) };
    Router::new()
        .route(&hub.paths.in_hub("static/{*path}"), get(serve))
        .route(&hub.paths.in_hub("logo"), get(logo))
        // What browsers ask for by themselves.
        .route(&hub.paths.in_hub("favicon.ico"), get(logo))
}
