//! Where one server is in its life, as a pure state machine.
//!
//! ```text
//!            StartRequested           Routed
//!  Stopped ────────────────> Starting ───────> Ready
//!     ^                        │ StartFailed,    │ StopRequested,
//!     │ StopFinished           │ StopRequested   │ Probed(gone)
//!     └──────────── Stopping <─┴─────────────────┘
//!                      ^
//!  Checking ───────────┘   after a restart of the hub: becomes Ready when the
//!                          server is found answering and routed, else it is
//!                          cleaned up
//! ```

use hub_spawner::{Health, Liveness, SavedState};
use jiff::Timestamp;
use url::Url;

use super::{
    compatibility::Remark,
    outcome::{Culled, Failure, Outcome},
};

/// Where one server is in its life. Exactly one of these is true at a time.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Not running; `last` tells how it ended, if it ever ran.
    Stopped {
        /// How the last run ended.
        last: Option<Outcome>,
    },
    /// Known from before a restart of the hub; the spawner is being asked.
    Checking {
        /// When the server was started.
        since: Timestamp,
        /// What the spawner remembered about it.
        state: SavedState,
    },
    /// On its way up.
    Starting {
        /// When the start was asked for.
        since: Timestamp,
    },
    /// Answers, and has a route.
    Ready {
        /// Where it answers.
        url: Url,
        /// What the spawner needs to find it again.
        state: SavedState,
        /// When the start was asked for.
        since: Timestamp,
        /// What is odd about it.
        remark: Option<Remark>,
        /// What its own health check said at the last look, if it has one.
        health: Option<Health>,
    },
    /// On its way down, or being cleaned up.
    Stopping {
        /// What the stop will turn out to be.
        then: Outcome,
        /// When the server was started.
        since: Timestamp,
    },
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Somebody wants it up.
    StartRequested,
    /// Somebody wants it down.
    StopRequested,
    /// Nobody uses it.
    Culled(Culled),
    /// Its own health check fails, and the operator wants that to have consequences
    /// (SPN-28).
    Unwell {
        /// Whether it is started again.
        again: bool,
    },
    /// It answers HTTP at `url`, and the proxy has its route.
    Routed {
        /// Where.
        url: Url,
        /// What the spawner needs to find it again.
        state: SavedState,
        /// What is odd about it.
        remark: Option<Remark>,
    },
    /// It could not be started.
    StartFailed(Failure),
    /// The spawner looked at it.
    Probed(Liveness),
    /// Nothing of it is left.
    StopFinished,
}

/// What to do about it.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Nothing.
    Nothing,
    /// Begin a start.
    Spawn,
    /// Make the route lead elsewhere.
    Route {
        /// The route's target.
        url: Url,
    },
    /// Write down that the stop under way has another end than was noted.
    Note,
    /// Take the route away, end whatever runs, forget its secrets.
    Stop {
        /// What the spawner needs to find it; empty when it has not told yet.
        state: SavedState,
    },
}

/// An event that makes no sense in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} while {phase}")]
pub(crate) struct InvalidTransition {
    /// The phase's name.
    pub phase: &'static str,
    /// The event's name.
    pub event: &'static str,
}

