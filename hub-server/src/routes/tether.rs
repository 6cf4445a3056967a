//! Notices at once when the proxy ends.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// Shortest time between two notices, whatever the other side does.
const MIN_HOLD: Duration = Duration::from_secs(1);

/// Returns when a connection to `host` that nothing is sent on has ended. The
/// proxy may only have grown tired of it; the caller has to look.
///
/// Without a connection it waits for ever: then there is nothing to notice, and
/// the periodic check has to do.
pub(super) async fn until_lost(host: &str, port: u16) {
    let began = Instant::now();
    match TcpStream::connect((host, port)).await {
        Ok(mut stream) => {
            // Whatever it says before it ends is not for us.
            while matches!(stream.read(&mut [0; 512]).await, Ok(1..)) {}
        }
        Err(_) => std::future::pending().await,
    }
    sleep_until(began + MIN_HOLD).await;
}
