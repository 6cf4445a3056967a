//! The REST API: JupyterHub's paths, models and status codes.

mod activity;
mod authorizations;
mod endpoint;
mod event_stream;
mod groups;
mod info;
mod log;
mod model;
mod openapi;
mod owner;
mod paging;
mod progress;
mod proxy;
mod reload;
mod server_body;
mod servers;
mod services;
mod shares;
mod shutdown;
pub(super) mod tokens;
mod user_list;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header};
use hub_auth::ScopeName;

pub(crate) use self::endpoint::{Endpoint, Needs, Verb};
use super::error::ApiError;
use crate::hub::Hub;

/// Every operation of the API. This table is the only place that says which scope
/// one needs; handlers say for whom.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Needs::{AnyOf, Credential, Nothing};
    use ScopeName as S;
    use Verb::{Delete, Get, Patch, Post, Put};

    const A_USER: &[S] = &[
        S::ReadUsers,
        S::ReadUsersName,
        S::ReadServers,
        S::ReadUsersGroups,
        S::ReadUsersActivity,
        S::ReadRolesUsers,
    ];
    let mut all = vec![
        Endpoint::new(Get, "", Nothing, "Tell the version of the API", info::version),
        Endpoint::new(Get, "/", Nothing, "Tell the version of the API", info::version),
        Endpoint::new(
            Get,
            "/openapi.json",
            Nothing,
            "Describe this API in OpenAPI 3.1",
            openapi::show,
        ),
        Endpoint::new(Get, "/info", AnyOf(&[S::ReadHub]), "Tell how the hub is set up", info::info),
        Endpoint::new(
            Get,
            "/user",
            Credential,
            "Tell who the caller is and what they may do",
            info::whoami,
        ),
        Endpoint::new(Get, "/users", AnyOf(&[S::ListUsers]), "List users", user_list::list),
        Endpoint::new(Post, "/users", AnyOf(&[S::AdminUsers]), "Add users", users::create_many),
        Endpoint::new(Get, "/users/{user}", AnyOf(A_USER), "Show a user", users::show),
        Endpoint::new(Post, "/users/{user}", AnyOf(&[S::AdminUsers]), "Add a user", users::create),
        Endpoint::new(
            Patch,
            "/users/{user}",
            AnyOf(&[S::AdminUsers]),
            "Rename a user, or make or dismiss an administrator",
            users::change,
        ),
        Endpoint::new(
            Delete,
            "/users/{user}",
            AnyOf(&[S::DeleteUsers]),
            "Delete a user",
            users::delete,
        ),
        Endpoint::new(
            Post,
            "/users/{user}/activity",
            AnyOf(&[S::UsersActivity]),
            "Report that a user is at work",
            activity::report,
        ),
        Endpoint::new(
            Get,
            "/users/{user}/tokens",
            AnyOf(&[S::ReadTokens]),
            "List a user's tokens",
            tokens::list,
        ),
        Endpoint::new(
            Post,
            "/users/{user}/tokens",
            AnyOf(&[S::Tokens]),
            "Make a token",
            tokens::create,
        ),
        Endpoint::new(
            Get,
            "/users/{user}/tokens/{id}",
            AnyOf(&[S::ReadTokens]),
            "Show a token",
            tokens::show,
        ),
        Endpoint::new(
            Delete,
            "/users/{user}/tokens/{id}",
            AnyOf(&[S::Tokens]),
            "Revoke a token",
            tokens::revoke,
        ),
        Endpoint::new(Get, "/services", AnyOf(&[S::ListServices]), "List services", services::list),
        Endpoint::new(
            Get,
            "/services/{service}",
            AnyOf(&[S::ReadServices, S::ReadServicesName, S::ReadRolesServices]),
            "Show a service",
            services::show,
        ),
        Endpoint::new(
            Post,
            "/services/{service}",
            AnyOf(&[S::AdminServices]),
            "Add a service",
            services::create,
        ),
        Endpoint::new(
            Delete,
            "/services/{service}",
            AnyOf(&[S::AdminServices]),
            "Delete a service that was added by request",
            services::delete,
        ),
        Endpoint::new(
            Post,
            "/reload",
            AnyOf(&[S::Shutdown]),
            "Read the configuration again",
            reload::reload,
        ),
        Endpoint::new(
            Post,
            "/shutdown",
            AnyOf(&[S::Shutdown]),
            "End the hub, and the servers if asked to",
            shutdown::shutdown,
        ),
        Endpoint::new(Get, "/proxy", AnyOf(&[S::Proxy]), "List the proxy's routes", proxy::list),
        Endpoint::new(
            Post,
            "/proxy",
            AnyOf(&[S::Proxy]),
            "Compare the proxy's routes with what they should be, now",
            proxy::check,
        ),
        Endpoint::new(
            Patch,
            "/proxy",
            AnyOf(&[S::Proxy]),
            "Go on with a proxy at another address",
            proxy::point,
        ),
        Endpoint::new(
            Post,
            "/users/{user}/admin-access",
            AnyOf(&[S::Servers]),
            "Ask whether one may use somebody's servers; for old pages",
            users::admin_access,
        ),
        Endpoint::new(
            Post,
            "/authorizations/token",
            Nothing,
            "Nothing any more: says where tokens are made",
            authorizations::removed,
        ),
        Endpoint::new(
            Get,
            "/authorizations/cookie/{name}",
            Credential,
            "Tell whose a login cookie is that is in the body",
            authorizations::of_cookie_in_body,
        ),
        Endpoint::new(
            Get,
            "/authorizations/cookie/{name}/{value}",
            Credential,
            "Tell whose a login cookie is",
            authorizations::of_cookie,
        ),
        Endpoint::new(
            Get,
            "/authorizations/token/{token}",
            Credential,
            "Tell whose a token is, for packages before 2.0",
            authorizations::of_token,
        ),
    ];
    const A_GROUP: &[S] = &[S::ReadGroups, S::ReadGroupsName, S::ReadRolesGroups];
    all.extend([
        Endpoint::new(Get, "/groups", AnyOf(&[S::ListGroups]), "List groups", groups::list),
        Endpoint::new(Post, "/groups", AnyOf(&[S::AdminGroups]), "Add groups", groups::create_many),
        Endpoint::new(Get, "/groups/{group}", AnyOf(A_GROUP), "Show a group", groups::show),
        Endpoint::new(
            Post,
            "/groups/{group}",
            AnyOf(&[S::AdminGroups]),
            "Add a group",
            groups::create,
        ),
        Endpoint::new(
            Delete,
            "/groups/{group}",
            AnyOf(&[S::DeleteGroups]),
            "Delete a group",
            groups::delete,
        ),
        Endpoint::new(
            Post,
            "/groups/{group}/users",
            AnyOf(&[S::Groups]),
            "Add people to a group",
            groups::join,
        ),
        Endpoint::new(
            Delete,
            "/groups/{group}/users",
            AnyOf(&[S::Groups]),
            "Take people out of a group",
            groups::leave,
        ),
        Endpoint::new(
            Put,
            "/groups/{group}/properties",
            AnyOf(&[S::Groups]),
            "Replace what is kept about a group",
            groups::set_properties,
        ),
    ]);
    // The default server, whose name may also be left empty, and named ones.
    for server in
        ["/users/{user}/server", "/users/{user}/servers/", "/users/{user}/servers/{server}"]
    {
        all.extend([
            Endpoint::new(Get, server, AnyOf(&[S::ReadServers]), "Show a server", servers::show),
            Endpoint::new(
                Put,
                server,
                AnyOf(&[S::StartServers]),
                "Add a named server without starting it",
                servers::add,
            ),
            Endpoint::new(
                Post,
                server,
                AnyOf(&[S::StartServers]),
                "Start a server",
                servers::start,
            ),
            Endpoint::new(
                Patch,
                server,
                AnyOf(&[S::StartServers]),
                "Rename a stopped server, or change its description or options",
                servers::change,
            ),
            Endpoint::new(
                Delete,
                server,
                AnyOf(&[S::DeleteServers]),
                "Stop a server; with `remove` also forget a named one",
                servers::stop,
            ),
        ]);
    }
    for (progress, log) in [
        ("/users/{user}/server/progress", "/users/{user}/server/log"),
        ("/users/{user}/servers/{server}/progress", "/users/{user}/servers/{server}/log"),
    ] {
        all.extend([
            Endpoint::new(
                Get,
                progress,
                AnyOf(&[S::ReadServers]),
                "Follow the start of a server",
                progress::stream_of,
            ),
            Endpoint::new(
                Get,
                log,
                AnyOf(&[S::AdminServerState]),
                "Show what a server wrote; their own is open to everybody",
                log::show,
            ),
        ]);
    }
    all.extend(shares::endpoints());
    all
}

pub(super) fn routes(hub: &Hub) -> Router<Arc<Hub>> {
    let at = |path: &str| hub.paths.in_hub(&format!("api{path}"));
    endpoints()
        .iter()
        .fold(Router::new(), |router, endpoint| router.route(&at(endpoint.path), endpoint.route()))
        .route(&at("/{*rest}"), axum::routing::any(|| async { unknown_path() }))
        .layer(middleware::from_fn(conventions))
}

fn unknown_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "Not Found")
}

/// OPTIONS is answered without a look at who asks; what the framework refuses by
/// itself (a method, a path, a body too large) is told in JSON like every other
/// error.
async fn conventions(request: Request, next: Next) -> Response {
    if *request.method() == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut told = ApiError::new(status, reason).into_response();
    if let Some(allow) = allow {
        told.headers_mut().insert(header::ALLOW, allow);
    }
    told
}
