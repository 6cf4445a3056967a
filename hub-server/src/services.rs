//! The services of this hub: those of its configuration, and those that were added
//! while it ran.
//!
//! Services of the configuration come and go with it; those that were added by
//! request are remembered by the store. A service with an address gets a route, one
//! with a command gets a process.

mod account;
mod program;
mod remember;
mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use hub_auth::ApiToken;
use hub_spawner::ServiceFacts;
use hub_store::{Store, StoreError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::program::{Program, Recipe};
pub(crate) use self::remember::{forget_others, remember};
use crate::{
    config::{Config, Described, ServiceConfig, ServiceSpec},
    routes::Routes,
    tasks::Tasks,
    web::paths::Paths,
};

/// Every service. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    shared: Arc<Shared>,
}

/// One service.
#[derive(Debug)]
pub(crate) struct Service {
    /// What it is; one that the hub runs has a token.
    pub(crate) config: ServiceConfig,
    /// Whether it is of the configuration.
    pub(crate) from_config: bool,
    /// Whether nobody gave its token.
    pub(crate) token_was_made: bool,
}

/// How services find the hub, and what they are given.
#[derive(Clone, Debug)]
pub(crate) struct ServiceLinks {
    /// The hub's URL space.
    pub(crate) paths: Paths,
    /// The API as seen from this machine, without a slash at the end.
    pub(crate) api_url: String,
    /// What people write to reach the hub, if it is configured.
    pub(crate) public_url: Option<Url>,
    /// Variables of the hub's own environment that they are given.
    pub(crate) inherited: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Shared {
    routes: Routes,
    tasks: Tasks,
    links: ServiceLinks,
    known: ArcSwap<BTreeMap<String, Arc<Service>>>,
    /// The tokens that nobody gave, by service; they live as long as the hub.
    made: Mutex<BTreeMap<String, ApiToken>>,
    /// What is going on for each service.
    activities: Mutex<BTreeMap<String, Activity>>,
    /// One permit: changes come one after the other.
    changes: Semaphore,
}

/// What is going on for a service.
#[derive(Debug, Default)]
struct Activity {
    program: Option<Program>,
    /// Ends the wait for its first answer.
    waiting: Option<CancellationToken>,
}

impl Services {
    /// No service yet; each that comes is reached over `routes`.
    pub(crate) fn new(routes: Routes, tasks: Tasks, links: ServiceLinks) -> Self {
        let shared = Shared {
            routes,
            tasks,
            links,
            known: ArcSwap::default(),
            made: Mutex::default(),
            activities: Mutex::default(),
            changes: Semaphore::new(1),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The service of that name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Service>> {
        self.shared.known.load().get(name).cloned()
    }

    /// All of them as they are now: another value after every change.
    pub(crate) fn snapshot(&self) -> Arc<BTreeMap<String, Arc<Service>>> {
        self.shared.known.load_full()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Service>> {
        self.shared.known.load().values().cloned().collect()
    }

    /// The process id of a service that the hub runs; `None` while it does not run.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        lock(&self.shared.activities).get(name)?.program.as_ref()?.pid()
    }

    /// Whoever holds this is the only one who changes services.
    ///
    /// # Errors
    ///
    /// None: the semaphore is never closed.
    pub(crate) async fn begin_change(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.changes.acquire().await.ok()
    }

    /// What there is to be by `config` and by the store. Nothing happens yet.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn plan(
        &self,
        config: &Config,
        store: &Store,
    ) -> Result<Vec<Service>, StoreError> {
        let mut planned: Vec<Service> =
            config.services.iter().map(|service| self.configured(service)).collect();
        for record in store.services().list().await? {
            let of_config = config.services.iter();
            match added(record.spec) {
                Ok(service) => match service.is_new_among(of_config) {
                    Ok(()) => planned.push(Service {
                        config: service,
                        from_config: false,
                        token_was_made: false,
                    }),
                    Err(error) => tracing::error!(
                        service = %record.name,
                        "a service that was added by request is left out, since it is in the way of the configuration's: {error}"
                    ),
                },
                Err(error) => tracing::error!(
                    service = %record.name,
                    "a service that was added by request cannot be used any more: {error}"
                ),
            }
        }
        Ok(planned)
    }

    /// The service with a token in any case, if the hub runs it.
    fn configured(&self, service: &ServiceConfig) -> Service {
        let mut config = service.clone();
        let token_was_made = config.is_managed() && config.api_token.is_none();
        if token_was_made {
            let mut made = lock(&self.shared.made);
            let token = made.entry(config.name.clone()).or_insert_with(ApiToken::generate);
            config.api_token = Some(token.clone());
        }
        Service { config, from_config: true, token_was_made }
    }

    /// Makes `planned` the services there are: routes and processes follow. What has
    /// not changed is left alone.
    pub(crate) fn adopt(&self, planned: Vec<Service>) {
        let planned: BTreeMap<String, Arc<Service>> = planned
            .into_iter()
            .map(|service| (service.config.name.clone(), Arc::new(service)))
            .collect();
        let before = self.shared.known.swap(Arc::new(planned.clone()));
        let names: BTreeSet<&String> = before.keys().chain(planned.keys()).collect();
        for name in names {
            self.follow(name, before.get(name).map(Arc::as_ref), planned.get(name));
        }
    }

    /// Adds a service while the hub runs.
    pub(crate) fn add(&self, service: Service) {
        let service = Arc::new(service);
        let name = service.config.name.clone();
        self.shared.known.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            known.insert(name.clone(), Arc::clone(&service));
            known
        });
        self.follow(&name, None, Some(&service));
    }

