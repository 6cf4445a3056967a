//! One process from its first socket to its end.
//!
//! It serves until it is asked to stop or until another process has taken over.
//! Each of the two ends it in its own way, and there is no way back.

use std::{os::fd::OwnedFd, path::PathBuf, time::Duration};

use rustix::process::Signal;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Exit, ProgramError,
    access::{AccessWriter, Destination},
    counted::Counted,
    endpoint::{Endpoint, Host},
    https::TlsFiles,
    metrics::MetricsPage,
    open_files,
    pid_file::PidFile,
    serving::Serving,
    settings::Settings,
    signals::{Signals, Wish},
    snapshot::{Snapshot, tell, write_routes},
    sockets::Sockets,
    successor::{Recipe, Successor, reap},
    token_file::TokenFile,
    upgrade_socket::UpgradeSocket,
};
use crate::{
    AccessLog, Certificate, HealthCheck, Listener, LogWriter, Proxy, RedirectToHttps, RouteTable,
    RouteTimings, TargetTls, TlsKeys,
    admin::{AdminApi, Registry, Vitals},
    error::chain,
    handover::{Given, Link, OfferedSocket, Predecessor, SocketLabel, TakeError, give},
};

/// A process that serves.
#[derive(Debug)]
pub(super) struct Running {
    settings: Settings,
    registry: Registry,
    vitals: Vitals,
    certificate: Option<Certificate>,
    api_certificate: Option<Certificate>,
    api: AdminApi,
    serving: Serving,
    /// To be handed over.
    sockets: Vec<(SocketLabel, OwnedFd)>,
    signals: Signals,
    draining: CancellationToken,
    recipe: Recipe,
    upgrades: UpgradeSocket,
    /// Tasks that end by themselves when what they follow is gone.
    followers: TaskTracker,
    access: Option<AccessWriter>,
    _pid_file: Option<PidFile>,
}

