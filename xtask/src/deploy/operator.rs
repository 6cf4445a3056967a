//! Changes to the world, made or, with `--dry-run`, only told.
//!
//! Each command of `deploy` looks at what is there and asks an [`Operator`] for
//! what is missing, so that a plan is what would really be done (XT-3).

use std::{fmt::Display, time::Duration};

use hub_spawner::engine::{Engine, EngineError};

/// How long the engine may take to show that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

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

    /// Adds to an error that the engine has gone away, if it has: the words of a
    /// connection that broke do not say so.
    pub(super) async fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        let is_lost = error.chain().filter_map(|cause| cause.downcast_ref()).any(is_lost);
        if !is_lost {
            return error;
        }
        let trouble = match tokio::time::timeout(SIGN_OF_LIFE, self.engine.ping()).await {
            Ok(Ok(())) => return error,
            Ok(Err(EngineError::Unreachable { advice, .. })) => advice.to_owned(),
            Ok(Err(other)) => other.to_string(),
            Err(_) => format!("it is silent for {} s", SIGN_OF_LIFE.as_secs()),
        };
        error.context(format!(
            "the Docker engine at {} has stopped answering ({trouble}); once it runs, the same \
             command goes on",
            self.engine.endpoint()
        ))
    }
}

/// Whether an error may mean that there is no engine any more.
fn is_lost(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Unreachable { .. } | EngineError::TimedOut { .. } | EngineError::Broken { .. }
    )
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
        ("no space left", "the disk is full; make room and run the same command again"),
        (
            "pull access denied",
            "the registry does not know the image, or wants a sign-in; check DOCKER_NOTEBOOK_IMAGE",
        ),
        ("manifest unknown", "the registry has no such tag; check DOCKER_NOTEBOOK_IMAGE"),
        ("no matching manifest", "the image is not made for this machine's processor"),
    ];
    known.iter().find(|(part, _)| text.contains(part)).map(|(_, advice)| *advice)
}