    /// Takes a service away while the hub runs.
    pub(crate) fn remove(&self, name: &str) {
        let before = self.shared.known.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            known.remove(name);
            known
        });
        self.follow(name, before.get(name).map(Arc::as_ref), None);
    }

    /// Lets routes and processes follow from what a service was and is to be.
    fn follow(&self, name: &str, before: Option<&Service>, after: Option<&Arc<Service>>) {
        let shared = &*self.shared;
        let url = |service: &Service| service.config.url.clone();
        let (old_url, new_url) = (before.and_then(url), after.and_then(|one| url(one)));
        let old_recipe = before.and_then(|service| shared.recipe(service));
        let new_recipe = after.and_then(|service| shared.recipe(service));
        let is_same_program = match (&old_recipe, &new_recipe) {
            (Some(old), Some(new)) => old.is_same(new),
            (None, None) => true,
            _ => false,
        };
        if old_url == new_url && is_same_program {
            return;
        }
        let mut activities = lock(&shared.activities);
        let activity = activities.entry(name.to_owned()).or_default();
        if let Some(waiting) = activity.waiting.take() {
            waiting.cancel();
        }
        match &new_url {
            Some(url) => shared.routes.change_service(name, url),
            None if old_url.is_some() => shared.routes.remove_service(name),
            None => {}
        }
        if !is_same_program {
            // The new one waits for the end of the old one: they may want the same port.
            let old = activity.program.take().map(Program::stop);
            activity.program = new_recipe.map(|recipe| Program::start(&shared.tasks, recipe, old));
        }
        if let (Some(url), Some(service)) = (new_url, after) {
            let prefix = shared.links.paths.service_prefix(name);
            activity.waiting =
                Some(waiting::begin(&shared.tasks, name, url, &prefix, service.config.timeout));
        }
        if after.is_none() {
            activities.remove(name);
            tracing::info!(service = %name, "service removed");
        }
    }
}

impl Service {
    /// A service that was added by request.
    pub(crate) fn by_request(config: ServiceConfig) -> Self {
        Self { config, from_config: false, token_was_made: false }
    }

    /// Where its visitors come back to.
    pub(crate) fn redirect_uri(&self, paths: &Paths) -> String {
        match &self.config.oauth_redirect_uri {
            Some(uri) => uri.clone(),
            None => paths.service_callback(&self.config.name),
        }
    }

    /// Its address as it was given, without a slash at the end.
    pub(crate) fn url(&self) -> Option<&str> {
        self.config.url.as_ref().map(|url| url.as_str().trim_end_matches('/'))
    }
}

impl Shared {
    /// How the service's program is run, if the hub runs it.
    fn recipe(&self, service: &Service) -> Option<Recipe> {
        let config = &service.config;
        let token = config.api_token.as_ref().filter(|_| config.is_managed())?;
        let paths = &self.links.paths;
        let public = |path: &str| match &self.links.public_url {
            Some(url) => paths.absolute(Some(url), path),
            None => String::new(),
        };
        let prefix = config.url.as_ref().map(|_| paths.service_prefix(&config.name));
        let address = config.url.as_ref().map(|_| paths.service(&config.name));
        let facts = ServiceFacts {
            name: config.name.clone(),
            api_token: token.expose().into(),
            api_url: self.links.api_url.clone(),
            base_url: paths.base().to_owned(),
            client_id: config.oauth_client_id.clone(),
            oauth_callback: match config.is_oauth_client() {
                true => service.redirect_uri(paths),
                false => String::new(),
            },
            client_allowed_scopes: config
                .oauth_client_allowed_scopes
                .iter()
                .map(ToString::to_string)
                .collect(),
            url: service.url().map(str::to_owned),
            host: paths.origin(self.links.public_url.as_ref()),
            public_url: address.as_deref().map(public).unwrap_or_default(),
            prefix,
            public_hub_url: public(&paths.hub()),
        };
        Some(Recipe {
            name: config.name.clone(),
            command: config.command.clone(),
            inherited: self.links.inherited.clone(),
            environment: config.environment.clone().into_iter().chain(facts.variables()).collect(),
            cwd: config.cwd.clone(),
            user: config.user.clone(),
            grace: program::GRACE,
        })
    }
}

/// What the store remembers of a service that was added by request. Rights that are
/// no longer defined are no reason to lose it.
fn added(spec: serde_json::Value) -> Result<ServiceConfig, String> {
    let spec: ServiceSpec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
    spec.check(Described::ByRequest, Path::new("."), None).map_err(|error| error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