/// Why a process ceases to serve.
enum End {
    Stop(&'static str),
    TakenOver { given: Given, successor: Option<Successor> },
}

impl Running {
    /// Listens, at the sockets of a supervisor if there are any, takes over if
    /// there is somebody to take over from, and serves.
    pub(super) async fn start(
        settings: Settings,
        given: Vec<OfferedSocket>,
        log: LogWriter,
        version: &'static str,
    ) -> Result<Self, ProgramError> {
        let mut signals = Signals::install().map_err(ProgramError::Runtime)?;
        let (upgrade, drain) = (&settings.upgrade, settings.drain.timeout);
        let stays = upgrade.stay_as_init;
        let recipe = Recipe::of_this_process(upgrade.binary.clone(), stays, drain)
            .map_err(ProgramError::Runtime)?;
        let certificate = match &settings.https {
            Some(https) => Some(https.open().await?),
            None => None,
        };
        let api_keys = settings.api_https.as_ref().map(TlsFiles::load).transpose();
        let api_keys = api_keys.map_err(ProgramError::ApiTls)?;
        let api_certificate = api_keys.map(Certificate::Files);
        let certificates = [&certificate, &api_certificate].into_iter().flatten();
        for warning in certificates.flat_map(Certificate::warnings) {
            tracing::warn!("{warning}");
        }
        let keys = [&certificate, &api_certificate].map(|one| one.as_ref().map(Certificate::keys));
        let mut predecessor = match &settings.upgrade.from {
            Some(path) => Some(Predecessor::find(path)?),
            None => None,
        };
        let kept = match (&settings.snapshot, &predecessor) {
            (Some(snapshot), None) => snapshot.read()?,
            // Who is taken over from knows better.
            _ => None,
        };
        let mut offered = given;
        if let Some(predecessor) = &mut predecessor {
            offered.extend(unless_stopped(&mut signals, predecessor.sockets(version)).await?);
        }
        let (access_log, access) = open_access_log(&settings)?.unzip();
        let clients = open_files::raise();
        let sockets = Sockets::open(&settings, clients, keys, offered).await?;
        let duplicates = sockets.duplicate().map_err(ProgramError::Runtime)?;

        let table = RouteTable::default();
        let registry = Registry::new(table.clone(), settings.proxy.host_routing);
        let draining = CancellationToken::new();
        let vitals = Vitals::new(version, draining.clone(), sockets.traffic())
            .with_certificate(certificate.clone());
        if let (Some(snapshot), Some(kept)) = (&settings.snapshot, kept) {
            snapshot.restore(kept, &registry)?;
        }
        match (&mut predecessor, &settings.default_target) {
            (Some(predecessor), _) => {
                let handed = unless_stopped(&mut signals, predecessor.routes()).await?;
                registry.take_over(handed.table)?;
                vitals.inherit(handed.tally);
            }
            (None, Some(target)) => {
                registry.preset("/".parse().expect("the root is a prefix"), target.clone());
            }
            (None, None) => {}
        }
        write_routes(&settings, Snapshot::write, &registry)?;
        let api = AdminApi::new(registry.clone(), settings.token.clone(), vitals.clone());
        let mut proxying = settings.proxy.clone();
        proxying.access_log = access_log;
        proxying.pool_idle_total = open_files::kept(clients);
        let numbers = match &settings.metrics {
            Some(_) => {
                let timings = proxying.timings.insert(RouteTimings::default()).clone();
                let meters = proxying.meters.clone().unwrap_or_default();
                let (registry, vitals) = (registry.clone(), vitals.clone());
                let page = MetricsPage::install(version, log, registry, vitals, timings, meters);
                Some(page.map_err(ProgramError::Runtime)?)
            }
            None => None,
        };
        let proxy = Proxy::new(table, proxying, settings.pages.clone());
        announce(&settings, &sockets);
        let mut serving = Serving::default();
        let counts = numbers.is_some();
        let public = HealthCheck::new(proxy, draining.clone());
        let public = Counted::public(public, settings.proxy.meters.clone());
        serving.public.serve(sockets.public, &public);
        serving.api.serve(sockets.api, &Counted::api(api.clone(), counts));
        if let Some(numbers) = &numbers {
            serving.api.serve(sockets.metrics, numbers);
        }
        if let (Some(redirect), Some(to)) = (&settings.redirect, sockets.redirect_to) {
            let service = RedirectToHttps::new(to);
            let service = match redirect.keeps_method {
                true => service,
                false => service.moved_permanently(),
            };
            let service = match &certificate {
                Some(certificate) => certificate.answering(service),
                None => service,
            };
            serving.public.serve(sockets.redirect, &service);
        }

        let followers = TaskTracker::new();
        let takes_over = predecessor.is_some();
        if let Some(mut predecessor) = predecessor {
            predecessor.release().await?;
            followers.spawn(predecessor.follow(registry.clone(), vitals.clone()));
        }
        // Only who serves is who others should turn to. And then there is no way
        // back: the predecessor has left.
        let signs = put_up_signs(&settings);
        let (_pid_file, upgrades) = match signs {
            Ok(signs) => signs,
            Err(error) if takes_over => {
                tracing::error!(error = %chain(&error), "others will not find this process");
                (None, UpgradeSocket::none())
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            settings,
            registry,
            vitals,
            certificate,
            api_certificate,
            api,
            serving,
            sockets: duplicates,
            signals,
            draining,
            recipe,
            upgrades,
            followers,
            access,
            _pid_file,
        })
    }

    /// Serves to the end of the process.
    pub(super) async fn run(mut self) -> Exit {
        let end = self.serve().await;
        let access = self.access.take();
        let exit = match end {
            End::Stop(signal) => self.stop(signal).await,
            End::TakenOver { given, successor } => {
                self.leave(given, successor, access.as_ref()).await
            }
        };
        if let Some(access) = access {
            access.finish().await;
        }
        exit
    }

