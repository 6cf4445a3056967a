//! Error pages from another server, such as a hub.

use std::{
    fmt,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Empty, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Page;
use crate::{
    BoxError, ProxyConfig, Target,
    forward::{Link, Question},
    upstream::Connector,
};

/// How long a client waits at most for a nicer page than ours.
const DEADLINE: Duration = Duration::from_secs(5);

/// Larger pages are not shown.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// What JavaScript's `encodeURIComponent` leaves alone.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// A server that renders pages.
#[derive(Debug)]
pub(super) struct PageTarget {
    target: Target,
    connector: Connector,
    /// A connection that has served.
    spare: Mutex<Option<Box<Link<Empty<Bytes>>>>>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPage {
    #[error("it does not answer")]
    Failed(#[source] BoxError),
    #[error("it takes longer than {} s", DEADLINE.as_secs())]
    TimedOut,
}

impl PageTarget {
    pub(super) fn new(target: Target, config: &ProxyConfig) -> Self {
        Self { target, connector: Connector::new(config), spare: Mutex::default() }
    }

    /// The page for a status and the path that was asked for. Nothing else
    /// about the request is told: no cookie, no address.
    pub(super) async fn ask(&self, status: StatusCode, path: &str) -> Result<Page, NoPage> {
        let failed = |error: BoxError| NoPage::Failed(error);
        let question: PathAndQuery = question(status, path)
            .try_into()
            .map_err(|error: http::uri::InvalidUri| failed(error.into()))?;
        let path = self.target.path_for(Some(&question), true);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, self.target.host());
        let question =
            Question { method: &Method::GET, path: &path, headers: &headers, is_upgrade: false };
        let exchange = async {
            let link = match self.spare().await {
                Some(link) => link,
                None => {
                    let link = Link::open(self.connector.clone(), &self.target).await;
                    link.map_err(|error| failed(error.into()))?
                }
            };
            let answer = link.ask(question, Empty::new()).await;
            let (headers, mut rest) = answer.map_err(|error| failed(error.into()))?;
            let body = Limited::new(&mut rest, MAX_PAGE_BYTES).collect().await.map_err(failed)?;
            *self.lock() = rest.into_free();
            Ok(Page {
                body: body.to_bytes(),
                content_type: headers.get(header::CONTENT_TYPE).cloned(),
                content_encoding: headers.get(header::CONTENT_ENCODING).cloned(),
            })
        };
        tokio::time::timeout(DEADLINE, exchange).await.unwrap_or(Err(NoPage::TimedOut))
    }

    /// The connection that was kept, if it is good for another page.
    async fn spare(&self) -> Option<Box<Link<Empty<Bytes>>>> {
        let mut link = self.lock().take()?;
        poll_fn(|cx| Poll::Ready(link.is_free(cx))).await.then_some(link)
    }

    /// Nothing in here can be half done.
    fn lock(&self) -> MutexGuard<'_, Option<Box<Link<Empty<Bytes>>>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for PageTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

fn question(status: StatusCode, path: &str) -> String {
    format!("/{}?url={}", status.as_u16(), utf8_percent_encode(path, COMPONENT))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What is made of a server that sends `answer` and then nothing.
    async fn outcome(answer: Vec<u8>) -> Result<Page, NoPage> {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}", server.local_addr().unwrap()).parse().unwrap();
        let pages = PageTarget::new(target, &ProxyConfig::default());
        let serve = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            // Fails where the answer is too long to be read to its end.
            let _ = stream.write_all(&answer).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            page = pages.ask(StatusCode::NOT_FOUND, "/x") => page,
            () = serve => unreachable!("it waits for ever"),
        }
    }

    #[tokio::test]
    async fn e_01_a_page_beyond_the_limit_is_not_shown() {
        let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        answer.resize(answer.len() + MAX_PAGE_BYTES + 1, b'x');
        assert!(matches!(outcome(answer).await, Err(NoPage::Failed(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn e_01_a_page_that_does_not_come_is_not_waited_for() {
        assert!(matches!(outcome(Vec::new()).await, Err(NoPage::TimedOut)));
    }

    #[test]
    fn e_01_sm_30_the_path_is_escaped_as_one_value() {
        assert_eq!(
            question(StatusCode::NOT_FOUND, "/a b?x=1&y=(2)%0d%0aX:1"),
            "/404?url=%2Fa%20b%3Fx%3D1%26y%3D(2)%250d%250aX%3A1",
        );
    }
}