impl Phase {
    /// Applies `event` and says what to do about it. Pure: no clock, no I/O.
    ///
    /// # Errors
    ///
    /// The reason, with the phase unchanged, when `event` is refused.
    pub(crate) fn on(&mut self, event: Event, now: Timestamp) -> Result<Effect, InvalidTransition> {
        let before = std::mem::replace(self, Self::Stopped { last: None });
        let (after, effect) = match (before, event) {
            (Self::Stopped { .. }, Event::StartRequested) => {
                (Self::Starting { since: now }, Effect::Spawn)
            }
            (
                Self::Starting { since } | Self::Checking { since, .. },
                Event::Routed { url, state, remark },
            ) => (Self::Ready { url, state, since, remark, health: None }, Effect::Nothing),
            // A failed start may have left something; only its absence ends the
            // story, so that a page which says "failed" finds nothing running.
            (Self::Starting { since }, Event::StartFailed(failure)) => (
                Self::Stopping { then: Outcome::Failed(failure), since },
                Effect::Stop { state: SavedState::default() },
            ),
            // The spawner may have made something it has not told us about yet;
            // `Spawner::stop` finds it by key, so an empty state is enough.
            (Self::Starting { since }, Event::StopRequested) => (
                Self::Stopping { then: Outcome::Cancelled, since },
                Effect::Stop { state: SavedState::default() },
            ),
            (
                Self::Checking { state, since } | Self::Ready { state, since, .. },
                Event::StopRequested,
            ) => (Self::Stopping { then: Outcome::Requested, since }, Effect::Stop { state }),
            (Self::Ready { state, since, .. }, Event::Culled(culled)) => {
                (Self::Stopping { then: Outcome::Culled(culled), since }, Effect::Stop { state })
            }
            (Self::Ready { state, since, .. }, Event::Unwell { again }) => {
                (Self::Stopping { then: Outcome::Unwell { again }, since }, Effect::Stop { state })
            }
            // Somebody wants it down before it is started again.
            (
                Self::Stopping { then: Outcome::Unwell { again: true }, since },
                Event::StopRequested,
            ) => (Self::Stopping { then: Outcome::Requested, since }, Effect::Note),
            // The address changes when Docker restarts a container's network. Bad
            // health changes nothing but what is told of it (NBI-8).
            (
                Self::Ready { url, state, since, remark, health: _ },
                Event::Probed(Liveness::Running { url: found, health }),
            ) => {
                let effect = if url == found {
                    Effect::Nothing
                } else {
                    Effect::Route { url: found.clone() }
                };
                (Self::Ready { url: found, state, since, remark, health }, effect)
            }
            (
                Self::Checking { state, since } | Self::Ready { state, since, .. },
                Event::Probed(Liveness::Exited(exit)),
            ) => (Self::Stopping { then: Outcome::Exited(exit), since }, Effect::Stop { state }),
            // Nothing was written down about it but the wish: the hub ended in the
            // middle of the start, before there was a server.
            (Self::Checking { state, since }, Event::Probed(Liveness::Missing))
                if state.is_empty() =>
            {
                (Self::Stopping { then: Outcome::interrupted(), since }, Effect::Stop { state })
            }
            (
                Self::Checking { state, since } | Self::Ready { state, since, .. },
                Event::Probed(Liveness::Missing),
            ) => (Self::Stopping { then: Outcome::Vanished, since }, Effect::Stop { state }),
            (Self::Stopping { then, .. }, Event::StopFinished) => {
                (Self::Stopped { last: Some(then) }, Effect::Nothing)
            }
            // An exit can race with our own stop; the stop will finish the story.
            // Asking twice for a stop is one stop.
            (phase @ Self::Stopping { .. }, Event::Probed(_) | Event::StopRequested) => {
                (phase, Effect::Nothing)
            }
            (phase @ Self::Stopped { .. }, Event::StopRequested) => (phase, Effect::Nothing),
            (phase, event) => {
                let refused = InvalidTransition { phase: phase.name(), event: event.name() };
                *self = phase;
                return Err(refused);
            }
        };
        *self = after;
        Ok(effect)
    }

