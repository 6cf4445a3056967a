//! The predecessor's side.

use std::{
    collections::HashMap,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{Handed, Link, LinkError, Message, PROTOCOL, SocketLabel};
use crate::{
    RoutePrefix,
    admin::{Registry, Tally, Vitals},
};

/// How long a successor may take until it says hello.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// How long a successor may take to read its configuration and certificates.
const PREPARE_LIMIT: Duration = Duration::from_secs(60);

/// How long it may take from there until it serves: changes of routes wait.
const SERVE_LIMIT: Duration = Duration::from_secs(10);

/// How often to report what open connections do.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Why nobody took over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GiveError {
    #[error("the hand-over broke off")]
    Link(#[from] LinkError),
    #[error("the new process speaks hand-over protocol {theirs}, this one {PROTOCOL}")]
    Protocol { theirs: u32 },
    #[error("the new process was not ready within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// A successor that serves.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) pid: u32,
    link: Link,
    reported: HashMap<RoutePrefix, Timestamp>,
    tally: Tally,
}

/// Offers `sockets` and the routes; returns once the successor serves. On an
/// error, nothing has changed here.
pub(crate) async fn give(
    mut link: Link,
    sockets: &[(SocketLabel, OwnedFd)],
    registry: &Registry,
    vitals: &Vitals,
) -> Result<Given, GiveError> {
    timeout(HELLO_LIMIT, greet(&mut link))
        .await
        .map_err(|_| GiveError::TimedOut(HELLO_LIMIT))??;
    timeout(PREPARE_LIMIT, prepare(&mut link, sockets))
        .await
        .map_err(|_| GiveError::TimedOut(PREPARE_LIMIT))??;
    let frozen = registry.freeze();
    let tally = vitals.tally();
    let handed = Handed { table: registry.handed(), tally };
    let pid = timeout(SERVE_LIMIT, tell(&mut link, handed))
        .await
        .map_err(|_| GiveError::TimedOut(SERVE_LIMIT))??;
    frozen.hand_over();
    Ok(Given { pid, link, reported: registry.uses().into_iter().collect(), tally })
}

async fn greet(link: &mut Link) -> Result<(), GiveError> {
    match link.receive().await?.0 {
        Message::Hello { protocol: PROTOCOL, version } => {
            tracing::info!("Version {version} is taking over");
            Ok(())
        }
        Message::Hello { protocol, .. } => Err(GiveError::Protocol { theirs: protocol }),
        other => Err(unexpected("hello", &other)),
    }
}

async fn prepare(link: &mut Link, sockets: &[(SocketLabel, OwnedFd)]) -> Result<(), GiveError> {
    let labels = sockets.iter().map(|(label, _)| label.clone()).collect();
    let descriptors: Vec<_> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
    link.send_with(&Message::Offer { sockets: labels }, &descriptors).await?;
    match link.receive().await?.0 {
        Message::Prepared => Ok(()),
        other => Err(unexpected("prepared", &other)),
    }
}

async fn tell(link: &mut Link, handed: Handed) -> Result<u32, GiveError> {
    link.send(&Message::Routes(handed)).await?;
    match link.receive().await?.0 {
        Message::Serving { pid } => Ok(pid),
        other => Err(unexpected("serving", &other)),
    }
}

fn unexpected(wanted: &'static str, got: &Message) -> GiveError {
    GiveError::Link(LinkError::Unexpected { wanted, got: got.name() })
}

impl Given {
    /// Tells the successor about open connections and the use of routes, until
    /// it is gone or, with a last report, until `drained`. Then the link is
    /// closed.
    pub(crate) async fn report(
        mut self,
        registry: &Registry,
        vitals: &Vitals,
        drained: &CancellationToken,
    ) {
        let mut ticks = interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_last = tokio::select! {
                () = self.link.closed() => return,
                () = drained.cancelled() => true,
                _ = ticks.tick() => false,
            };
            if self.tell_news(registry, vitals).await.is_err() || is_last {
                return;
            }
        }
    }

    async fn tell_news(&mut self, registry: &Registry, vitals: &Vitals) -> Result<(), LinkError> {
        let news = self.news(registry.uses());
        if !news.is_empty() {
            self.link.send(&Message::Used(news)).await?;
        }
        let tally = vitals.tally();
        if tally != self.tally {
            self.tally = tally;
            self.link.send(&Message::Open(tally)).await?;
        }
        Ok(())
    }

    /// The uses that the successor does not know yet.
    fn news(&mut self, uses: Vec<(RoutePrefix, Timestamp)>) -> Vec<(String, Timestamp)> {
        uses.into_iter()
            .filter_map(|(prefix, at)| {
                let path = prefix.decoded();
                (self.reported.insert(prefix, at) != Some(at)).then_some((path, at))
            })
            .collect()
    }
}