    async fn serve(&mut self) -> End {
        // Both end with this function: whoever takes over goes on with them.
        let mut kept_fresh = std::pin::pin!(keep_fresh(self.certificate.clone()));
        let mut api_kept_fresh = std::pin::pin!(keep_fresh(self.api_certificate.clone()));
        let target_tls = self.settings.proxy.target_tls.clone();
        let mut targets_kept_fresh = std::pin::pin!(async {
            match &target_tls {
                Some(tls) => tls.keep_watching(CancellationToken::new()).await,
                None => std::future::pending().await,
            }
        });
        let (snapshot, registry) = (self.settings.snapshot.clone(), self.registry.clone());
        let mut routes_kept = std::pin::pin!(async {
            match &snapshot {
                Some(snapshot) => snapshot.keep_fresh(&registry).await,
                None => std::future::pending().await,
            }
        });
        let api = self.api.clone();
        let token_file = self.settings.token_file.take();
        let mut token_kept_fresh = std::pin::pin!(async {
            match &token_file {
                Some(file) => file.keep_fresh(&api).await,
                None => std::future::pending().await,
            }
        });
        loop {
            tokio::select! {
                () = &mut kept_fresh => {}
                () = &mut api_kept_fresh => {}
                () = &mut targets_kept_fresh => {}
                () = &mut routes_kept => {}
                () = &mut token_kept_fresh => {}
                wish = self.signals.next() => match wish {
                    Wish::Stop(signal) => return End::Stop(signal),
                    Wish::Reload => {
                        reload_token(token_file.as_ref(), &api);
                        reload(self.certificate.as_ref());
                        reload(self.api_certificate.as_ref());
                        reload_towards_targets(target_tls.as_ref());
                        self.access.as_ref().inspect(|access| access.reopen());
                    }
                    Wish::Reap => { reap(None); }
                    Wish::Upgrade => if let Some(end) = self.upgrade().await {
                        return end;
                    }
                },
                stream = self.upgrades.accept() => {
                    if let Some(end) = self.give(Link::new(stream), None).await {
                        return end;
                    }
                }
            }
        }
    }

    /// Starts a successor; `None` if it did not take over.
    async fn upgrade(&mut self) -> Option<End> {
        tracing::info!("Handing over to {}", self.recipe.program().display());
        let started =
            Link::pair().and_then(|(ours, theirs)| Ok((ours, self.recipe.start(theirs)?)));
        match started {
            Ok((link, successor)) => self.give(link, Some(successor)).await,
            Err(error) => {
                tracing::error!(%error, "no new process could be started; this one goes on");
                None
            }
        }
    }

    async fn give(&mut self, link: Link, successor: Option<Successor>) -> Option<End> {
        let given = tokio::select! {
            given = give(link, &self.sockets, &self.registry, &self.vitals) => given,
            signal = self.signals.stop() => {
                successor.inspect(|successor| successor.kill());
                return Some(End::Stop(signal));
            }
        };
        match given {
            Ok(given) => Some(End::TakenOver { given, successor }),
            Err(error) => {
                successor.inspect(|successor| successor.kill());
                tracing::error!(error = %chain(&error), "nobody took over; this process goes on");
                None
            }
        }
    }