    /// A word for logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Stopped { .. } => "stopped",
            Self::Checking { .. } => "checking",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
            Self::Stopping { .. } => "stopping",
        }
    }

    /// The REST API's `pending` (hub-contract 8.1). Cleaning up after a failed
    /// start still belongs to the start.
    pub(crate) fn pending(&self) -> Option<&'static str> {
        match self {
            Self::Stopped { .. } | Self::Ready { .. } => None,
            Self::Checking { .. } => Some("check"),
            Self::Starting { .. } | Self::Stopping { then: Outcome::Failed(_), .. } => {
                Some("spawn")
            }
            Self::Stopping { .. } => Some("stop"),
        }
    }

    /// Whether it can be used.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// Whether there is anything of it: pending or ready.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self, Self::Stopped { .. })
    }

    /// When the present run was asked for.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Stopped { .. } => None,
            Self::Checking { since, .. }
            | Self::Starting { since }
            | Self::Ready { since, .. }
            | Self::Stopping { since, .. } => Some(*since),
        }
    }

    /// What is odd about the server that is up.
    pub(crate) fn remark(&self) -> Option<&Remark> {
        match self {
            Self::Ready { remark, .. } => remark.as_ref(),
            Self::Stopped { .. }
            | Self::Checking { .. }
            | Self::Starting { .. }
            | Self::Stopping { .. } => None,
        }
    }

    /// What the own health check of the server that is up says.
    pub(crate) fn health(&self) -> Option<Health> {
        match self {
            Self::Ready { health, .. } => *health,
            Self::Stopped { .. }
            | Self::Checking { .. }
            | Self::Starting { .. }
            | Self::Stopping { .. } => None,
        }
    }

    /// How the last run ended, once it has.
    pub(crate) fn last(&self) -> Option<&Outcome> {
        match self {
            Self::Stopped { last } => last.as_ref(),
            Self::Checking { .. }
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Stopping { .. } => None,
        }
    }
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Self::StartRequested => "start requested",
            Self::StopRequested => "stop requested",
            Self::Culled(_) => "culled",
            Self::Unwell { .. } => "unwell",
            Self::Routed { .. } => "routed",
            Self::StartFailed(_) => "start failed",
            Self::Probed(_) => "probed",
            Self::StopFinished => "stop finished",
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_spawner::Exit;
    use proptest::prelude::*;

    use super::*;

    fn url() -> Url {
        "http://172.18.0.2:8888".parse().unwrap()
    }

    fn routed() -> Event {
        Event::Routed { url: url(), state: SavedState::default(), remark: None }
    }

    fn exited() -> Event {
        Event::Probed(Liveness::Exited(Exit {
            code: 1,
            oom_killed: false,
            error: None,
            finished_at: None,
            log_tail: "last words".to_owned(),
            memory_limit: None,
        }))
    }

    fn after(events: impl IntoIterator<Item = Event>) -> (Phase, Effect) {
        let mut phase = Phase::Stopped { last: None };
        let mut effect = Effect::Nothing;
        for event in events {
            effect = phase.on(event, Timestamp::UNIX_EPOCH).unwrap();
        }
        (phase, effect)
    }

    #[test]
    fn a_server_starts_and_stops() {
        let (mut phase, effect) = after([Event::StartRequested]);
        assert!(matches!((&phase, effect), (Phase::Starting { .. }, Effect::Spawn)));
        let effect = phase.on(routed(), Timestamp::UNIX_EPOCH).unwrap();
        assert!(phase.is_ready() && matches!(effect, Effect::Nothing));
        let effect = phase.on(Event::StopRequested, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(phase.pending(), Some("stop"));
        assert!(matches!(effect, Effect::Stop { .. }));
        phase.on(Event::StopFinished, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(phase.last(), Some(&Outcome::Requested));
    }

    #[test]
    fn a_failed_start_is_cleaned_up_before_it_is_told() {
        let (mut phase, effect) =
            after([Event::StartRequested, Event::StartFailed(Failure::new("no"))]);
        assert_eq!(phase.pending(), Some("spawn"));
        assert!(matches!(effect, Effect::Stop { .. }));
        phase.on(Event::StopFinished, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(phase.last(), Some(&Outcome::Failed(Failure::new("no"))));
    }

    #[test]
    fn a_running_server_is_not_started_twice() {
        for events in [vec![Event::StartRequested], vec![Event::StartRequested, routed()]] {
            let (mut phase, _) = after(events);
            assert!(phase.on(Event::StartRequested, Timestamp::UNIX_EPOCH).is_err());
        }
    }

    #[test]
    fn rst_8_a_server_that_is_gone_loses_its_route() {
        for event in [exited(), Event::Probed(Liveness::Missing)] {
            let (phase, effect) = after([Event::StartRequested, routed(), event]);
            assert!(matches!((phase, effect), (Phase::Stopping { .. }, Effect::Stop { .. })));
        }
    }

    #[test]
    fn a_start_that_a_restart_cut_short_is_told_as_such() {
        let mut cut =
            Phase::Checking { since: Timestamp::UNIX_EPOCH, state: SavedState::default() };
        cut.on(Event::Probed(Liveness::Missing), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(cut.pending(), Some("spawn"));

        let known = SavedState::default().with("object_id", "c0ffee");
        let mut lost = Phase::Checking { since: Timestamp::UNIX_EPOCH, state: known };
        lost.on(Event::Probed(Liveness::Missing), Timestamp::UNIX_EPOCH).unwrap();
        assert!(matches!(lost, Phase::Stopping { then: Outcome::Vanished, .. }));
    }

    #[test]
    fn rst_2_a_changed_address_moves_the_route() {
        let moved: Url = "http://172.18.0.9:8888".parse().unwrap();
        let event = Event::Probed(Liveness::Running { url: moved.clone(), health: None });
        let (phase, effect) = after([Event::StartRequested, routed(), event]);
        assert!(matches!(phase, Phase::Ready { url, .. } if url == moved));
        assert!(matches!(effect, Effect::Route { url } if url == moved));
    }

    #[test]
    fn nbi_8_bad_health_is_told_and_changes_nothing_else() {
        let (mut phase, _) = after([Event::StartRequested, routed()]);
        assert_eq!(phase.health(), None);
        for health in [Health::Starting, Health::Healthy, Health::Unhealthy] {
            let event = Event::Probed(Liveness::Running { url: url(), health: Some(health) });
            let effect = phase.on(event, Timestamp::UNIX_EPOCH).unwrap();
            assert!(phase.is_ready() && matches!(effect, Effect::Nothing), "{health:?}");
            assert_eq!(phase.health(), Some(health));
        }
    }

    #[test]
    fn spn_28_an_unwell_server_is_stopped_and_whoever_wants_it_down_has_the_last_word() {
        for again in [true, false] {
            let (mut phase, effect) =
                after([Event::StartRequested, routed(), Event::Unwell { again }]);
            assert!(matches!(effect, Effect::Stop { .. }));
            phase.on(Event::StopFinished, Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(phase.last(), Some(&Outcome::Unwell { again }));
        }
        let (mut phase, _) =
            after([Event::StartRequested, routed(), Event::Unwell { again: true }]);
        let effect = phase.on(Event::StopRequested, Timestamp::UNIX_EPOCH).unwrap();
        assert!(matches!(effect, Effect::Note), "also for a hub that is started meanwhile");
        phase.on(Event::StopFinished, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(phase.last(), Some(&Outcome::Requested));
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::StartRequested),
            Just(Event::StopRequested),
            Just(routed()),
            Just(Event::StartFailed(Failure::new("no"))),
            Just(Event::Probed(Liveness::Running { url: url(), health: None })),
            Just(exited()),
            Just(Event::Probed(Liveness::Missing)),
            Just(Event::StopFinished),
            any::<bool>().prop_map(|again| Event::Unwell { again }),
        ]
    }

    proptest! {
        /// Whatever happens: a server that was routed is ready until its route is
        /// taken away, and nothing is spawned that was not stopped before.
        #[test]
        fn routes_and_spawns_follow_the_phase(events in prop::collection::vec(any_event(), 0..40)) {
            let mut phase = Phase::Stopped { last: None };
            let mut routed = false;
            let mut alive = false;
            for event in events {
                let stop_finished = matches!(event, Event::StopFinished);
                let now_routed = matches!(event, Event::Routed { .. });
                if let Ok(effect) = phase.on(event, Timestamp::UNIX_EPOCH) {
                    match effect {
                        Effect::Spawn => {
                            prop_assert!(!alive);
                            alive = true;
                        }
                        Effect::Route { .. } => prop_assert!(routed),
                        Effect::Stop { .. } => routed = false,
                        Effect::Note => prop_assert!(alive && !routed),
                        Effect::Nothing => {}
                    }
                    routed |= now_routed;
                    if stop_finished {
                        alive = false;
                    }
                }
                prop_assert_eq!(routed, phase.is_ready());
                prop_assert_eq!(alive, phase.is_active());
            }
        }
    }
}
