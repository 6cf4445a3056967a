//! WebSocket handshakes: what counts as one (pure), and the exchange with the
//! target.
//!
//! Each upgrade has a connection to the target of its own (K-10), and no byte
//! of the client's is passed on before the target has agreed (SM-41).

use std::{future::poll_fn, io, pin::pin, sync::Arc, task::Poll, time::Duration};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header,
    uri::PathAndQuery,
};
use tokio::time::timeout;

use crate::{
    ProxyConfig, ProxyError, RequestBody, Tunnels,
    access_log::Line,
    activity::Activity,
    body::{ClientBody, ClientBytes, Taken, UpstreamBody},
    closing::{Closable, read_out},
    error::chain,
    forward::{Bounds, Busy, Question, Upstreams},
    headers::{has_token, strip_hop_by_hop},
    listener::OpenStream,
    request_body::{ClientSide, client_upgrade},
    service::readdress,
    table::Route,
    transport::Transport,
    tunnel::{self, Limits, Way, WithEarly},
};

mod own_key;

use own_key::OwnKey;

/// How long a silent connection is trusted before the kernel asks whether the
/// other side still exists (WS-10).
pub(crate) const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// What both versions of HTTP call it.
pub(crate) const WEBSOCKET: &str = "websocket";

/// Read at once of a WebSocket in a stream of HTTP/2.
const MOST_OF_STREAM: usize = 16 * 1024;

/// Most a target's answer to a handshake may have as a head (WS-15).
const MAX_ANSWER_HEAD: usize = 64 * 1024;

/// Whether a request asks for a WebSocket: `GET`, HTTP/1.1, `Upgrade:
/// websocket` in any case and `Connection` with `upgrade` (WS-01), or extended
/// CONNECT with that protocol over HTTP/2 (H2-02).
///
/// Everything else with an `Upgrade` is an ordinary request whose offer is
/// dropped (HB-02, WS-13).
pub fn is_websocket<B>(request: &Request<B>) -> bool {
    if let Some(protocol) = extended_connect(request) {
        return protocol == WEBSOCKET;
    }
    *request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && offers_websocket(request.headers())
        && has_token(request.headers(), header::CONNECTION, "upgrade")
}

/// The protocol that an extended CONNECT asks for (RFC 8441 section 4).
pub(crate) fn extended_connect<B>(request: &Request<B>) -> Option<&str> {
    let protocol = request.extensions().get::<hyper::ext::Protocol>()?;
    (*request.method() == Method::CONNECT).then(|| protocol.as_str())
}

