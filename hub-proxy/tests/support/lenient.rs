//! A target that believes everything: it answers whatever comes and keeps each
//! byte of it, so that a test can see what really left the proxy.

#![allow(dead_code, reason = "each test binary uses another part")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{io::AsyncReadExt, sync::Notify};

use crate::support::{OK, soon, target};

/// A request with this in it is not answered before it is [let go](Seen::let_go).
pub(crate) const HELD: &str = "/held";

/// What arrived, connection by connection.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Vec<u8>>>>, Arc<Notify>);

impl Seen {
    /// All bytes of one connection, in the order of connecting.
    pub(crate) fn connection(&self, index: usize) -> String {
        let all = self.0.lock().unwrap();
        String::from_utf8_lossy(all.get(index).map_or(&[][..], Vec::as_slice)).into_owned()
    }

    pub(crate) fn connections(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Everything, connections one after the other.
    pub(crate) fn all(&self) -> String {
        (0..self.connections()).map(|index| self.connection(index)).collect()
    }

    /// Lets a request be answered that is held.
    pub(crate) fn let_go(&self) {
        self.1.notify_one();
    }

    /// Waits until something holds for all that arrived.
    pub(crate) async fn until(&self, holds: impl Fn(&str) -> bool) -> String {
        soon(async {
            loop {
                let all = self.all();
                if holds(&all) {
                    return all;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

/// Answers 200 once a head is complete, and again after each further one.
pub(crate) async fn lenient() -> (SocketAddr, Seen) {
    lenient_with(OK).await
}

/// As [`lenient`], with another answer.
pub(crate) async fn lenient_with(answer: impl Into<Vec<u8>>) -> (SocketAddr, Seen) {
    let (seen, answer) = (Seen::default(), Arc::new(answer.into()));
    let kept = seen.clone();
    let addr = target(move |mut client| {
        let (kept, answer) = (kept.clone(), Arc::clone(&answer));
        async move {
            let index = {
                let mut all = kept.0.lock().unwrap();
                all.push(Vec::new());
                all.len() - 1
            };
            let mut answered = 0;
            let mut piece = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = client.stream.read(&mut piece).await {
                if String::from_utf8_lossy(&piece[..n]).contains(HELD) {
                    kept.1.notified().await;
                }
                let heads = {
                    let mut all = kept.0.lock().unwrap();
                    all[index].extend_from_slice(&piece[..n]);
                    all[index].windows(4).filter(|end| end == b"\r\n\r\n").count()
                };
                while answered < heads {
                    client.send(&*answer).await;
                    answered += 1;
                }
            }
        }
    })
    .await;
    (addr, seen)
}
