//! Certificates from an ACME authority (RFC 8555), such as Let's Encrypt:
//! obtained, kept and renewed.
//!
//! [`Acme`] owns no task: its caller runs [`Acme::run`]. The protocol is
//! `instant-acme`'s; when to order, what to keep and how proofs are published is
//! here.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{
    client::Outbound,
    order::Ordering,
    schedule::{Held, Next, Progress},
    storage::{Kept, Storage},
};
use crate::{
    SelfSigned, clock,
    error::chain,
    tls::{TlsKeys, pair::Pair},
};

pub(crate) mod challenges;
mod client;
mod config;
mod error;
mod order;
mod problem;
mod schedule;
mod status;
mod storage;

pub use self::{
    challenges::HttpChallenges,
    config::{
        AcmeChallenge, AcmeConfig, AcmeDirectory, AcmeExternalAccount, InvalidAcmeChallenge,
        InvalidAcmeDirectory,
    },
    error::AcmeError,
    problem::{AcmeCause, AcmeProblem},
    status::{AcmeState, AcmeStatus},
};

/// A certificate that is obtained and renewed by itself. Clones share it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use hub_proxy::{Acme, AcmeConfig, ListenConfig, RedirectToHttps};
///
/// let mut config = AcmeConfig::new(vec!["hub.example.org".to_owned()], "/var/lib/hub/acme");
/// config.agree_tos = true;
/// let acme = Acme::open(config).await?;
/// let mut https = ListenConfig::new("0.0.0.0:443".parse()?);
/// https.tls = Some(acme.keys());
/// let port_80 = RedirectToHttps::new(443).answering(acme.http_challenges());
/// // Serve both, and beside them:
/// acme.run(tokio_util::sync::CancellationToken::new()).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Acme(Arc<Inner>);

struct Inner {
    config: AcmeConfig,
    storage: Storage,
    client: Outbound,
    http: HttpChallenges,
    tls: challenges::TlsChallenges,
    keys: TlsKeys,
    status: watch::Sender<AcmeStatus>,
    /// The moment beyond which a pause after a failure is not to last.
    nudge: watch::Sender<Timestamp>,
}

impl Acme {
    /// Checks the configuration and takes up what is kept. Without a
    /// certificate, [`keys`](Self::keys) has one signed by itself until the first
    /// order is done, so that the port answers.
    ///
    /// The authority is asked only for where its terms are, and only if they are
    /// not agreed to.
    ///
    /// # Errors
    ///
    /// [`AcmeError`] says what to change.
    pub async fn open(mut config: AcmeConfig) -> Result<Self, AcmeError> {
        config.check()?;
        config.domains = config.checked_domains()?;
        let client = Outbound::new(&config)?;
        if !config.agree_tos {
            let asked = client.terms(&config.directory).await.unwrap_or_default();
            let terms = asked.or(config.directory.known_terms().map(str::to_owned));
            return Err(AcmeError::TermsNotAgreed { directory: config.directory, terms });
        }
        let storage = Storage::open(&config.dir, &config.directory)?;
        let (pair, not_after) = match storage.certificate() {
            Kept::Usable(pair) => {
                let not_after = pair.not_after;
                (pair, Some(not_after))
            }
            Kept::Nothing => (stand_in(&config.domains)?, None),
            Kept::Unusable(error) => {
                tracing::warn!(error = %chain(&error), "the kept certificate is not used; a new one is ordered");
                (stand_in(&config.domains)?, None)
            }
        };
        let tls = challenges::TlsChallenges::default();
        let keys = TlsKeys::answering(pair, tls.clone(), &config.offer)
            .map_err(|error| AcmeError::Setup(error.into()))?;
        let (status, _) = watch::channel(AcmeStatus { not_after, state: AcmeState::NotRunning });
        Ok(Self(Arc::new(Inner {
            config,
            storage,
            client,
            http: HttpChallenges::default(),
            tls,
            keys,
            status,
            nudge: watch::Sender::new(Timestamp::MAX),
        })))
    }

    /// What listeners use: always the newest certificate.
    pub fn keys(&self) -> TlsKeys {
        self.0.keys.clone()
    }

    /// The answers for [`AcmeChallenge::Http01`]; see
    /// [`RedirectToHttps::answering`](crate::RedirectToHttps::answering).
    pub fn http_challenges(&self) -> HttpChallenges {
        self.0.http.clone()
    }

    /// How it is doing.
    pub fn status(&self) -> AcmeStatus {
        self.0.status.borrow().clone()
    }

    /// The status after the next change.
    pub async fn status_changed(&self) -> AcmeStatus {
        let mut changes = self.0.status.subscribe();
        // The sender lives as long as this.
        let _ = changes.changed().await;
        changes.borrow_and_update().clone()
    }

    /// Ends a pause after a failure: somebody has done something about it.
    pub fn try_now(&self) {
        self.0.nudge.send_replace(clock::now());
    }