/// Writes `Connection` and `Upgrade` for the next hop.
///
/// To be called after [`strip_hop_by_hop`],
/// which has removed this hop's.
pub fn renew(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Passes a handshake on and, if the target agrees, leaves a tunnel behind in
/// `tunnels`.
///
/// The answer is the target's, whatever it is. After a refusal the client's
/// connection is closed: bytes it may have sent already were meant for another
/// protocol and must not be read as a request.
pub(crate) async fn exchange(
    upstreams: &Upstreams,
    config: &ProxyConfig,
    route: &Arc<Route>,
    path: &PathAndQuery,
    (tunnels, line): (&Tunnels, Option<&Line>),
    mut request: Request<RequestBody>,
) -> Result<Response<UpstreamBody>, ProxyError> {
    // First of all: the handle is gone once the request has been taken apart.
    let client = client_upgrade(&mut request);
    // Its connection is not idle as long as the tunnel is there.
    let stream_of_client = request.extensions().get::<OpenStream>().cloned();
    // A client of HTTP/2 brings no key: that is between the target and us.
    let own_key = match extended_connect(&request) {
        Some(_) => Some(OwnKey::new()?),
        None => None,
    };
    let mut headers = std::mem::take(request.headers_mut());
    strip_hop_by_hop(&mut headers);
    renew(&mut headers);
    if let Some(line) = line {
        line.mark(&mut headers);
    }
    readdress(config, route, &mut headers);
    if let Some(key) = &own_key {
        headers.insert(header::SEC_WEBSOCKET_KEY, key.field());
    }
    let question = Question { method: &Method::GET, path, headers: &headers, is_upgrade: true };
    let place = upstreams.place(config, route).await?;
    // A connection of its own, set up as the pooled ones are.
    let mut link = match config.response_header_timeout {
        None => upstreams.open(route).await?,
        Some(limit) => Box::pin(timeout(limit, upstreams.open(route)))
            .await
            .map_err(|_| ProxyError::TimedOut)??,
    };
    let nothing = ClientBytes::Nothing;
    let taken = Taken::of(&nothing);
    let nothing = ClientBody::new(nothing, Activity::on(route, config), taken, false, config);
    let answer = link.send(question, nothing, Bounds::of_head(MAX_ANSWER_HEAD), &|_, _| {});
    let answer = timeout(config.upgrade_timeout, answer)
        .await
        .map_err(|_| ProxyError::TimedOut)?
        .map_err(|unanswered| ProxyError::from_exchange(unanswered.error))?;
    let (status, reason, mut fields) = (answer.status, answer.reason, answer.headers);

    if status != StatusCode::SWITCHING_PROTOCOLS {
        strip_hop_by_hop(&mut fields);
        fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let used = status.as_u16() < 300;
        let activity = used.then(|| Activity::on(route, config));
        let busy = Busy::new(link, None, config.upload_stall_timeout);
        let body = UpstreamBody::new(busy, activity, place, config);
        let mut refusal = response(status, fields, body);
        if let Some(reason) = reason {
            refusal.extensions_mut().insert(reason);
        }
        return Ok(refusal);
    }
    if !offers_websocket(&fields) {
        return Err(ProxyError::BadAnswer("it switches to another protocol"));
    }
    if own_key.as_ref().is_some_and(|key| !key.is_accepted_by(&fields)) {
        return Err(ProxyError::BadAnswer("it accepts another WebSocket key"));
    }
    if let Some(stream) = &stream_of_client {
        stream.tunnel_began();
    }
    // Tunnels idle for days; only what a target works on takes a place there (L-06).
    drop(place);
    let upstream = link.into_tunnel();
    let passing = Passing { activity: Activity::on(route, config), line: line.cloned() };
    let limits = Limits {
        most: tunnel::MOST,
        grace: config.half_close_grace,
        idle: config.tunnel_idle_timeout,
    };
    tunnels.spawn(async move {
        let _held = stream_of_client;
        // The client may vanish between the handshake and now; then dropping the
        // target's side closes it (WS-09).
        let Some(client) = client.done().await else { return };
        run_tunnel(client, upstream, limits, &passing).await;
    });
    strip_hop_by_hop(&mut fields);
    fields.remove(header::CONTENT_LENGTH);
    let status = if own_key.is_some() {
        fields.remove(header::SEC_WEBSOCKET_ACCEPT);
        StatusCode::OK
    } else {
        renew(&mut fields);
        StatusCode::SWITCHING_PROTOCOLS
    };
    Ok(response(status, fields, UpstreamBody::empty()))
}

fn response(status: StatusCode, headers: HeaderMap, body: UpstreamBody) -> Response<UpstreamBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Who hears of what passes through a tunnel.
struct Passing {
    activity: Activity,
    /// The tunnel is over when this is dropped.
    line: Option<Line>,
}

impl Passing {
    fn data(&self, way: Way, bytes: usize) {
        self.activity.mark();
        if let (Way::Back, Some(line)) = (way, &self.line) {
            line.gives(bytes);
        }
    }
}

/// Runs a tunnel to its end. What breaks off on one side is no end on the other (WS-06).
async fn run_tunnel(
    mut client: ClientSide,
    mut upstream: Box<WithEarly<Transport>>,
    limits: Limits,
    passing: &Passing,
) {
    let closing = passing.activity.route().closing();
    // Once is enough, since this task stays the one that is to be woken.
    let mut asked = pin!(closing.asked());
    let _ = poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx))).await;
    let target = Closable::new(&mut upstream, closing);
    let on_data = |way, bytes| passing.data(way, bytes);
    let ended = match &mut client {
        ClientSide::Http1(client) => {
            tunnel::join(Closable::new(client, closing), target, limits, on_data).await
        }
        // A stream of HTTP/2 keeps several pieces waiting (B-01).
        ClientSide::Hyper(client) => {
            let limits = Limits { most: MOST_OF_STREAM, ..limits };
            tunnel::join(Closable::new(client, closing), target, limits, on_data).await
        }
    };
    let Err(error) = ended else {
        if closing.is_asked() {
            let _ = Box::pin(timeout(limits.grace, async {
                match &mut client {
                    ClientSide::Http1(client) => read_out(client, &mut upstream).await,
                    ClientSide::Hyper(client) => read_out(client, &mut upstream).await,
                }
            }))
            .await;
        }
        return;
    };
    tracing::debug!(error = %chain(&error), "a WebSocket tunnel broke");
    // The one is a client which ended TCP and not TLS: what it sent before is still to be
    // had. The other is the end of a whole connection of HTTP/2, or of ours when we drain.
    if !matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe) {
        client.reset_on_close();
        upstream.get_ref().socket().reset_on_close();
    }
}

fn offers_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(method: &str, version: Version, fields: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        is_websocket(&request.body(()).unwrap())
    }

    #[test]
    fn ws_01_ws_13_only_a_complete_handshake_is_one() {
        let full = [("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade")];
        assert!(asks("GET", Version::HTTP_11, &full));
        assert!(!asks("POST", Version::HTTP_11, &full));
        assert!(!asks("GET", Version::HTTP_10, &full));
        assert!(!asks("GET", Version::HTTP_11, &full[..1]));
        assert!(!asks("GET", Version::HTTP_11, &full[1..]));
        let h2c = [("upgrade", "h2c"), ("connection", "Upgrade")];
        assert!(!asks("GET", Version::HTTP_11, &h2c));
    }
}
