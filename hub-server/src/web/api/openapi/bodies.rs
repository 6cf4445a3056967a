//! What endpoints take and answer, where the code that handles it has no type for
//! it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

type Object = Map<String, Value>;
/// ISO 8601, UTC, microseconds unless zero.
type Time = String;

macro_rules! models {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })+) => {
        $(
            $(#[$doc])*
            #[derive(JsonSchema)]
            #[schemars(deny_unknown_fields)]
            #[expect(dead_code, reason = "only its schema is of interest")]
            pub(super) struct $name { $($(#[$field_doc])* $field: $kind,)* }
        )+
    };
}

models! {
    /// What went wrong.
    Error {
        status: u16,
        message: String,
    }

    /// Which part of how much it is.
    Pagination {
        offset: u64,
        limit: u64,
        total: u64,
        next: Option<NextPage>,
    }

    /// Where the next part is.
    NextPage {
        offset: u64,
        limit: u64,
        url: String,
    }

    /// The version of the API.
    Version {
        version: String,
    }

    /// How the hub is set up.
    Info {
        version: String,
        python: String,
        sys_executable: String,
        spawner: Class,
        authenticator: Class,
        certificate: Option<Value>,
    }

    /// What does it, and its version.
    Class {
        class: String,
        version: String,
    }

    /// Users to be added.
    NewUsers {
        usernames: Vec<String>,
        #[schemars(default)]
        admin: bool,
    }

    /// A user to be added.
    NewUser {
        #[schemars(default)]
        admin: bool,
    }

    /// What to change about a user.
    UserChange {
        name: Option<String>,
        admin: Option<bool>,
        auth_state: Option<Object>,
    }

    /// When a user, or their servers, were last used.
    Activity {
        last_activity: Option<Time>,
        #[schemars(default)]
        servers: BTreeMap<String, ServerActivity>,
    }

    /// When a server was last used.
    ServerActivity {
        last_activity: Time,
    }

    /// A server to be made or started. An object without these two fields counts as
    /// `user_options`.
    ServerRequest {
        display_name: Option<String>,
        user_options: Option<Object>,
    }

    /// What to change about a server that is not running.
    ServerChange {
        name: Option<String>,
        display_name: Option<String>,
        user_options: Option<Object>,
    }

    /// Whether a named server is to be forgotten as well.
    ServerStop {
        #[schemars(default)]
        remove: bool,
    }

    /// A token to be made.
    TokenRequest {
        note: Option<String>,
        /// Seconds; never, if it is not there.
        expires_in: Option<i64>,
        scopes: Option<Vec<String>>,
        /// For clients of JupyterHub 2; their scopes are given.
        roles: Option<Vec<String>>,
        /// A name and a password, in place of a credential.
        auth: Option<Object>,
    }

    /// A token.
    Token {
        id: String,
        kind: String,
        #[schemars(default)]
        user: Option<String>,
        #[schemars(default)]
        service: Option<String>,
        roles: Vec<String>,
        scopes: Vec<String>,
        note: String,
        created: Time,
        expires_at: Option<Time>,
        last_activity: Option<Time>,
        session_id: Option<String>,
        oauth_client: String,
    }

    /// A token that was just made, with its text.
    NewToken {
        token: String,
        id: String,
        kind: String,
        #[schemars(default)]
        user: Option<String>,
        #[schemars(default)]
        service: Option<String>,
        roles: Vec<String>,
        scopes: Vec<String>,
        note: String,
        created: Time,
        expires_at: Option<Time>,
        last_activity: Option<Time>,
        session_id: Option<String>,
        oauth_client: String,
    }

    /// A user's tokens.
    Tokens {
        api_tokens: Vec<Token>,
    }

    /// The end of what a server wrote.
    ServerLog {
        log: String,
        /// When it ended, if it did.
        ended: Option<Time>,
    }

    /// Groups to be added, each with these users.
    NewGroups {
        groups: Vec<String>,
        #[schemars(default)]
        users: Vec<String>,
    }

    /// Names of users.
    Members {
        #[schemars(default)]
        users: Vec<String>,
    }

    /// A group; what the caller may not see is left out.
    Group {
        kind: String,
        name: String,
        #[schemars(default)]
        users: Vec<String>,
        #[schemars(default)]
        properties: Object,
        #[schemars(default)]
        roles: Vec<String>,
    }

    /// A service; what the caller may not see is left out.
    Service {
        kind: String,
        name: String,
        #[schemars(default)]
        admin: bool,
        #[schemars(default)]
        roles: Vec<String>,
        #[schemars(default)]
        url: Option<String>,
        #[schemars(default)]
        prefix: String,
        #[schemars(default)]
        command: Vec<String>,
        #[schemars(default)]
        pid: u32,
        #[schemars(default)]
        info: Option<Object>,
        #[schemars(default)]
        display: Option<bool>,
    }

    /// A service to be added.
    NewService {
        #[schemars(default)]
        name: Option<String>,
        #[schemars(default)]
        admin: bool,
        #[schemars(default)]
        url: Option<String>,
        #[schemars(default)]
        api_token: Option<String>,
        #[schemars(default)]
        info: Option<Object>,
        #[schemars(default)]
        display: Option<bool>,
        #[schemars(default)]
        oauth_client_id: Option<String>,
        #[schemars(default)]
        oauth_redirect_uri: Option<String>,
        #[schemars(default)]
        oauth_client_allowed_scopes: Option<Vec<String>>,
        #[schemars(default)]
        oauth_no_confirm: Option<bool>,
    }

    /// With whom, and for what.
    ShareRequest {
        user: Option<String>,
        group: Option<String>,
        scopes: Option<Vec<String>>,
    }

    /// The server of a share.
    SharedServer {
        name: String,
        url: String,
        full_url: Option<String>,
        ready: bool,
        user: Named,
    }

    /// Somebody's or something's name.
    Named {
        name: String,
    }

    /// What a user or a group may do with a server.
    Share {
        server: SharedServer,
        scopes: Vec<String>,
        user: Option<Named>,
        group: Option<Named>,
        kind: String,
        created_at: Time,
    }

    /// For what, and for how long.
    ShareCodeRequest {
        scopes: Option<Vec<String>>,
        /// Seconds, from 60 to 31536000.
        expires_in: Option<i64>,
    }

    /// A code that whoever has it may exchange for a share.
    ShareCode {
        server: SharedServer,
        scopes: Vec<String>,
        id: String,
        created_at: Time,
        expires_at: Option<Time>,
        exchange_count: u64,
        last_exchanged_at: Option<Time>,
    }

    /// A code that was just made, with its text.
    NewShareCode {
        server: SharedServer,
        scopes: Vec<String>,
        id: String,
        created_at: Time,
        expires_at: Option<Time>,
        exchange_count: u64,
        last_exchanged_at: Option<Time>,
        code: String,
        accept_url: String,
        full_accept_url: Option<String>,
    }

    /// A route of the proxy.
    Route {
        routespec: String,
        target: String,
        data: Object,
    }

    /// Another proxy.
    ProxyChange {
        api_url: Option<String>,
        auth_token: Option<String>,
    }

    /// What to stop with the hub.
    Shutdown {
        #[schemars(default)]
        proxy: bool,
        #[schemars(default)]
        servers: bool,
    }

    /// What will happen.
    Message {
        message: String,
    }
}

/// A list, or a page of one for who accepts `application/jupyterhub-pagination+json`.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is of interest")]
pub(super) enum ListOf<T> {
    /// All of it.
    Bare(T),
    /// A page.
    Page(PageOf<T>),
}

/// A page of a list.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
pub(super) struct PageOf<T> {
    items: T,
    #[schemars(rename = "_pagination")]
    pagination: Pagination,
}

/// Whoever asks, and with which credential.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
pub(super) struct RequestIdentity {
    kind: String,
    name: String,
    scopes: Vec<String>,
    token_id: Option<String>,
    session_id: Option<String>,
}
