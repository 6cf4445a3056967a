//! Taking up a changed configuration while the hub runs (CFG-1).
//!
//! One task owns the [`Reloader`] and serves whoever asks: a signal, the REST API,
//! and its own look at the files. A reload first builds everything that is to
//! change; only when all of it stands are the old parts replaced, each by one
//! pointer. What cannot change without a restart keeps its value, and is reported.

mod files;
mod report;
mod watch;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use hub_proxy::{Certificate, TlsKeys};

use self::files::Contents;
pub use self::report::{Outcome, Report};
pub use self::watch::ReloadHandle;
pub(crate) use self::watch::{Requests, channel};
use crate::{
    accounts::{self, set_up},
    config::{ConfigError, Loaded, Sources, TlsSource, key::Applies},
    hub::Hub,
    live::Live,
    logging, roster,
    startup::{self, Backend},
    tasks::Tasks,
    web::render::Render,
};

/// The running hub's configuration, and how to replace it.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) hub: Arc<Hub>,
    pub(crate) sources: Sources,
    /// What the hub runs on now.
    pub(crate) running: Loaded,
    pub(crate) backend: Backend,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) log: logging::Handle,
}

impl Reloader {
    /// Serves requests and looks at the files, until the hub stops.
    pub(crate) fn keep_reloading(self, tasks: &Tasks, requests: Requests) {
        tasks.spawn(|stop| watch::run(self, requests, stop));
    }

    /// Whether only the certificate's files have changed. They have a watcher of
    /// their own, which a mistake in the rest of the configuration does not stop.
    fn is_about_certificate(&self, changed: &BTreeSet<PathBuf>) -> bool {
        let Some(TlsSource::Files(files)) = &self.running.config.http.tls else { return false };
        changed.iter().all(|path| [&files.certificate, &files.key].contains(&path))
    }

    /// Reads everything again. `before` and `now` are what the files held when the
    /// running configuration was read, and hold now.
    async fn reload(&mut self, before: &Contents, now: &Contents) -> Report {
        let report = match self.replace(before, now).await {
            Ok(report) => report,
            Err(errors) => Report::refused(errors),
        };
        report.log();
        report
    }

    async fn replace(&mut self, before: &Contents, now: &Contents) -> Result<Report, Vec<String>> {
        let sources = self.sources.clone();
        let running = self.running.clone();
        let read = tokio::task::spawn_blocking(move || {
            let wanted = sources.load()?;
            let next = wanted.keeping(&running, Applies::Restart)?;
            Ok::<_, ConfigError>((wanted, next))
        });
        let (wanted, next) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Err(error.each().iter().map(ToString::to_string).collect()),
            Err(error) => {
                return Err(vec![format!("the configuration could not be read: {error}")]);
            }
        };
        let config = &next.config;

        // Build: each step may fail, none is seen by anybody.
        let mut errors = Vec::new();
        let render = Render::load(config.templates.as_deref());
        let render = kept(render, "pages.templates", &mut errors);
        let live = self.hub.live();
        let Hub { accounts, clock, .. } = &*self.hub;
        let methods = startup::sign_in_methods(config)
            .and_then(|all| accounts::with_local(all, config, accounts, clock, Some(&live)))
            .and_then(startup::methods);
        let methods = methods.map_err(|error| errors.push(crate::chain(&error))).ok();
        let adoption = self.backend.plan(&config.spawner);
        let adoption = adoption.map_err(|error| errors.push(crate::chain(&error))).ok();
        let tls = self.certificate.as_ref().and_then(Certificate::files);
        let keys = tls.map(TlsKeys::read_again).transpose();
        let keys = kept(keys, "http.tls", &mut errors);
        let filter = kept(logging::filter(&config.log), "log.level", &mut errors);
        let (Some(render), Some(methods), Some(adopt), Some(keys), Some(filter)) =
            (render, methods, adoption, keys, filter)
        else {
            return Err(errors);
        };
        let services = &self.hub.services;
        let _change = services.begin_change().await;
        let planned = services.plan(config, &self.hub.store).await;
        let planned = planned.map_err(|error| vec![format!("store: {}", crate::chain(&error))])?;
        // As they are now: groups change below, all else after that.
        let limits = self.hub.servers.limits().await;
        // May be repeated, so that a failure here is made up for by the next try.
        let Hub { paths, store, clock, .. } = &*self.hub;
        roster::remember(config, &planned, paths, store, &**clock)
            .await
            .map_err(|error| vec![format!("store: {}", crate::chain(&error))])?;

        // Replace: nothing can fail any more.
        adopt();
        if let (Some(tls), Some(keys)) = (tls, keys) {
            tls.adopt(keys);
        }
        if let Some(certificate) = &self.certificate {
            certificate.try_soon();
        }
        self.log.set(filter);
        self.hub.current.set(Live::new(config, methods, render));
        services.adopt(planned);
        let is_new = config.auth.local.is_some() && self.running.config.auth.local.is_none();
        if is_new {
            match set_up::offer(&self.hub).await {
                Ok(link) => set_up::tell(link.as_deref()),
                Err(error) => tracing::warn!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "no link for the first administrator could be made; the next start tries again"
                ),
            }
        }
        self.hub.servers.renew_limits(&limits).await;
        let report = Report::new(&self.running, &wanted, &next, before.differing(now));
        self.running = next;
        Ok(report)
    }
}

/// The value, or its error among `errors`.
fn kept<T, E: std::error::Error + 'static>(
    result: Result<T, E>,
    key: &str,
    errors: &mut Vec<String>,
) -> Option<T> {
    result.map_err(|error| errors.push(format!("{key}: {}", crate::chain(&error)))).ok()
}