    /// Ends because somebody wants it (D-01 to D-06).
    async fn stop(mut self, signal: &'static str) -> Exit {
        let drain = &self.settings.drain;
        let (delay, timeout) = (drain.delay, drain.timeout);
        tracing::warn!(
            "{signal}: draining; connections are accepted for {} s more, and what is open then \
             has {} s",
            delay.as_secs(),
            timeout.as_secs(),
        );
        self.draining.cancel();
        // Nobody would be answered there.
        self.upgrades.remove();
        let mut hurry = false;
        if !delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = self.signals.stop() => hurry = true,
            }
        }
        self.api.refuse_changes();
        // Whoever gets the API's address next begins with these.
        tell(write_routes(&self.settings, Snapshot::write, &self.registry));
        // The handles to hand over would keep the sockets listening.
        self.sockets.clear();
        self.serving.stop();
        let cutter = self.serving.cutter();
        if hurry {
            cutter.cancel();
        }
        let signals = &mut self.signals;
        let limit = async {
            tokio::select! {
                () = tokio::time::sleep(timeout) => {}
                _ = signals.stop() => {}
            }
            cutter.cancel();
            std::future::pending::<std::convert::Infallible>().await
        };
        let cut = tokio::select! {
            cut = self.serving.drained() => cut,
            never = limit => match never {},
        };
        // With the last uses.
        tell(write_routes(&self.settings, Snapshot::write_if_ours, &self.registry));
        match cut {
            0 if self.settings.drain.compat_exit => Exit::Cut,
            0 => Exit::Drained,
            cut => {
                tracing::warn!("{cut} connections were cut");
                Exit::Cut
            }
        }
    }

    /// Ends because another process serves: open connections go on here. As
    /// init, stays as long as that process, for it is our child.
    async fn leave(
        mut self,
        given: Given,
        successor: Option<Successor>,
        access: Option<&AccessWriter>,
    ) -> Exit {
        // No word of draining: whoever asks for our health wants to know whether
        // the address is served.
        self.serving.release();
        tracing::info!("Process {} serves now; open connections go on here", given.pid);
        // The successor has replaced the file.
        self.upgrades = UpgradeSocket::none();
        // As above: the sockets are the other process's now.
        self.sockets.clear();
        let stays = successor.filter(|_| self.settings.upgrade.stay_as_init);
        let timeout = self.settings.drain.timeout;
        let cutter = self.serving.cutter();
        let mut deadline = Deadline::after(self.settings.drain.upgrade_timeout);
        let Self { registry, vitals, mut serving, mut signals, followers, .. } = self;
        followers.close();
        let drained = CancellationToken::new();
        let mut drain = std::pin::pin!(async {
            let cut = serving.drained().await;
            // What our own predecessor reports goes through us.
            tokio::select! {
                () = followers.wait() => {}
                () = cutter.cancelled() => {}
            }
            drained.cancel();
            cut
        });
        let mut report = std::pin::pin!(given.report(&registry, &vitals, &drained));
        let (mut cut, mut is_reported, mut is_urged) = (None, false, false);
        // Signals that came during the hand-over were not looked at.
        if let Some(code) = reap(stays) {
            return Exit::Code(code);
        }
        loop {
            if let (Some(cut), true, None) = (cut, is_reported, stays) {
                tracing::info!("All connections have ended");
                return if cut == 0 { Exit::Drained } else { Exit::Cut };
            }
            tokio::select! {
                counted = &mut drain, if cut.is_none() => cut = Some(counted),
                () = &mut report, if !is_reported => {
                    // Unless all is done here, whoever took over has ended;
                    // nobody should outlive it long.
                    is_reported = true;
                    deadline.at_most(timeout);
                }
                () = deadline.passed() => cutter.cancel(),
                wish = signals.next() => match (wish, stays) {
                    (Wish::Reap, _) => if let Some(code) = reap(stays) {
                        return Exit::Code(code);
                    }
                    (Wish::Stop(_), Some(successor)) => {
                        successor.signal(Signal::TERM);
                        deadline.at_most(timeout);
                    }
                    (Wish::Reload, Some(successor)) => {
                        // What is open here will be in it, too.
                        access.inspect(|access| access.reopen());
                        successor.signal(Signal::HUP);
                    }
                    (Wish::Upgrade, Some(successor)) => successor.signal(Signal::USR2),
                    (Wish::Stop(_), None) if is_urged => cutter.cancel(),
                    (Wish::Stop(signal), None) => {
                        is_urged = true;
                        let seconds = timeout.as_secs();
                        tracing::warn!("{signal}: open connections have {seconds} s to end");
                        deadline.at_most(timeout);
                    }
                    (Wish::Reload | Wish::Upgrade, None) => {
                        access.inspect(|access| access.reopen());
                        tracing::warn!("this process only ends what it began; ask the new one");
                    }
                },
            }
        }
    }
}

/// What the predecessor says, unless we are asked to end before.
async fn unless_stopped<T>(
    signals: &mut Signals,
    said: impl Future<Output = Result<T, TakeError>>,
) -> Result<T, ProgramError> {
    tokio::select! {
        said = said => Ok(said?),
        signal = signals.stop() => Err(ProgramError::Stopped(signal)),
    }
}

/// When waiting ends, if ever.
struct Deadline(Option<tokio::time::Instant>);

impl Deadline {
    fn after(time: Option<Duration>) -> Self {
        Self(time.and_then(|time| tokio::time::Instant::now().checked_add(time)))
    }

    /// Makes it no later than so long from now.
    fn at_most(&mut self, time: Duration) {
        let Some(at) = tokio::time::Instant::now().checked_add(time) else { return };
        self.0 = Some(self.0.map_or(at, |earlier| earlier.min(at)));
    }

