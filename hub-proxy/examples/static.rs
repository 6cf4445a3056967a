//! A proxy for one server that never changes: `cargo run --example static`.
//!
//! Everything goes to the server on port 8888, or at the URL that is given; nobody but
//! this host can ask. Its address is the first line of standard output.

use std::{convert::Infallible, io::Write, time::Duration};

use http::Response;
use hub_proxy::{ListenConfig, Listener, Proxy, ProxyConfig, RouteTable};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8888".to_owned());
    let routes = RouteTable::default();
    routes.insert("/".parse()?, target.parse()?);
    let pages = tower::service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let proxy = Proxy::new(routes, ProxyConfig::default(), pages);
    let listener = Listener::bind(&ListenConfig::new("127.0.0.1:0".parse()?)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr())?;
    listener.serve(proxy, CancellationToken::new(), Duration::from_secs(30)).await;
    Ok(())
}
