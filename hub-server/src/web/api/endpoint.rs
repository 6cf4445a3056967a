//! One operation of the REST API, with all there is to say about it in one place.

use std::sync::Arc;

use axum::{
    Extension,
    handler::Handler,
    routing::{MethodFilter, MethodRouter, on},
};
use hub_auth::ScopeName;

use crate::{access::Needed, hub::Hub};

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs {
    /// Anybody, without a credential.
    Nothing,
    /// Whoever has a valid credential.
    Credential,
    /// Whoever holds one of these for what the request is about.
    AnyOf(&'static [ScopeName]),
}

/// The methods there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// `GET`, and with it `HEAD`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

/// One operation of the REST API.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the description of the API is made by a test"))]
pub(crate) struct Endpoint {
    /// How it is called.
    pub(crate) verb: Verb,
    /// Its path below `/hub/api`, with `{names}`.
    pub(crate) path: &'static str,
    /// Who may call it.
    pub(crate) needs: Needs,
    /// What it does, in a few words.
    pub(crate) about: &'static str,
    route: MethodRouter<Arc<Hub>>,
}

impl Endpoint {
    /// An operation that `handler` does. What it needs is told to the handler through
    /// its caller: [`Caller::allow`](crate::access::Caller::allow).
    pub(crate) fn new<H, T>(
        verb: Verb,
        path: &'static str,
        needs: Needs,
        about: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Hub>>,
        T: 'static,
    {
        let scopes = match needs {
            Needs::Nothing | Needs::Credential => &[],
            Needs::AnyOf(scopes) => scopes,
        };
        let route = on(verb.filter(), handler).layer(Extension(Needed(scopes)));
        Self { verb, path, needs, about, route }
    }

    /// The route, for a router.
    pub(super) fn route(&self) -> MethodRouter<Arc<Hub>> {
        self.route.clone()
    }
}

impl Verb {
    /// As OpenAPI writes it.
    #[cfg(test)]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

#[cfg(test)]
mod tests;
