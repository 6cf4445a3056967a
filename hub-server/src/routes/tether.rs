//! Notices at once when the proxy ends.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use url::Url;

/// How long the connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Shortest time between two notices, whatever the other side does.
const MIN_HOLD: Duration = Duration::from_secs(1);

/// A connection to the proxy's API on which nothing is ever sent (decision 0007).
///
/// Tied before the table is read, so that no restart falls between the two.
#[derive(Debug)]
pub(super) struct Tether {
    /// `None` if there was no connection to be had.
    stream: Option<TcpStream>,
    tied: Instant,
}

impl Tether {
    /// Connects to where `api` is.
    pub(super) async fn tie(api: &Url) -> Self {
        let tied = Instant::now();
        let host = api.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = api.port_or_known_default().unwrap_or(80);
        let connected = timeout(CONNECT_LIMIT, TcpStream::connect((host, port))).await;
        Self { stream: connected.ok().and_then(Result::ok), tied }
    }

    /// Returns when the connection has ended. The proxy may only have grown tired
    /// of it; the caller has to look.
    ///
    /// Without a connection it waits for ever: then there is nothing to notice,
    /// and the periodic check has to do.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: the next call goes on waiting.
    pub(super) async fn lost(&mut self) {
        let Some(stream) = &mut self.stream else { return std::future::pending().await };
        // Whatever it says before it ends is not for us.
        while matches!(stream.read(&mut [0; 512]).await, Ok(1..)) {}
        sleep_until(self.tied + MIN_HOLD).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_end_of_the_other_side_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let mut tether = Tether::tie(&api).await;
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
        timeout(Duration::from_secs(60), tether.lost()).await.unwrap();
    }
}
