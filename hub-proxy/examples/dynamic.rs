//! Routes that come and go while the proxy runs: `cargo run --example dynamic`.
//!
//! `+/user/ada http://127.0.0.1:8888` on standard input adds a route and
//! `-/user/ada` removes it. The end of the input ends the proxy, once what it is
//! doing is done. Its address is the first line of standard output.

use std::{convert::Infallible, io::Write, time::Duration};

use http::{Request, Response, StatusCode};
use hub_proxy::{FallbackBody, ListenConfig, Listener, Proxy, ProxyConfig, RouteTable};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let routes = RouteTable::default();
    let fallback = tower::service_fn(no_route);
    // The table is shared: what changes below is seen by the next request.
    let proxy = Proxy::new(routes.clone(), ProxyConfig::default(), fallback);
    let listener = Listener::bind(&ListenConfig::new("127.0.0.1:0".parse()?)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr())?;

    let (stop, serving) = (CancellationToken::new(), TaskTracker::new());
    serving.spawn(listener.serve(proxy, stop.clone(), Duration::from_secs(30)));
    let commands = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            match apply(&routes, &line) {
                Ok(said) => eprintln!("{said}"),
                Err(error) => eprintln!("{line}: {error}"),
            }
        }
    });
    commands.await?;
    stop.cancel();
    serving.close();
    serving.wait().await;
    Ok(())
}

fn apply(routes: &RouteTable, line: &str) -> Result<String, Box<dyn std::error::Error>> {
    if let Some(prefix) = line.strip_prefix('-') {
        let was = routes.remove(&prefix.parse()?);
        return Ok(format!("{prefix} led to {was:?}"));
    }
    let (prefix, target) = line
        .strip_prefix('+')
        .and_then(|route| route.split_once(' '))
        .ok_or("say +PREFIX URL or -PREFIX")?;
    routes.insert(prefix.parse()?, target.parse()?);
    Ok(format!("{} routes", routes.snapshot().len()))
}

async fn no_route(_: Request<FallbackBody>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new("no route leads there\n".to_owned());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}
