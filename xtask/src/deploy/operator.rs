//! Changes to the world, made or, with `--dry-run`, only told.
//!
//! Each command of `deploy` looks at what is there and asks an [`Operator`] for
//! what is missing, so that a plan is what would really be done (XT-3).

use std::fmt::Display;

use hub_server::{Clock as _, SystemClock};
use hub_spawner::engine::{ContainerSummary, Engine, EngineError, Labels};

use super::layout::Layout;

/// The kind of a container that does one thing and goes.
const HELPER: &str = "helper";

/// The label of a helper that was made by a run that had the turn: the machine.
const TURN: &str = "hub.turn";

/// How old a helper is whose maker is not known to be at work any more, in
/// seconds. A backup of a hub is made or brought back in less.
const OLD: i64 = 3600;

/// A Docker engine, and whether it may be changed.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    engine: Engine,
    dry_run: bool,
    /// This machine, if no other run on it is at work on the deployment.
    turn: Option<String>,
}

impl Operator {
    pub(super) fn new(engine: Engine, dry_run: bool) -> Self {
        Self { engine, dry_run, turn: None }
    }

    /// The same for a run that has the turn.
    pub(super) fn in_turn(mut self) -> Self {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.turn = Some(machine);
        self
    }

    /// What a helper is labelled with.
    pub(super) fn helper_labels(&self, layout: &Layout) -> Labels {
        let mut labels = layout.labels(HELPER);
        labels.extend(self.turn.clone().map(|machine| (TURN.to_owned(), machine)));
        labels
    }

    /// Removes what ended runs have left of their helpers.
    pub(super) async fn remove_helpers(&self, layout: &Layout) -> anyhow::Result<()> {
        let mut labels = layout.labels(HELPER);
        labels.remove("hub.version");
        let now = SystemClock.now().as_second();
        for helper in self.engine.containers(&labels).await? {
            if is_left_over(&helper, self.turn.as_ref(), now) {
                super::container::remove(self, &helper.id).await?;
            }
        }
        Ok(())
    }

    /// For looking. Whatever changes something goes through [`Operator::change`].
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Makes a change, or prints `call`, one line, and returns `None`.
    pub(super) async fn change<T, E>(
        &self,
        call: impl Display,
        action: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, E> {
        if self.dry_run {
            print(&call.to_string());
            return Ok(None);
        }
        action.await.map(Some)
    }
}

/// Whether nobody works with a helper any more, at a time in seconds since 1970.
/// One that runs ends by itself. One of a run that had the turn is left over if
/// this run has it now; others may be fed, or fetched from, by a run of their own.
fn is_left_over(helper: &ContainerSummary, turn: Option<&String>, now: i64) -> bool {
    let ours = turn.is_some() && helper.labels.get(TURN) == turn;
    helper.state != "running" && (ours || now - helper.created > OLD)
}

#[expect(clippy::print_stdout, reason = "the plan is what --dry-run is asked for")]
fn print(line: &str) {
    println!("{line}");
}

/// The engine's error with what can be done about it.
pub(super) fn advised(error: EngineError) -> anyhow::Error {
    match advice(&error) {
        Some(advice) => anyhow::Error::from(error).context(advice),
        None => error.into(),
    }
}

/// What a person who deploys can do about an engine's error.
pub(super) fn advice(error: &EngineError) -> Option<&'static str> {
    let text = error.text()?;
    let known = [
        (
            "port is already allocated",
            "another container has the port; set HUB_HTTPS_PORT and HUB_HTTP_PORT, or stop it",
        ),
        (
            "address already in use",
            "a program on the host has the port; set HUB_HTTPS_PORT and HUB_HTTP_PORT, or stop it",
        ),
        (
            "non-overlapping IPv4 address pool",
            "networks have taken all addresses that Docker gives out; remove some that nobody uses \
             (docker network prune), or give it more (default-address-pools in daemon.json)",
        ),
        (
            "pull access denied",
            "the registry does not know the image, or wants a sign-in; check DOCKER_NOTEBOOK_IMAGE",
        ),
        ("manifest unknown", "the registry has no such tag; check DOCKER_NOTEBOOK_IMAGE"),
        ("no matching manifest", "the image is not made for this machine's processor"),
    ];
    known.iter().find(|(part, _)| text.contains(part)).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helper(state: &str, machine: Option<&str>, created: i64) -> ContainerSummary {
        ContainerSummary {
            id: "id".to_owned(),
            name: "name".to_owned(),
            image: "image".to_owned(),
            state: state.to_owned(),
            labels: machine.map(|name| (TURN.to_owned(), name.to_owned())).into_iter().collect(),
            created,
        }
    }

    #[test]
    fn xt_1_only_helpers_that_nobody_works_with_are_removed() {
        let turn = "here".to_owned();
        let now = 10 * OLD;
        for (state, machine, age, (ends, ends_in_turn)) in [
            ("exited", Some("here"), 1, (false, true)),
            ("created", Some("here"), 1, (false, true)),
            ("running", Some("here"), 2 * OLD, (false, false)),
            ("created", Some("there"), 1, (false, false)),
            ("created", None, 1, (false, false)),
            ("exited", None, 2 * OLD, (true, true)),
        ] {
            let helper = helper(state, machine, now - age);
            let found = (is_left_over(&helper, None, now), is_left_over(&helper, Some(&turn), now));
            assert_eq!(found, (ends, ends_in_turn), "{helper:?}");
        }
    }
}