    /// Cuts a pause after a failure short, as somebody may have done something
    /// about it; when the next order will be. Orders stay so far apart that an
    /// authority does not shut its door: a quarter of an hour, when five failed
    /// orders an hour are the least that authorities bear, and as far as before
    /// when it has done so. `None` if nothing failed.
    pub fn try_soon(&self) -> Option<Timestamp> {
        let AcmeState::Failed { failed_at, next_attempt, problem, .. } = self.status().state else {
            return None;
        };
        if problem.cause() == AcmeCause::RateLimited {
            return Some(next_attempt);
        }
        let soon = schedule::soon_after(failed_at).max(clock::now()).min(next_attempt);
        self.0.nudge.send_replace(soon);
        Some(soon)
    }

    /// Orders a certificate when one is needed, and keeps doing so until `stop`
    /// is cancelled (ACME-2). To be run once.
    ///
    /// A certificate is renewed when less than a third of its life is left, which
    /// is looked at about daily. After a failure the old one stays in use, and
    /// the next attempt is after an hour, then two, up to a day.
    ///
    /// # Cancellation
    ///
    /// Safe at any point; nothing half done is kept.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_renewing() => {}
        }
        self.enter(AcmeState::NotRunning);
    }

    async fn keep_renewing(&self) {
        let inner = &*self.0;
        let mut progress = Progress::Smooth;
        let mut nudges = inner.nudge.subscribe();
        loop {
            let now = clock::now();
            match schedule::next(self.held(), progress, now, jitter()) {
                Next::Wait(until) => {
                    if progress == Progress::Smooth {
                        let not_after = inner.keys.not_after();
                        tracing::info!(%not_after, days_left = days_left(not_after, now), "the certificate is good for now");
                        self.enter(AcmeState::Waiting { next_check: until });
                    }
                    tokio::select! {
                        () = sleep_until(until, now) => {}
                        // The sender lives as long as this.
                        Ok(()) = nudges.changed() => {
                            progress = progress.nudged(*nudges.borrow_and_update());
                            self.show(progress);
                        }
                    }
                }
                Next::Order => progress = self.order(progress, &mut nudges).await,
            }
        }
    }

    async fn order(&self, progress: Progress, nudges: &mut watch::Receiver<Timestamp>) -> Progress {
        let inner = &*self.0;
        let config = &inner.config;
        let domains = config.domains.join(", ");
        tracing::info!(domains, directory = %config.directory, challenge = %config.challenge, "ordering a certificate");
        self.enter(AcmeState::Ordering);
        let ordering = Ordering {
            config,
            storage: &inner.storage,
            client: &inner.client,
            http: &inner.http,
            tls: &inner.tls,
        };
        let obtained = ordering.obtain().await;
        // What was wished before was about an earlier failure.
        nudges.mark_unchanged();
        match obtained {
            Ok(pair) => {
                let not_after = pair.not_after;
                tracing::info!(domains, %not_after, "a new certificate is in use");
                inner.keys.replace(pair);
                inner.status.send_modify(|status| status.not_after = Some(not_after));
                Progress::Smooth
            }
            Err(problem) => {
                let progress = progress.failed(clock::now(), jitter());
                self.failed(problem, progress);
                progress
            }
        }
    }

    fn failed(&self, problem: AcmeProblem, progress: Progress) {
        let Progress::Failing { failures, failed_at, retry_at } = progress else { return };
        let advice = problem.advice(self.0.config.challenge);
        let days_left = self.status().not_after.map(|end| days_left(end, clock::now()));
        match days_left {
            Some(days_left) if days_left >= 0 => tracing::warn!(
                %problem, advice, days_left, next_attempt = %retry_at,
                "the certificate was not renewed; the old one stays in use"
            ),
            Some(_) | None => tracing::error!(
                %problem, advice, next_attempt = %retry_at,
                "there is no valid certificate; browsers warn their users"
            ),
        }
        let next_attempt = retry_at;
        self.enter(AcmeState::Failed { failures, failed_at, problem, advice, next_attempt });
    }

    /// Tells another time of the next attempt.
    fn show(&self, progress: Progress) {
        let Progress::Failing { retry_at, .. } = progress else { return };
        self.0.status.send_modify(|status| {
            if let AcmeState::Failed { next_attempt, .. } = &mut status.state {
                *next_attempt = retry_at;
            }
        });
    }

    /// What is in use, unless it only stands in.
    fn held(&self) -> Option<Held> {
        self.status().not_after?;
        let keys = &self.0.keys;
        Some(Held {
            not_before: keys.not_before(),
            not_after: keys.not_after(),
            covers: keys.is_for(&self.0.config.domains),
        })
    }

    fn enter(&self, state: AcmeState) {
        self.0.status.send_modify(|status| status.state = state);
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme")
            .field("config", &self.0.config)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// A certificate until the first real one is there.
fn stand_in(domains: &[String]) -> Result<Pair, AcmeError> {
    let made = SelfSigned::new(domains).map_err(|error| AcmeError::Setup(error.into()))?;
    Pair::of_texts(made.certificate().as_bytes(), made.key().as_bytes(), domains)
        .map_err(|error| AcmeError::Setup(error.into()))
}

async fn sleep_until(until: Timestamp, now: Timestamp) {
    let pause = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    tokio::time::sleep(pause).await;
}

/// Full days; negative after the end.
fn days_left(not_after: Timestamp, now: Timestamp) -> i64 {
    not_after.duration_since(now).as_hours().div_euclid(24)
}

/// From 0 to 1. Without randomness all hubs come at once, which is no reason to
/// fail.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}
