//! One task per server: performs effects, reports events.
//!
//! The task owns the [`Phase`] and at most one job, the future that performs the
//! present effect. A new effect replaces the job: dropping a future is how a
//! start is cancelled.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use hub_names::ServerKey;
use hub_spawner::{Health, OnUnhealthy, SavedState};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    ServersError, Shared,
    admission::{Crowded, Place},
    launch,
    outcome::{Culled, Failure, Outcome},
    phase::{Effect, Event, Phase},
    view::View,
};
use crate::{events::Action, metrics::SpawnEnd};

/// What the rest of the hub asks of a worker.
#[derive(Debug)]
pub(super) enum Command {
    /// Begin a start.
    Start { options: Option<Value>, reply: oneshot::Sender<Result<(), ServersError>> },
    /// Begin a stop.
    Stop { reply: oneshot::Sender<()> },
    /// Begin a stop of a server that nobody uses, if it is up since `since`.
    Cull { since: Timestamp, culled: Culled },
    /// Something may have happened: look now.
    Look,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    key: ServerKey,
    phase: Phase,
    inbox: mpsc::UnboundedReceiver<Command>,
    view: watch::Sender<View>,
    job: Option<BoxFuture<'static, Event>>,
    next_look: Instant,
    /// Something may have happened since the last look began.
    look_again: bool,
    /// The options of the start under way.
    options: Option<Value>,
    /// Since when it is in its phase.
    entered: Instant,
    /// Whether it was up in this run.
    was_up: bool,
    /// Whether it was started again for its health, and has not been well since.
    convalescent: bool,
    /// Held while there is anything of the server.
    place: Option<Place>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        key: ServerKey,
        phase: Phase,
        inbox: mpsc::UnboundedReceiver<Command>,
        view: watch::Sender<View>,
    ) -> Self {
        let place = phase.is_active().then(|| shared.admission.take_up());
        Self {
            place,
            shared,
            key,
            phase,
            inbox,
            view,
            job: None,
            next_look: Instant::now(),
            look_again: false,
            options: None,
            entered: Instant::now(),
            was_up: false,
            convalescent: false,
        }
    }

    /// Works until the server is stopped or the hub is. When the hub stops, the
    /// server is left alone.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        match &self.phase {
            Phase::Checking { state, since: _ } => {
                self.job =
                    Some(launch::check(Arc::clone(&self.shared), self.key.clone(), state.clone()));
            }
            // Whatever there is of it is found by its key.
            Phase::Stopping { then, since: _ } => {
                self.was_up = !matches!(then, Outcome::Cancelled | Outcome::Failed(_));
                self.perform(Effect::Stop { state: SavedState::default() });
            }
            Phase::Stopped { .. } | Phase::Starting { .. } | Phase::Ready { .. } => {}
        }
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                command = self.inbox.recv() => match command {
                    Some(Command::Start { options, reply }) => {
                        self.start(options, reply);
                        None
                    }
                    Some(Command::Stop { reply }) => {
                        self.apply(Event::StopRequested);
                        // Whoever asked may have gone away; the stop goes on.
                        let _ = reply.send(());
                        None
                    }
                    Some(Command::Cull { since, culled }) => {
                        // Another run is for another look.
                        (self.phase.since() == Some(since)).then_some(Event::Culled(culled))
                    }
                    Some(Command::Look) => {
                        self.look_again = true;
                        None
                    }
                    None => return,
                },
                event = next(&mut self.job) => {
                    self.job = None;
                    Some(event)
                }
                () = due(self.next_look, self.look_again), if self.may_look() => {
                    self.look();
                    None
                }
            };
            if let Some(event) = event {
                self.apply(event);
            }
            if !self.phase.is_active()
                && self.job.is_none()
                && self.shared.retire(&self.key, &self.inbox)
            {
                return;
            }
        }
    }

    fn start(&mut self, options: Option<Value>, reply: oneshot::Sender<Result<(), ServersError>>) {
        let verdict = match (self.phase.is_ready(), self.phase.pending()) {
            (true, _) => Err(ServersError::AlreadyRunning(self.key.clone())),
            (false, Some(pending)) => Err(ServersError::Pending { key: self.key.clone(), pending }),
            // One that was stopped for its health is not started again then, either.
            (false, None) if self.shared.is_closed() => Err(ServersError::ShuttingDown),
            (false, None) => {
                let limits = &self.shared.current.get().limits.admission;
                self.shared.admission.enter(limits).map_err(ServersError::Crowded)
            }
        };
        let refused = match &verdict {
            Err(ServersError::Pending { .. }) => Some("already-pending"),
            Err(ServersError::Crowded(Crowded::Starting { .. })) => Some("throttled"),
            Err(ServersError::Crowded(Crowded::Active)) => Some("too-many-users"),
            Err(_) | Ok(_) => None,
        };
        if let Some(reason) = refused {
            self.shared.metrics.spawn(SpawnEnd::Refused(reason), Duration::ZERO);
        }
        let verdict = verdict.map(|place| self.place = Some(place));
        if verdict.is_ok() {
            self.options = options;
            self.apply(Event::StartRequested);
        }
        // Whoever asked may have gone away; the start goes on all the same.
        let _ = reply.send(verdict);
    }

    /// Takes one step of the state machine and performs its effect.
    fn apply(&mut self, event: Event) {
        let (before, health) = (self.phase.name(), self.phase.health());
        self.count(&event);
        let effect = match self.phase.on(event, self.shared.clock.now()) {
            Ok(effect) => effect,
            Err(refused) => {
                tracing::debug!(server = %self.key, "ignored: {refused}");
                return;
            }
        };
        self.perform(effect);
        match (self.phase.is_active(), self.phase.pending()) {
            (false, _) => self.place = None,
            (true, Some("spawn")) => {}
            (true, _) => {
                if let Some(place) = &mut self.place {
                    place.started();
                }
            }
        }
        if before != self.phase.name() {
            self.record(before);
            tracing::info!(server = %self.key, "{before} -> {}{}", self.phase.name(), reason(&self.phase));
            // A first look, beside waiting for its answers: at its health.
            self.look_again |= self.phase.is_ready();
        }
        // Effect first, announcement second: the browser follows "ready" at once,
        // and would otherwise meet the hub's page instead of its notebook.
        self.view.send_modify(|view| {
            if matches!(self.phase, Phase::Starting { .. })
                && !matches!(view.phase, Phase::Starting { .. })
            {
                view.events.clear();
            }
            view.phase = self.phase.clone();
        });
        if health != self.phase.health() {
            self.mind_health();
        }
        // Just now, that is: whoever asks for a stop after that is not answered by a start.
        if before == "stopping"
            && let Phase::Stopped { last: Some(Outcome::Unwell { again: true }) } = &self.phase
        {
            self.start_again();
        }
    }

    /// What follows from a change of the server's own verdict (SPN-28).
    fn mind_health(&mut self) {
        match self.phase.health() {
            Some(Health::Healthy) => self.convalescent = false,
            Some(Health::Unhealthy) => match self.shared.spawner.on_unhealthy() {
                OnUnhealthy::Show => {
                    tracing::warn!(server = %self.key, "the server's own health check fails; the server is left alone");
                }
                OnUnhealthy::Stop => self.apply(Event::Unwell { again: false }),
                // One that is not well again by that is not helped by it.
                OnUnhealthy::Restart => self.apply(Event::Unwell { again: !self.convalescent }),
            },
            Some(Health::Starting | Health::Paused | Health::Restarting) | None => {}
        }
    }

    /// Starts a server that was stopped for its health, with the options it had.
    fn start_again(&mut self) {
        self.convalescent = true;
        let (reply, mut verdict) = oneshot::channel();
        self.start(None, reply);
        if let Ok(Err(error)) = verdict.try_recv() {
            tracing::warn!(server = %self.key, "the server is not started again: {error}");
        }
    }

    /// Counts what ended with the phase called `before`, and tells events.
    fn record(&mut self, before: &'static str) {
        let took = std::mem::replace(&mut self.entered, Instant::now()).elapsed();
        if before == "starting" {
            let end = match &self.phase {
                Phase::Ready { .. } => SpawnEnd::Success,
                Phase::Stopping { then: Outcome::Cancelled, .. } => SpawnEnd::GivenUp,
                Phase::Stopping { .. }
                | Phase::Stopped { .. }
                | Phase::Checking { .. }
                | Phase::Starting { .. } => SpawnEnd::Error,
            };
            self.shared.metrics.spawn(end, took);
        }
        let tell = |action| {
            self.shared.records.server(action, &self.key, self.shared.clock.now());
        };
        match &self.phase {
            Phase::Ready { .. } if before == "starting" => tell(Action::Start),
            Phase::Stopped { .. } if self.was_up => tell(Action::Stop),
            Phase::Stopped { .. }
            | Phase::Checking { .. }
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Stopping { .. } => {}
        }
        // What was there before a restart of the hub was up.
        self.was_up |= self.phase.is_ready() || before == "checking";
        self.was_up &= self.phase.is_active();
    }

    /// Counts the end of a start; what its user chose wrongly is no failure of ours, and
    /// that there is no room is none that a new hub would be without.
    fn count(&self, event: &Event) {
        if !matches!(self.phase, Phase::Starting { .. }) {
            return;
        }
        match event {
            Event::Routed { .. } => self.shared.admission.succeeded(),
            Event::StartFailed(failure) if !failure.rejected && !failure.full => {
                let limit = self.shared.current.get().limits.consecutive_failure_limit;
                self.shared.admission.failed(limit);
            }
            Event::StartFailed(_)
            | Event::StartRequested
            | Event::StopRequested
            | Event::Culled(_)
            | Event::Unwell { .. }
            | Event::Probed(_)
            | Event::StopFinished => {}
        }
    }

    fn perform(&mut self, effect: Effect) {
        // The state machine asks for the rest in phases that have a time.
        let since = self.phase.since().unwrap_or_else(|| self.shared.clock.now());
        match effect {
            Effect::Nothing => {}
            Effect::Note => {
                if let Phase::Stopping { then, .. } = &self.phase {
                    launch::note_again(&self.shared, &self.key, since, then.clone());
                }
            }
            Effect::Spawn => {
                self.job = Some(launch::spawn(
                    Arc::clone(&self.shared),
                    self.key.clone(),
                    since,
                    self.options.take(),
                    self.view.clone(),
                ));
            }
            Effect::Route { url } => self.shared.routes.change(&self.key, &url),
            Effect::Stop { state } => {
                self.shared.routes.remove(&self.key);
                let then = match &self.phase {
                    Phase::Stopping { then, .. } => then.clone(),
                    // The state machine asks for a stop in this phase only.
                    Phase::Stopped { .. }
                    | Phase::Checking { .. }
                    | Phase::Starting { .. }
                    | Phase::Ready { .. } => Outcome::Requested,
                };
                let shared = Arc::clone(&self.shared);
                self.job = Some(launch::stop(shared, self.key.clone(), since, state, then));
            }
        }
        self.next_look = Instant::now() + self.pause();
    }

    /// Only a ready server is looked at, and only while nothing else is going on.
    fn may_look(&self) -> bool {
        self.phase.is_ready() && self.job.is_none()
    }

    fn look(&mut self) {
        self.look_again = false;
        if let Phase::Ready { state, url, .. } = &self.phase {
            let shared = Arc::clone(&self.shared);
            self.job = Some(launch::look(shared, self.key.clone(), state.clone(), url.clone()));
        }
        self.next_look = Instant::now() + self.pause();
    }

    /// The poll interval, spread by up to a tenth so that servers which started
    /// together are not looked at together for ever.
    fn pause(&self) -> Duration {
        let interval = self.shared.current.get().limits.poll_interval;
        let mut byte = [0_u8];
        match getrandom::fill(&mut byte) {
            Ok(()) => interval.mul_f64(0.9 + 0.2 * f64::from(byte[0]) / 255.0),
            Err(_) => interval,
        }
    }
}

/// The time of the next look, which is now if something may have happened.
async fn due(next_look: Instant, look_again: bool) {
    if !look_again {
        sleep_until(next_look).await;
    }
}

/// The job's event; waits for ever when there is no job.
async fn next(job: &mut Option<BoxFuture<'static, Event>>) -> Event {
    match job {
        Some(job) => job.await,
        None => std::future::pending().await,
    }
}

fn reason(phase: &Phase) -> String {
    match phase {
        Phase::Stopping { then, .. } => match (then.as_failure(), then.notice()) {
            (Some(Failure { message, .. }), _) | (None, Some(message)) => format!(": {message}"),
            (None, None) => String::new(),
        },
        Phase::Stopped { .. }
        | Phase::Checking { .. }
        | Phase::Starting { .. }
        | Phase::Ready { .. } => String::new(),
    }
}
