//! What may change while the hub runs, as one value that is replaced whole.
//!
//! Whoever handles a request takes the value once and works with it to the end,
//! so nobody ever sees half of a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use hub_auth::{AccessPolicy, Authenticator, Methods, Offer, Roles};
use hub_names::UserName;
use hub_spawner::Preset;

use crate::{
    config::{
        AuthStateConfig, Config, CullingConfig, EventsConfig, Landing, LocalConfig, ServersConfig,
        SessionConfig, UserlistMode,
    },
    web::render::Render,
};

/// The part of the configuration that requests are answered by.
#[derive(Debug)]
pub(crate) struct Live {
    /// The ways to sign in, in the order the page offers them.
    pub(crate) methods: Methods,
    /// The ids of those at which whoever signs out of the hub signs out as well.
    pub(crate) sign_out_at: BTreeSet<String>,
    /// Accounts with the hub itself, if there are any.
    pub(crate) local: Option<LocalConfig>,
    /// Whether people go on at once to the only site they can sign in at.
    pub(crate) auto_login: bool,
    /// Whether those do whom a notebook server or a service sends here.
    pub(crate) auto_login_of_clients: bool,
    /// What is kept of people's sign-ins; `None` for nothing.
    pub(crate) auth_state: Option<AuthStateConfig>,
    /// Who is let in.
    pub(crate) policy: AccessPolicy,
    /// What it means that somebody is not on the user list.
    pub(crate) mode: UserlistMode,
    /// How long the servers of somebody who lost access go on.
    pub(crate) removed_user_grace: std::time::Duration,
    /// How long a browser stays signed in.
    pub(crate) session: SessionConfig,
    /// What the operator decided for the servers of one user.
    pub(crate) presets: BTreeMap<UserName, Preset>,
    /// The pages.
    pub(crate) render: Render,
    /// Where people go who did not say where.
    pub(crate) landing: Landing,
    /// What everybody is told on every page.
    pub(crate) announcement: Option<String>,
    /// What somebody is told whom the rules do not let in.
    pub(crate) refusal: Option<String>,
    /// Time limits of servers.
    pub(crate) limits: ServersConfig,
    /// When servers are stopped that nobody uses.
    pub(crate) culling: CullingConfig,
    /// Where events go.
    pub(crate) events: EventsConfig,
    /// Whether numbers are shown only to those who may read them.
    pub(crate) authenticate_metrics: bool,
    /// What each role may do.
    pub(crate) roles: Roles,
}

impl Live {
    /// What `config` says, with the parts that were built from it.
    pub(crate) fn new(config: &Config, methods: Methods, render: Render) -> Self {
        let oidc = config.auth.oidc.iter().filter(|oidc| oidc.sign_out);
        Self {
            methods,
            sign_out_at: oidc.map(|oidc| oidc.provider.id.clone()).collect(),
            local: config.auth.local,
            auto_login: config.auth.auto_login,
            auto_login_of_clients: config.auth.auto_login_of_clients,
            auth_state: config.auth.state.clone(),
            policy: config.auth.policy.clone(),
            mode: config.auth.mode,
            removed_user_grace: config.auth.removed_user_grace,
            session: config.auth.session,
            presets: config.auth.presets.clone(),
            render,
            landing: config.landing.clone(),
            announcement: config.announcement.clone(),
            refusal: config.refusal.clone(),
            limits: config.servers.clone(),
            culling: config.culling.clone(),
            events: config.events.clone(),
            authenticate_metrics: config.metrics.authenticate,
            roles: config.roles.roles.clone(),
        }
    }

    /// A way to sign in, by its id.
    pub(crate) fn authenticator(&self, provider: &str) -> Option<&Arc<dyn Authenticator>> {
        self.methods.by_id(provider)
    }

    /// Whether it is a way to sign in with a form of the hub's own, whose passwords are
    /// looked at here.
    pub(crate) fn is_form(&self, provider: &str) -> bool {
        self.authenticator(provider).is_some_and(|method| matches!(method.offer(), Offer::Form))
    }

    /// What the operator decided for the servers of `user`, who is in `groups`.
    pub(crate) fn preset(&self, user: &UserName, groups: Vec<String>) -> Preset {
        Preset { groups, ..self.presets.get(user).cloned().unwrap_or_default() }
    }

    /// Whether somebody with an account may go on using it. They may not when they
    /// are blocked, nor when the user list decides alone and does not name them
    /// (USR-6).
    pub(crate) fn keeps(&self, user: &UserName) -> bool {
        match self.mode {
            UserlistMode::Authoritative => self.policy.keeps(user),
            UserlistMode::Seed => !self.policy.blocks(user),
        }
    }
}

/// The present [`Live`]. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Current(Arc<ArcSwap<Live>>);

impl Current {
    pub(crate) fn new(live: Live) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(live)))
    }

    /// The value now.
    pub(crate) fn get(&self) -> Arc<Live> {
        self.0.load_full()
    }

    /// Replaces the value for all who look from now on.
    pub(crate) fn set(&self, live: Live) {
        self.0.store(Arc::new(live));
    }
}
