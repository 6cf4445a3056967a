//! A proxy for one server that never changes: `cargo run --example static`.
//!
//! Everything goes to the server on port 8888; nobody but this host can ask.

use std::{convert::Infallible, time::Duration};

use http::Response;
use hub_proxy::{ListenConfig, Listener, Proxy, ProxyConfig, RouteTable};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let routes = RouteTable::default();
    routes.insert("/".parse()?, "http://127.0.0.1:8888".parse()?);
    let pages = tower::service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let proxy = Proxy::new(routes, ProxyConfig::default(), pages);
    let listener = Listener::bind(&ListenConfig::new("127.0.0.1:8000".parse()?)).await?;
    listener.serve(proxy, CancellationToken::new(), Duration::from_secs(30)).await;
    Ok(())
}
