//! Changes to the world, made or, with `--dry-run`, only told.
//!
//! Each command of `deploy` looks at what is there and asks an [`Operator`] for
//! what is missing, so that a plan is what would really be done (XT-3).

use std::fmt::Display;

use hub_spawner::engine::{Engine, EngineError};

/// A Docker engine, and whether it may be changed.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    engine: Engine,
    dry_run: bool,
}

impl Operator {
    pub(super) fn new(engine: Engine, dry_run: bool) -> Self {
        Self { engine, dry_run }
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
