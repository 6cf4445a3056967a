//! The successor's side.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use tokio::time::timeout;

use super::{Handed, Link, LinkError, Message, PROTOCOL, SocketLabel};
use crate::admin::{Registry, Vitals};

/// How long the predecessor may take for each of its answers: it has them ready.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The process to take over from.
#[derive(Debug)]
pub(crate) struct Predecessor(Link);

/// A listening socket that may be taken.
#[derive(Debug)]
pub(crate) struct OfferedSocket {
    pub(crate) label: SocketLabel,
    pub(crate) socket: OwnedFd,
}

/// Why nothing can be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    #[error(
        "--upgrade-from {from}: nobody to take over from; is the old process running with this --upgrade-socket?"
    )]
    Connect {
        from: String,
        #[source]
        source: io::Error,
    },
    #[error("the hand-over broke off")]
    Link(#[from] LinkError),
    #[error("the old process did not answer within {} s; does it still serve?", ANSWER_LIMIT.as_secs())]
    TimedOut,
    #[error("{labels} sockets were announced and {sockets} came")]
    Sockets { labels: usize, sockets: usize },
}

impl Predecessor {
    /// Turns to the process that listens at `path`, or, for `-`, to the one at
    /// the other end of standard input.
    pub(crate) fn find(path: &Path) -> Result<Self, TakeError> {
        let connect = || {
            let stream = match path.to_str() {
                Some("-") => UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?),
                _ => UnixStream::connect(path)?,
            };
            stream.set_nonblocking(true)?;
            tokio::net::UnixStream::from_std(stream)
        };
        connect()
            .map(|stream| Self(Link::new(stream)))
            .map_err(|source| TakeError::Connect { from: path.display().to_string(), source })
    }

    #[cfg(test)]
    pub(super) fn over(link: Link) -> Self {
        Self(link)
    }

    /// Its listening sockets.
    pub(crate) async fn sockets(&mut self, version: &str) -> Result<Vec<OfferedSocket>, TakeError> {
        let hello = Message::Hello { protocol: PROTOCOL, version: version.to_owned() };
        self.0.send(&hello).await?;
        let (message, descriptors) = self.answer().await?;
        let Message::Offer { sockets } = message else {
            return Err(unexpected("offer", &message));
        };
        if sockets.len() != descriptors.len() {
            let (labels, sockets) = (sockets.len(), descriptors.len());
            return Err(TakeError::Sockets { labels, sockets });
        }
        let offered = sockets.into_iter().zip(descriptors);
        let offered = offered.map(|(label, socket)| OfferedSocket { label, socket });
        Ok(offered.collect())
    }

    /// Its routes, and how many connections it keeps. From here on it changes no
    /// route, so what follows must be quick.
    pub(crate) async fn routes(&mut self) -> Result<Handed, TakeError> {
        self.0.send(&Message::Prepared).await?;
        match self.answer().await?.0 {
            Message::Routes(handed) => Ok(handed),
            other => Err(unexpected("routes", &other)),
        }
    }

    async fn answer(&mut self) -> Result<(Message, Vec<OwnedFd>), TakeError> {
        let answer = timeout(ANSWER_LIMIT, self.0.receive()).await;
        Ok(answer.map_err(|_| TakeError::TimedOut)??)
    }

    /// Lets it go: we serve.
    pub(crate) async fn release(&mut self) -> Result<(), TakeError> {
        let pid = std::process::id();
        Ok(self.0.send(&Message::Serving { pid }).await?)
    }

    /// Listens to what it reports about its open connections, until it ends.
    pub(crate) async fn follow(mut self, registry: Registry, vitals: Vitals) {
        let mut last = vitals.inherited();
        loop {
            match self.0.receive().await {
                Ok((Message::Used(uses), _)) => {
                    for (path, at) in uses {
                        registry.used(&path, at);
                    }
                }
                Ok((Message::Open(tally), _)) => {
                    last = tally;
                    vitals.inherit(tally);
                }
                // Whatever it still had has ended with it.
                _ => return vitals.inherit(last.ended()),
            }
        }
    }
}

fn unexpected(wanted: &'static str, got: &Message) -> TakeError {
    TakeError::Link(LinkError::Unexpected { wanted, got: got.name() })
}
