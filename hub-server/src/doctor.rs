//! Looks at everything a hub needs, from its configuration to the way from a
//! user's container back to the hub, and says what to do where something is
//! missing (ENV-4).
//!
//! [`examine`] goes through the [`Step`]s in order. Each step is a thin probe
//! that looks at the world and a pure judgement of what it saw; what later steps
//! need is kept in [`Known`]. Nothing is changed: the only thing made is a
//! container, which is removed again.

mod addresses;
mod ask;
mod callback;
mod certificate;
mod configuration;
mod container;
mod daemon;
mod image;
mod inside;
mod network;
mod orphans;
mod pinned;
mod ports;
mod program;
mod proxy;
mod report;
mod running;
mod sign_in_service;
mod space;
mod step;
mod store;

use std::net::IpAddr;

use http::HeaderValue;
use hub_names::ServerKey;
use hub_spawner::{
    docker::DockerConfig,
    engine::{Engine, EngineInfo, HostSettings, ImageDetails, Network},
};
use jiff::Timestamp;

/// What is asked of the Docker daemon; the rest can be refused (API-7).
pub use hub_spawner::engine::ENDPOINTS as DOCKER_PERMISSIONS;

pub use self::{
    report::{Checked, Finding, Outcome, Report},
    step::Step,
};
use crate::config::{Config, Sources};

/// What to examine, and how.
#[derive(Debug)]
pub struct Examination {
    /// Where the configuration comes from.
    pub sources: Sources,
    /// Reads the whole database and asks the registry for the image, too.
    pub deep: bool,
    /// The value of an `Authorization` header with a token of the hub's API, to
    /// try; marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// The time.
    pub now: Timestamp,
}

/// What earlier steps found out.
#[derive(Debug, Default)]
struct Known {
    /// The configuration; where it is broken, what can be used of it.
    config: Option<Config>,
    /// The sections of it that are as they were written.
    sound: Vec<&'static str>,
    /// Where Docker is to be looked for, if it is needed.
    docker: Option<HostSettings>,
    engine: Option<Engine>,
    daemon: Option<EngineInfo>,
    /// Whether the daemon is on another machine.
    is_remote: bool,
    network: Option<Network>,
    image: Option<ImageDetails>,
    /// The servers in the store, if it could be read.
    servers: Option<Vec<ServerKey>>,
    /// Whether this configuration's hub answers at its address.
    serves: bool,
}

impl Known {
    /// Whether servers are known to be no containers.
    fn is_without_docker(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.spawner.docker().is_none())
    }

    /// What servers are made of, if they are containers.
    fn spawner(&self) -> Option<&DockerConfig> {
        self.config.as_ref()?.spawner.docker()
    }

    /// This host's address in the servers' network. The gateway of a network on
    /// another machine is that machine's.
    fn gateway(&self) -> Option<IpAddr> {
        self.network.as_ref().filter(|_| !self.is_remote).and_then(|network| network.gateway)
    }
}

/// Goes through all steps; takes some seconds, half a minute where something
/// does not answer.
pub async fn examine(examination: &Examination) -> Report {
    let mut known = Known::default();
    let mut report = Report::default();
    for step in Step::ALL {
        let findings = match report.obstacle_of(step, &known.sound) {
            _ if step.is_about_docker() && known.is_without_docker() => {
                vec![Finding::skipped("spawner.kind is process, which needs no Docker")]
            }
            Some(obstacle) => vec![Finding::skipped(format!("{obstacle} has to be right first"))],
            // Boxed: the largest step would make the others' future as large.
            None => Box::pin(take(step, examination, &mut known)).await,
        };
        report.push(step, findings);
    }
    report
}

async fn take(step: Step, examination: &Examination, known: &mut Known) -> Vec<Finding> {
    match step {
        Step::Configuration => configuration::check(examination, known),
        Step::Callback => with_config(known, callback::check),
        Step::SignInService => sign_in_service::check(examination, known).await,
        Step::Certificate => certificate::check(examination, known),
        Step::CookieSecret => with_config(known, store::check_cookie_secret),
        Step::Store => store::check(examination, known).await,
        Step::Docker => daemon::check(known).await,
        Step::Network => network::check(known).await,
        Step::DataVolume => network::check_data_volume(examination, known).await,
        Step::Image => image::check(examination, known).await,
        Step::ImageContent => image::check_content(known).await,
        Step::Program => with_config(known, program::check),
        Step::Hub => running::check(examination, known).await,
        Step::Ports => ports::check(known).await,
        Step::FromContainer => inside::check(known).await,
        Step::Proxy => proxy::check(examination, known).await,
        Step::Orphans => orphans::check(known).await,
    }
}

fn with_config(known: &Known, judge: impl Fn(&Config) -> Vec<Finding>) -> Vec<Finding> {
    known.config.as_ref().map_or_else(Vec::new, judge)
}

/// An error and its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut text = error.to_string();
    for cause in causes.map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        // Some errors print their cause by themselves.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
