//! Waiting for a service's first answer, for the log's sake.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{servers::readiness::Readiness, tasks::Tasks};

/// Asks the service at `url` until it answers, at most for `limit`, and tells what came
/// of it. The route is there meanwhile: who comes too early is told to try again. A
/// service with TLS is not asked: only the proxy knows whose certificates count.
pub(super) fn begin(
    tasks: &Tasks,
    name: &str,
    url: Url,
    prefix: &str,
    limit: Duration,
) -> CancellationToken {
    let cancel = CancellationToken::new();
    if url.scheme() != "http" {
        return cancel;
    }
    let cancelled = cancel.clone();
    let (name, prefix) = (name.to_owned(), prefix.to_owned());
    tasks.spawn(|hub_stops| async move {
        let asking = Readiness::new();
        let answer = tokio::select! {
            () = hub_stops.cancelled() => return,
            () = cancelled.cancelled() => return,
            answer = asking.wait_for(&url, &prefix, limit) => answer,
        };
        match answer {
            Ok(_) => tracing::info!(service = %name, %url, "the service answers"),
            Err(silence) => tracing::error!(
                service = %name, %url,
                "the service did not answer within {} s ({silence}); see whether it runs, and whether services.{name}.url is its address. Its route stays",
                limit.as_secs()
            ),
        }
    });
    cancel
}
