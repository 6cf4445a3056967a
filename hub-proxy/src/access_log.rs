//! What a proxy has done, request by request (G-06).
//!
//! A request leaves its entry when the last that belongs to it is dropped: the body of its
//! answer, or its tunnel. Entries wait in a queue with an end, and whoever finds it full
//! goes on without: no request waits for a log.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version};
use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use self::request_id::Ids;
use crate::{Meter, Meters, Peer, Target, TrustForwarded, clock};

mod client;
mod request_id;

/// What says which request it is, to targets, to clients and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Most bytes of a path that are kept, so that a full queue has a size.
const MOST_OF_PATH: usize = 2048;

/// Most bytes of a method, which clients may make up.
const MOST_OF_METHOD: usize = 32;

/// What JupyterHub has in its paths behind this is a token or a cookie (G-05).
const AUTHORIZATIONS: &str = "/api/authorizations/";
const STAND_IN: &str = "[secret]";

/// Hears of each request that a [`Proxy`](crate::Proxy) has finished, if it is in
/// [`ProxyConfig::access_log`](crate::ProxyConfig::access_log). Clones share.
///
/// With it each request has an id. It is the client's `X-Request-ID` if that is one field
/// of at most 64 letters, digits, `-`, `_` and `.`, and if the client is believed
/// ([`ProxyConfig::trusted_proxies`](crate::ProxyConfig::trusted_proxies)); else it is made.
/// The target and the fallback see it as `X-Request-ID`, and so does the client, unless the
/// answer has that field already. It is with the errors in the log, too.
#[derive(Clone)]
pub struct AccessLog(Arc<Inner>);

struct Inner {
    queue: mpsc::Sender<AccessEntry>,
    ids: Ids,
    meters: Option<Meters>,
    is_told: AtomicBool,
}

/// Where the entries of an [`AccessLog`] are to be had.
#[derive(Debug)]
pub struct AccessEntries(mpsc::Receiver<AccessEntry>);

/// A request that is over, or a tunnel. There is no query, no field and no body in it (G-05).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessEntry {
    /// When it was over.
    pub ended: Timestamp,
    /// How long it took from its head to the last of its answer, or of its tunnel.
    pub duration: Duration,
    /// Who asked. Where [trusted proxies](TrustForwarded::Networks) are named, it is the last
    /// address in `X-Forwarded-For` that is none of theirs. None over a Unix socket that
    /// says nothing of its clients.
    pub client: Option<IpAddr>,
    /// The method, at most 32 bytes of it.
    pub method: String,
    /// The path as the client wrote it, without a query, at most 2 KiB of it. Tokens that
    /// JupyterHub's API has in its paths are left out.
    pub path: String,
    /// The version of HTTP that the client speaks.
    pub version: Version,
    /// The status that the client was given, of a tunnel 101 or 200; none if it went away
    /// before.
    pub status: Option<StatusCode>,
    /// Bytes of the answer's body, or of the tunnel, that were given to the client.
    pub bytes_out: u64,
    /// Who answered; none if it was the fallback.
    pub target: Option<Target>,
    /// The request's id.
    pub request_id: String,
}

/// A request that is under way. The last clone that is dropped makes the entry.
#[derive(Clone)]
pub(crate) struct Line(Arc<Pending>);

struct Pending {
    log: AccessLog,
    began: Instant,
    client: Option<IpAddr>,
    method: String,
    path: String,
    version: Version,
    /// 0 while there is none.
    status: AtomicU16,
    bytes_out: AtomicU64,
    target: OnceLock<Target>,
    id: HeaderValue,
}

impl AccessLog {
    /// A log with room for so many entries that nobody has taken yet, and where they are to
    /// be had. Those without room are counted ([`Meter::LostAccessEntries`]).
    pub fn with_room_for(entries: usize, meters: Option<Meters>) -> (Self, AccessEntries) {
        let (queue, entries) = mpsc::channel(entries.clamp(1, Semaphore::MAX_PERMITS));
        let is_told = AtomicBool::new(false);
        let inner = Inner { queue, ids: Ids::default(), meters, is_told };
        (Self(Arc::new(inner)), AccessEntries(entries))
    }

    /// A request has come.
    pub(crate) fn begin<B>(&self, request: &Request<B>, trust: &TrustForwarded) -> Line {
        let peer = request.extensions().get::<Peer>();
        let is_trusted = peer.is_some_and(|peer| trust.trusts_peer(peer));
        let given = request_id::given(request.headers()).filter(|_| is_trusted);
        Line(Arc::new(Pending {
            log: self.clone(),
            began: Instant::now(),
            client: client::address(peer, request.headers(), trust),
            method: cut(request.method().as_str(), MOST_OF_METHOD).to_owned(),
            path: shown(request.uri().path()),
            version: request.version(),
            status: AtomicU16::new(0),
            bytes_out: AtomicU64::new(0),
            target: OnceLock::new(),
            id: given.cloned().unwrap_or_else(|| self.0.ids.another()),
        }))
    }

