//! How a server of the fake behaves when it is started.

use std::{fmt, sync::Arc};

use url::Url;

use crate::{Exit, SpawnError};

/// How a server behaves when it is started.
#[derive(Clone)]
pub enum Behaviour {
    /// It runs, and is reached here.
    Answers(Url),
    /// It runs, and nothing listens at its address.
    NeverAnswers,
    /// Starting it takes for ever.
    NeverStarts,
    /// It runs and is reached here, and its start is never told to be over: as when a hub
    /// is killed at that moment.
    RunsUntold(Url),
    /// It cannot be started.
    Fails(Arc<dyn Fn() -> SpawnError + Send + Sync>),
    /// Preparing it, as by fetching its image, does not succeed.
    FailsToPrepare(Arc<dyn Fn() -> SpawnError + Send + Sync>),
    /// It ends while it is starting.
    Exits(Exit),
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answers(url) => f.debug_tuple("Answers").field(&url.as_str()).finish(),
            Self::NeverAnswers => f.write_str("NeverAnswers"),
            Self::NeverStarts => f.write_str("NeverStarts"),
            Self::RunsUntold(url) => f.debug_tuple("RunsUntold").field(&url.as_str()).finish(),
            Self::Fails(error) => f.debug_tuple("Fails").field(&error()).finish(),
            Self::FailsToPrepare(error) => f.debug_tuple("FailsToPrepare").field(&error()).finish(),
            Self::Exits(exit) => f.debug_tuple("Exits").field(exit).finish(),
        }
    }
}
