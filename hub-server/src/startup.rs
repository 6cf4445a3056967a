//! The composition root: configuration to running hub.
//!
//! The only place that names concrete authenticators and, in [`backend`], spawners.

mod backend;
mod listeners;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hub_auth::{
    Authenticator, DummyAuthenticator, GithubAuthenticator, Methods, OidcAuthenticator,
    system_clock,
};
use hub_proxy::{
    AcmeError, Certificate, ListenError, Listener, Proxy, ProxyConfig, RedirectToHttps, RouteTable,
    TlsError, TrustForwarded,
};
use hub_spawner::{SpawnError, Spawner};
use hub_store::{Store, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::backend::Backend;
use self::listeners::{api_address, api_url, bind, local_api_url};
use crate::{
    access::{notes::Notes, recent::Recent},
    accounts::{self, Accounts, set_up},
    activity,
    auth_state::refreshes::Refreshes,
    certificates,
    clock::{Clock, SystemClock},
    config::{Config, ConfigError, Loaded, Sources},
    culling::{self, Notices},
    ending::{self, EndRequest},
    events,
    hub::Hub,
    keys::Keys,
    live::{Current, Live},
    logging,
    metrics::{self, Metrics, Work},
    reload::{self, ReloadHandle, Reloader, Requests},
    roster,
    routes::Routes,
    servers::{Ground, Links, Servers},
    services::{ServiceLinks, Services},
    sweeping,
    tasks::Tasks,
    web::{
        self,
        paths::Paths,
        render::{Render, RenderError},
    },
};

/// How long a hub that gives up goes on, so that whoever waits is answered.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long background tasks may take to end.
const TASKS_GRACE: Duration = Duration::from_secs(5);

/// Why the hub did not start. The exit code tells which part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartupError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error("store.url: the database cannot be used")]
    Store(#[from] StoreError),
    /// What runs the servers: Docker, mostly.
    #[error("the spawner cannot be used")]
    Spawner(#[from] SpawnError),
    /// An address.
    #[error("{key}")]
    Listen {
        /// The key of the address.
        key: &'static str,
        /// Why it cannot be used.
        #[source]
        source: ListenError,
    },
    /// The name of an address.
    #[error(
        "{key}: the name {name:?} cannot be looked up; in a container it has to be an alias of the container on one of its networks"
    )]
    Resolve {
        /// The key of the address.
        key: &'static str,
        /// The name.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificate or its key.
    #[error("http.tls")]
    Tls(#[from] TlsError),
    /// Certificates from an authority.
    #[error("http.acme")]
    Acme(#[from] AcmeError),
    /// The address under which servers would reach the hub is unknown.
    #[error(
        "hub_api.listen: the spawner does not tell under which address servers reach this host; write IP:PORT"
    )]
    NoApiAddress,
    /// A page template.
    #[error("pages.templates")]
    Pages(#[from] RenderError),
    /// An authenticator's section.
    #[error("auth")]
    Auth(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A password could not be hashed.
    #[error("the password cannot be hashed")]
    Password(#[source] hub_auth::UnfitPassword),
    /// The system.
    #[error("the operating system refused")]
    Runtime(#[source] std::io::Error),
}

impl StartupError {
    /// 2 configuration, 3 database, 4 Docker, 5 address in use; else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Tls(_)
            | Self::Acme(_)
            | Self::NoApiAddress
            | Self::Pages(_)
            | Self::Auth(_) => 2,
            Self::Store(_) => 3,
            Self::Spawner(_) => 4,
            Self::Listen { .. } | Self::Resolve { .. } => 5,
            Self::Password(_) | Self::Runtime(_) => 1,
        }
    }
}

/// Why a hub has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ended {
    /// It was asked to.
    Asked,
    /// Too many starts in a row have failed (`servers.consecutive_failure_limit`).
    GaveUp,
}

/// A hub whose listeners are bound, ready to accept.
#[derive(Debug)]
pub struct Running {
    public: Listener,
    private: Listener,
    redirect: Option<Listener>,
    proxy: ProxyConfig,
    certificate: Option<Certificate>,
    assembled: Assembled,
    /// The port that people have in the hub's https address.
    https_port: u16,
    grace: Duration,
}

/// The URLs of the REST API, without a slash at the end.
#[derive(Debug)]
struct ApiUrls {
    /// As seen from single-user servers.
    servers: String,
    /// As seen from services that the hub runs, which are on its machine.
    services: String,
}

/// What the hub is composed of.
#[derive(Debug)]
pub struct Leaves {
    /// What is remembered.
    pub store: Store,
    /// What runs the servers.
    pub spawner: Arc<dyn Spawner>,
    /// The ways to sign in.
    pub authenticators: Vec<Arc<dyn Authenticator>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A hub without listeners.
#[derive(Debug)]
pub struct Assembled {
    hub: Arc<Hub>,
    table: RouteTable,
    tasks: Tasks,
    set_up_link: Option<String>,
}

/// Builds the hub that `loaded` describes and binds its listeners. `sources` are
/// where it was read from, and `log` is what a reload changes the level of.
///
/// Nothing is accepted until [`Running::serve`]; until then errors are the
/// operator's to read, and each names what caused it.
///
/// # Errors
///
/// As the variants of [`StartupError`] say.
pub async fn start(
    loaded: Loaded,
    sources: Sources,
    log: logging::Handle,
) -> Result<Running, StartupError> {
    let began = Instant::now();
    let mut config = loaded.config.clone();
    let keys = Keys::load(&config.cookie_secret)?;
    let render = Render::load(config.templates.as_deref())?;
    let certificate = certificates::open(&config).await?;
    let tls = certificate.as_ref().map(Certificate::keys);
    let authenticators = sign_in_methods(&config)?;
    warn_about_configuration(&config, &authenticators);

    // The port first: a second hub by mistake ends here, before it touches
    // anything that the first one uses.
    let public = bind("http.listen", &config.http.listen, tls).await?;
    if let Some(proxy) = &mut config.proxy {
        proxy.listens_on(public.local_addr().port());
    }
    let redirect = match config.http.redirect_listen {
        Some(address) => Some(bind("http.redirect_listen", &address.into(), None).await?),
        None => None,
    };
    let store = Store::open(&config.store).await?;
    let backend = Backend::open(&config.spawner).await?;
    let spawner = backend.spawner();
    let private =
        bind("hub_api.listen", &api_address(&config.hub_api, &*spawner).await?, None).await?;
    let paths = Paths::of(&config.http);
    let api_url = api_url(&config.hub_api, private.local_addr(), &paths, &*spawner).await?;
    let clock = Arc::new(SystemClock);
    let leaves = Leaves { store, spawner, authenticators, clock };
    let urls =
        ApiUrls { servers: api_url.clone(), services: local_api_url(private.local_addr(), &paths) };
    let (assembled, requests) =
        assemble(&config, leaves, keys, render, urls, certificate.clone()).await?;
    if let Some(certificate) = &certificate {
        certificates::keep_fresh(&assembled.tasks, certificate);
    }
    backend.fetch_images(&assembled.tasks);
    let hub = Arc::clone(&assembled.hub);
    let reloader =
        Reloader { hub, sources, running: loaded, backend, certificate: certificate.clone(), log };
    reloader.keep_reloading(&assembled.tasks, requests);
    assembled.hub.metrics.took(Work::HubStartup, began.elapsed());
    tracing::info!(
        public = %public.local_addr(), api = %api_url, servers = assembled.hub.servers.active().len(),
        "the hub listens"
    );
    set_up::tell(assembled.set_up_link());
    let proxy = assembled.proxy_config();
    let grace = config.http.shutdown_grace;
    // Behind a port mapping it is not the one that we listen on.
    let https_port = match &config.http.public_url {
        Some(url) => url.port_or_known_default().unwrap_or(443),
        None => public.local_addr().port(),
    };
    Ok(Running { public, private, redirect, proxy, certificate, assembled, https_port, grace })
}

/// Puts the hub together over leaves of any kind, and takes up the servers that
/// ran before. [`start`] does this with the real ones; tests hand in fakes.
///
/// # Errors
///
/// When the store does not answer, the cookie secret cannot be read or a
/// template is broken.
pub async fn assemble_with(
    config: &Config,
    leaves: Leaves,
    api_url: String,
) -> Result<Assembled, StartupError> {
    let keys = Keys::load(&config.cookie_secret)?;
    let render = Render::load(config.templates.as_deref())?;
    // Nobody serves requests for a reload: there is nothing to read again.
    let urls = ApiUrls { services: api_url.clone(), servers: api_url };
    let (assembled, _requests) = assemble(config, leaves, keys, render, urls, None).await?;
    Ok(assembled)
}

async fn assemble(
    config: &Config,
    leaves: Leaves,
    keys: Keys,
    render: Render,
    urls: ApiUrls,
    certificate: Option<Certificate>,
) -> Result<(Assembled, Requests), StartupError> {
    let Leaves { store, spawner, authenticators, clock } = leaves;
    let tasks = Tasks::default();
    let metrics = Metrics::new(&config.metrics.prefix).map_err(StartupError::Runtime)?;
    let paths = Paths::of(&config.http);
    // Stays empty when the routes are in a proxy elsewhere: then all that comes to
    // this process is for the hub.
    let table = RouteTable::default();
    let routes = match &config.proxy {
        None => Routes::embedded(paths.clone(), table.clone(), metrics.clone()),
        Some(proxy) => Routes::external(paths.clone(), proxy, metrics.clone()),
    };
    let accounts = Accounts::new(store.clone());
    let authenticators = accounts::with_local(authenticators, config, &accounts, &clock, None)?;
    let current = Current::new(Live::new(config, methods(authenticators)?, render));
    let (reload, requests) = reload::channel();
    let (events, told) = events::channel();
    let servers = Servers::new(Ground {
        spawner,
        store: store.clone(),
        routes: routes.clone(),
        clock: Arc::clone(&clock),
        tasks: tasks.clone(),
        current: current.clone(),
        links: Links {
            paths: paths.clone(),
            api_url: urls.servers.clone(),
            public_url: config.http.public_url.clone(),
        },
        metrics: metrics.clone(),
        records: events,
    });
    let links = ServiceLinks {
        paths: paths.clone(),
        api_url: urls.services,
        public_url: config.http.public_url.clone(),
        inherited: config.inherited.clone(),
    };
    let services = Services::new(routes.clone(), tasks.clone(), links);
    let planned = services.plan(config, &store).await?;
    roster::remember(config, &planned, &paths, &store, &*clock).await?;
    services.adopt(planned);
    let hub = Arc::new(Hub {
        store,
        current,
        reload,
        servers,
        routes: routes.clone(),
        api_url: urls.servers,
        services,
        clock,
        keys,
        paths,
        public_url: config.http.public_url.clone(),
        https: config.http.is_https(),
        trusted_proxies: match config.http.trusted_proxies.as_slice() {
            [] => TrustForwarded::Nobody,
            networks => TrustForwarded::Networks(networks.to_vec()),
        },
        accounts,
        recent: Recent::default(),
        notes: Notes::default(),
        refreshes: Refreshes::default(),
        tasks: tasks.clone(),
        certificate,
        end: EndRequest::default(),
        metrics,
        notices: Notices::default(),
        ending: CancellationToken::new(),
    });
    let began = Instant::now();
    hub.servers.resume().await?;
    hub.servers.adopt_forgotten().await;
    hub.metrics.took(Work::InitSpawners, began.elapsed());
    hub.servers.keep_watching();
    if config.servers.init_timeout.is_none_or(|limit| !limit.is_zero()) {
        hub.servers.looked_at(config.servers.init_timeout).await;
    }
    // After the servers were taken up: a route that is nobody's is taken away.
    routes.keep_in_step(&tasks);
    culling::keep_culling(&tasks, &hub, routes.clone());
    activity::keep_recording(&tasks, &hub, routes);
    events::keep_writing(&tasks, &hub.current, told);
    sweeping::keep_sweeping(&tasks, &hub);
    roster::keep_watching(&tasks, &hub);
    // After the servers were taken up: none goes on for somebody who is deleted.
    roster::delete_invalid(&tasks, &hub, config);
    metrics::keep_counting(&tasks, &hub);
    let set_up_link = set_up::offer(&hub).await?;
    Ok((Assembled { hub, table, tasks, set_up_link }, requests))
}

impl Assembled {
    /// The hub's pages and API, as the proxy falls back to them.
    pub fn router(&self) -> axum::Router {
        web::public(Arc::clone(&self.hub))
    }

    /// How a proxy in this process is to treat what passes.
    pub fn proxy_config(&self) -> ProxyConfig {
        let mut proxy = ProxyConfig::default();
        // A notebook shares our origin, or at least our domain; it may not speak for
        // it (security C4, C5).
        proxy.reserved_cookies = web::reserved_cookies();
        proxy.guard_origin = true;
        proxy.host_routing = self.hub.paths.subdomains().is_some();
        proxy.trusted_proxies = self.hub.trusted_proxies.clone();
        proxy
    }

    /// What single-user servers may call.
    pub fn private_router(&self) -> axum::Router {
        web::private(Arc::clone(&self.hub))
    }

    /// The routes to running servers; empty when they are in a proxy elsewhere.
    pub fn routes(&self) -> &RouteTable {
        &self.table
    }

    /// The secret link to the first administrator's account with the hub itself, if
    /// nobody can administer the hub yet.
    pub fn set_up_link(&self) -> Option<&str> {
        self.set_up_link.as_deref()
    }

    /// Waits until somebody asks over the REST API that the hub end, and has stopped
    /// what is to end before it.
    pub async fn asked_to_end(&self) {
        ending::asked(&self.hub).await;
    }

    /// Whether so many starts in a row have failed that the hub is to end.
    pub fn has_given_up(&self) -> bool {
        self.hub.servers.hopeless().is_cancelled()
    }

    /// Ends background work and closes the store. User servers keep running.
    pub async fn stop(self) {
        let left = self.tasks.stop(TASKS_GRACE).await;
        if left > 0 {
            tracing::warn!(tasks = left, "background tasks did not end in time");
        }
        self.hub.store.close().await;
    }
}

impl Running {
    /// Where browsers reach the hub. Tests bind port 0 and ask.
    pub fn public_addr(&self) -> SocketAddr {
        self.public.local_addr()
    }

    /// How to have the configuration read again.
    pub fn reload_handle(&self) -> ReloadHandle {
        self.assembled.hub.reload.clone()
    }

    /// Serves until `stop` is cancelled and open requests have ended, or `now`
    /// is. User servers keep running: a restart of the hub is not an outage of
    /// the class.
    ///
    /// Ends by itself when too many starts in a row have failed.
    pub async fn serve(self, stop: CancellationToken, now: CancellationToken) -> Ended {
        let assembled = self.assembled;
        let proxy = Proxy::new(assembled.table.clone(), self.proxy, assembled.router());
        let private = assembled.private_router();
        let grace = self.grace;
        let api_stop = CancellationToken::new();
        let port_80 = self
            .certificate
            .map(|certificate| certificate.answering(RedirectToHttps::new(self.https_port)));
        let ending = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = assembled.asked_to_end() => stop.cancel(),
            }
            assembled.hub.ending.cancel();
        };
        let fronts = async {
            let redirect = async {
                if let (Some(listener), Some(redirect)) = (self.redirect, port_80) {
                    listener.serve(redirect, stop.clone(), grace).await;
                }
            };
            let public = self.public.serve(proxy, stop.clone(), grace);
            let (drained, (), ()) = tokio::join!(public, redirect, ending);
            // Servers may call until the last browser is served.
            api_stop.cancel();
            drained
        };
        let serve = async {
            tokio::join!(
                fronts,
                self.private.serve(private, api_stop.clone(), Duration::from_secs(1))
            )
        };
        let hopeless = assembled.hub.servers.hopeless();
        let gave_up = async {
            hopeless.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        let mut ended = Ended::Asked;
        tokio::select! {
            (drained, _) = serve => tracing::info!(?drained, "the hub has stopped; user servers keep running"),
            () = now.cancelled() => tracing::warn!("stopped at once, with requests open"),
            () = gave_up => ended = Ended::GaveUp,
        }
        assembled.stop().await;
        ended
    }
}

/// The ways to sign in that `config` describes, in the order of the page, but for those
/// that need the store: [`assemble_with`] adds them.
///
/// # Errors
///
/// [`StartupError::Auth`].
pub fn sign_in_methods(config: &Config) -> Result<Vec<Arc<dyn Authenticator>>, StartupError> {
    let mut all: Vec<Arc<dyn Authenticator>> = Vec::new();
    if let Some(github) = &config.auth.github {
        let github = GithubAuthenticator::new(github.clone())
            .map_err(|error| StartupError::Auth(error.into()))?;
        all.push(Arc::new(github));
    }
    if let Some(oidc) = &config.auth.oidc {
        let oidc = OidcAuthenticator::new(oidc.provider.clone(), system_clock())
            .map_err(|error| StartupError::Auth(error.into()))?;
        all.push(Arc::new(oidc));
    }
    if let Some(password) = &config.auth.dummy {
        all.push(Arc::new(DummyAuthenticator::new(Some(password.clone()))));
    }
    Ok(all)
}

/// The same as one value. A hub in which nobody can sign in yet starts all the same.
pub(crate) fn methods(all: Vec<Arc<dyn Authenticator>>) -> Result<Methods, StartupError> {
    match all.is_empty() {
        true => Ok(Methods::default()),
        false => Methods::new(all).map_err(|error| StartupError::Auth(error.into())),
    }
}

fn warn_about_configuration(config: &Config, authenticators: &[Arc<dyn Authenticator>]) {
    let auth = &config.auth;
    if authenticators.is_empty() && auth.local.is_none() && auth.password.is_none() {
        tracing::warn!(
            "no way to sign in is configured; set [auth.github], [auth.oidc], [auth.password] or [auth.local]"
        );
    }
    if config.auth.policy.admits_nobody() {
        tracing::warn!(
            "nobody is allowed to sign in; name people in auth.userlist, auth.allowed_users or auth.admin_users, or groups in the section of a provider"
        );
    }
    if config.proxy.is_some() && config.http.trusted_proxies.is_empty() {
        tracing::warn!(
            "http.trusted_proxies is empty, so every browser seems to be at the proxy's address; name the proxy's address or network there"
        );
    }
    for weakness in config.weaknesses() {
        tracing::warn!("{weakness}");
    }
}