    fn add(&self, entry: AccessEntry) {
        // Nobody may be there any more: then it has been decided to do without.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.0.queue.try_send(entry) {
            self.lose(1);
            if !self.0.is_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "the access log is not written as fast as requests end; some are not in it \
                     (this is said once)"
                );
            }
        }
    }

    /// Counts entries that nobody will see.
    pub(crate) fn lose(&self, entries: usize) {
        Meters::add(self.0.meters.as_ref(), Meter::LostAccessEntries, entries);
    }
}

impl AccessEntries {
    /// The next one, in the order of their ends; none once there can be no more. Safe to
    /// cancel.
    pub async fn next(&mut self) -> Option<AccessEntry> {
        self.0.recv().await
    }

    /// The next one, if it is there.
    pub fn try_next(&mut self) -> Option<AccessEntry> {
        self.0.try_recv().ok()
    }
}

impl Line {
    /// Has the target or the fallback know the request's id. To be called when what its
    /// `Connection` names has been removed.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.0.id.clone());
    }

    pub(crate) fn leads_to(&self, target: &Target) {
        self.0.target.get_or_init(|| target.clone());
    }

    /// This is what the client is told, and by what id it may ask about it.
    pub(crate) fn is_answered(&self, status: StatusCode, headers: &mut HeaderMap) {
        self.0.status.store(status.as_u16(), Ordering::Relaxed);
        headers.entry(REQUEST_ID).or_insert_with(|| self.0.id.clone());
    }

    /// So many bytes go to the client.
    pub(crate) fn gives(&self, bytes: usize) {
        self.0.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn id(&self) -> &str {
        self.0.id()
    }
}

impl Pending {
    fn id(&self) -> &str {
        // It was made of such characters, or is one that was looked at.
        self.id.to_str().unwrap_or_default()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.log.add(AccessEntry {
            ended: clock::now(),
            duration: self.began.elapsed(),
            client: self.client,
            method: std::mem::take(&mut self.method),
            path: std::mem::take(&mut self.path),
            version: self.version,
            status: StatusCode::from_u16(*self.status.get_mut()).ok(),
            bytes_out: *self.bytes_out.get_mut(),
            target: self.target.take(),
            request_id: self.id().to_owned(),
        });
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Line").field(&self.id()).finish()
    }
}

/// A path as it may be kept.
fn shown(path: &str) -> String {
    match path.find(AUTHORIZATIONS) {
        Some(at) => {
            let behind = at + AUTHORIZATIONS.len();
            format!("{}{STAND_IN}", cut(&path[..behind], MOST_OF_PATH))
        }
        None => cut(path, MOST_OF_PATH).to_owned(),
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(log: &AccessLog, path: &str) {
        let request = Request::builder().uri(path).body(()).unwrap();
        drop(log.begin(&request, &TrustForwarded::Nobody));
    }

    #[test]
    fn g_06_who_finds_the_queue_full_goes_on_and_is_counted() {
        let meters = Meters::default();
        let (log, mut entries) = AccessLog::with_room_for(2, Some(meters.clone()));
        for path in ["/a", "/b", "/c", "/d"] {
            ended(&log, path);
        }
        assert_eq!(meters.get(Meter::LostAccessEntries), 2);
        assert_eq!(entries.try_next().unwrap().path, "/a");
        ended(&log, "/e");
        assert_eq!(entries.try_next().unwrap().path, "/b");
        assert_eq!(entries.try_next().unwrap().path, "/e", "there is room again");
        assert!(entries.try_next().is_none());
        assert_eq!(meters.get(Meter::LostAccessEntries), 2);
    }

    #[test]
    fn g_05_g_06_of_a_path_no_secret_and_no_endless_text_is_kept() {
        for (path, kept) in [
            ("/user/ada/lab", "/user/ada/lab"),
            ("/hub/api/authorizations/token/abc", "/hub/api/authorizations/[secret]"),
            ("/hub/api/authorizations", "/hub/api/authorizations"),
        ] {
            assert_eq!(shown(path), kept);
        }
        assert_eq!(shown(&"/x".repeat(4000)).len(), MOST_OF_PATH);
        assert_eq!(cut("aé", 2), "a", "never in the middle of a character");
    }
}
