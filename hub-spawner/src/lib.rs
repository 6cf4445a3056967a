#![doc = include_str!("../README.md")]

#[cfg(any(feature = "process", feature = "swarm"))]
mod alive;
#[cfg(feature = "test-util")]
pub mod conformance;
#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "docker")]
pub mod engine;

#[cfg(any(feature = "docker", feature = "process"))]
mod command;
mod environment;
mod error;
#[cfg(any(feature = "docker", feature = "process"))]
mod escaping;
mod exit;
#[cfg(feature = "test-util")]
pub mod fake;
mod health;
mod invalid_config;
mod limits;
#[cfg(any(feature = "docker", feature = "process"))]
mod log_text;
#[cfg(any(feature = "docker", feature = "process"))]
mod port_range;
#[cfg(feature = "process")]
pub mod process;
mod progress;
mod spawner;
mod state;
mod template;

#[cfg(feature = "swarm")]
pub use docker::swarm;
pub use environment::{Environment, ServerSettings, ServiceFacts};
pub use error::SpawnError;
pub use exit::Exit;
pub use health::{Health, OnUnhealthy};
pub use hub_names::ServerKey;
pub use invalid_config::InvalidConfig;
pub use limits::{InvalidMemory, MemoryAllowance, MemoryLimit};
pub use progress::{Progress, ProgressEvent};
pub use spawner::{
    Choice, Found, HubLinks, Limits, Liveness, Preset, Spawner, StartRequest, Started, StopMode,
};
pub use state::SavedState;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
