//! What a listener can serve.

use std::convert::Infallible;

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use tower::Service;

use crate::{BoxError, RequestBody};

/// A service that has an answer for every request. Each connection gets a clone.
///
/// Every service of this kind is one; there is nothing to implement.
pub trait Handler<B>:
    Service<Request<RequestBody>, Response = Response<B>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S, B> Handler<B> for S where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// What such a service may answer with. Every body of this kind is one.
pub trait ResponseBody: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static {}

impl<B> ResponseBody for B where B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static {}
