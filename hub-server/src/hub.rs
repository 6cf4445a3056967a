//! What a request handler can reach; nothing else is global.

use std::sync::Arc;

use hub_auth::{AccessPolicy, Authenticator, Owner, ScopeSet, role};
use hub_names::UserName;
use hub_proxy::TrustForwarded;
use hub_store::{Store, User};
use url::Url;

use crate::{
    access::attempts::Attempts,
    clock::Clock,
    keys::Keys,
    servers::Servers,
    web::{paths::Paths, render::Render},
};

/// A running hub, as its handlers see it.
#[derive(Debug)]
pub(crate) struct Hub {
    /// What is remembered.
    pub store: Store,
    /// The ways to sign in, in the order the page offers them.
    pub authenticators: Vec<Arc<dyn Authenticator>>,
    /// Who is let in.
    pub policy: AccessPolicy,
    /// The single-user servers.
    pub servers: Servers,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The pages.
    pub render: Render,
    /// Keys for signing and sealing.
    pub keys: Keys,
    /// The URL space.
    pub paths: Paths,
    /// How people write the hub's address, if it is configured.
    pub public_url: Option<Url>,
    /// Whether browsers speak https to us.
    pub https: bool,
    /// Whose `X-Forwarded-*` fields are believed.
    pub trusted_proxies: TrustForwarded,
    /// Who has failed to sign in too often.
    pub(crate) attempts: Attempts,
    /// Time limits of servers.
    pub limits: crate::config::ServersConfig,
    /// What each configured service may do.
    pub services: std::collections::BTreeMap<String, Vec<hub_auth::Scope>>,
}

impl Hub {
    /// What `user` may do now.
    pub(crate) fn scopes_of_user(&self, user: &User) -> ScopeSet {
        role::user_scopes(&user.name, user.admin)
    }

    /// What the service called `name` may do now.
    pub(crate) fn scopes_of_service(&self, name: &str) -> ScopeSet {
        let raw = self.services.get(name).cloned().unwrap_or_default();
        ScopeSet::expand(raw, &Owner::Service(name.to_owned()), None)
    }

    /// The roles shown for `user`.
    pub(crate) fn roles_of(user: &User) -> Vec<&'static str> {
        if user.admin { vec!["admin", "user"] } else { vec!["user"] }
    }

    /// How long an API call waits for a start.
    pub(crate) fn slow_spawn_timeout(&self) -> std::time::Duration {
        self.limits.slow_spawn_timeout
    }

    /// How long an API call waits for a stop.
    pub(crate) fn slow_stop_timeout(&self) -> std::time::Duration {
        self.limits.slow_stop_timeout
    }

    /// A way to sign in, by its id.
    pub(crate) fn authenticator(&self, provider: &str) -> Option<&Arc<dyn Authenticator>> {
        self.authenticators.iter().find(|one| one.provider() == provider)
    }

    /// A name from a URL or a request body, as the sign-in would spell it.
    ///
    /// # Errors
    ///
    /// When it is not a name.
    pub(crate) fn normalise(&self, name: &str) -> Result<UserName, hub_auth::InvalidName> {
        self.policy.normalise(name)
    }
}
