//! Server-sent events: the shape of every answer that goes on for a while.
//!
//! Source: the HTML standard, section 9.2.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use http::header;
use serde_json::Value;

use crate::hub::Hub;

/// How often an idle stream shows that it lives.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(8);

/// What shows it: an event without anything in it.
pub(super) const SIGN_OF_LIFE: Bytes = Bytes::from_static(b"\n\n");

/// One event.
pub(super) fn event(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// An answer of one event.
pub(super) fn of_one(data: &Value) -> Response {
    answer(Body::from([&SIGN_OF_LIFE[..], &event(data)].concat()))
}

/// An answer that goes on while there are events, and the hub serves.
pub(super) fn of_many(hub: &Hub, events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let events = events.take_until(hub.ending.clone().cancelled_owned());
    // The head of the answer goes out at once, with bytes behind it: some proxies
    // hold back a head that is alone.
    let all = stream::iter([SIGN_OF_LIFE]).chain(events).map(Ok::<_, Infallible>);
    answer(Body::from_stream(all))
}

fn answer(body: Body) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, body).into_response()
}
