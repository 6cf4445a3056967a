//! The proxy around somebody's own web application: `cargo run --example
//! middleware`.
//!
//! Below `/notebook/` another server answers, everything else is the axum router.
//! What a tower layer does, it does for both: here it marks each request, and the
//! router also renders the page when the other server does not answer.

use std::time::Duration;

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use http::{HeaderValue, Request};
use hub_proxy::RequestBody;
use hub_proxy::{FallbackBody, GatewayFailure, ListenConfig, Listener, Proxy, ProxyConfig};
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new().route("/", get(async || "the application itself\n")).fallback(page);
    let app = app.map_request(|request: Request<FallbackBody>| request.map(Body::new));

    let routes = hub_proxy::RouteTable::default();
    routes.insert("/notebook".parse()?, "http://127.0.0.1:8888".parse()?);
    let proxy = Proxy::new(routes, ProxyConfig::default(), app);
    let marked = ServiceBuilder::new().map_request(mark).service(proxy);

    let listener = Listener::bind(&ListenConfig::new("127.0.0.1:0".parse()?)).await?;
    std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", listener.local_addr()))?;
    listener.serve(marked, CancellationToken::new(), Duration::from_secs(30)).await;
    Ok(())
}

fn mark(mut request: Request<RequestBody>) -> Request<RequestBody> {
    request.headers_mut().insert("x-came-through", HeaderValue::from_static("hub-proxy"));
    request
}

/// Nothing is at this path, or the proxy asks for a page about a failure.
async fn page(request: Request<Body>) -> impl IntoResponse {
    match request.extensions().get::<GatewayFailure>() {
        Some(failure) => (failure.status, format!("{} does not answer\n", failure.path)),
        None => (http::StatusCode::NOT_FOUND, "there is no such page\n".to_owned()),
    }
}