    /// Ready once, when it has passed.
    async fn passed(&mut self) {
        match self.0 {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
        self.0 = None;
    }
}

/// Begins the access log, if there is to be one.
fn open_access_log(settings: &Settings) -> Result<Option<(AccessLog, AccessWriter)>, ProgramError> {
    let Some(to) = &settings.access_log else { return Ok(None) };
    let started = AccessWriter::start(to, settings.log_format, settings.proxy.meters.clone());
    started.map(Some).map_err(|source| match to {
        Destination::File(path) => {
            ProgramError::File { flag: "--access-log", path: path.clone(), source }
        }
        Destination::Stdout | Destination::Stderr => ProgramError::Runtime(source),
    })
}

/// Says in files who serves.
fn put_up_signs(settings: &Settings) -> Result<(Option<PidFile>, UpgradeSocket), ProgramError> {
    let failed = |flag, path: &PathBuf, source| {
        let path = path.clone();
        ProgramError::File { flag, path, source }
    };
    let pid_file = match &settings.pid_file {
        Some(path) => {
            Some(PidFile::write(path).map_err(|error| failed("--pid-file", path, error))?)
        }
        None => None,
    };
    let upgrades = match &settings.upgrade.socket {
        Some(path) => {
            UpgradeSocket::listen(path).map_err(|error| failed("--upgrade-socket", path, error))?
        }
        None => UpgradeSocket::none(),
    };
    Ok((pid_file, upgrades))
}

fn reload_token(file: Option<&TokenFile>, api: &AdminApi) {
    if let Some(Err(error)) = file.map(|file| file.take_up(api)) {
        tracing::error!(%error, "the REST API's token was not replaced; the old one stays");
    }
}

async fn keep_fresh(certificate: Option<Certificate>) {
    match certificate {
        Some(certificate) => certificate.keep_fresh(CancellationToken::new()).await,
        None => std::future::pending().await,
    }
}

fn reload(certificate: Option<&Certificate>) {
    let Some(certificate) = certificate else { return };
    if let Some(next_attempt) = certificate.try_soon() {
        tracing::info!(%next_attempt, "The order that failed is tried again");
    }
    match certificate.files().map(TlsKeys::reload) {
        None => {}
        Some(Ok(())) => tracing::info!("Certificate and key were read again"),
        Some(Err(error)) => {
            tracing::error!(error = %chain(&error), "the certificate was not replaced; the old one stays");
        }
    }
}

fn reload_towards_targets(tls: Option<&TargetTls>) {
    match tls.map(TargetTls::reload) {
        None => {}
        Some(Ok(())) => tracing::info!("Certificates towards targets were read again"),
        Some(Err(error)) => {
            tracing::error!(error = %chain(&error), "the certificates towards targets were not replaced; the old ones stay");
        }
    }
}

/// The lines that others wait for (G-02).
fn announce(settings: &Settings, sockets: &Sockets) {
    let public = shown(&settings.public, &sockets.public);
    let scheme = if settings.https.is_some() { "https" } else { "http" };
    let target = settings.default_target.as_ref().map(ToString::to_string);
    let target = target.as_deref().unwrap_or("(no default)");
    tracing::info!("Proxying {scheme}://{public} to {target}");
    let api = shown(&settings.api, &sockets.api);
    let scheme = if settings.api_https.is_some() { "https" } else { "http" };
    tracing::info!("Proxy API at {scheme}://{api}/api/routes");
    if settings.token.is_none() {
        tracing::warn!("REST API is not authenticated.");
    }
    if let Some(metrics) = &settings.metrics {
        let at = shown(metrics, &sockets.metrics);
        tracing::info!("Metrics at http://{at}/metrics");
    }
    if let (Some(redirect), Some(to)) = (&settings.redirect, sockets.redirect_to) {
        let from = shown(&redirect.from, &sockets.redirect);
        tracing::info!("Added HTTP to HTTPS redirection from {from} to {to}");
    }
}

/// Where somebody listens, as configurable-http-proxy writes it.
fn shown(endpoint: &Endpoint, listeners: &[Listener]) -> String {
    let Some(listener) = listeners.first() else { return String::new() };
    match (listener.path(), listener.local_addr(), endpoint) {
        (Some(path), ..) => path.display().to_string(),
        (None, addr, Endpoint::Tcp { host: Host::Any, .. }) if addr.ip().is_unspecified() => {
            format!("*:{}", addr.port())
        }
        (None, addr, _) => addr.to_string(),
    }
}
