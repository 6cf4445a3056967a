//! The steps, in their order, and what each builds on.

use std::fmt;

/// One part of the chain from the configuration to a user's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// File and environment can be read and make sense.
    Configuration,
    /// The address that a sign-in comes back to.
    Callback,
    /// The sign-in service answers, and its clock agrees with ours.
    SignInService,
    /// Certificate and key fit each other, the hosts and the date.
    Certificate,
    /// The file of the cookie secret is there for the hub alone.
    CookieSecret,
    /// The database can be read and has room.
    Store,
    /// The Docker daemon answers.
    Docker,
    /// The servers' network is there, once.
    Network,
    /// The deployment's data volume is there.
    DataVolume,
    /// The image of servers is there.
    Image,
    /// The image has a single-user server that we can talk to.
    ImageContent,
    /// The program of servers that are processes is there.
    Program,
    /// The hub answers, if it runs.
    Hub,
    /// Ports are free, or the hub's.
    Ports,
    /// A container reaches the hub's API.
    FromContainer,
    /// The proxy that is a program of its own can be driven.
    Proxy,
    /// Containers that the hub does not know.
    Orphans,
}

impl Step {
    /// All of them, in order: none builds on a later one.
    pub const ALL: [Self; 17] = [
        Self::Configuration,
        Self::Callback,
        Self::SignInService,
        Self::Certificate,
        Self::CookieSecret,
        Self::Store,
        Self::Docker,
        Self::Network,
        Self::DataVolume,
        Self::Image,
        Self::ImageContent,
        Self::Program,
        Self::Hub,
        Self::Ports,
        Self::FromContainer,
        Self::Proxy,
        Self::Orphans,
    ];

    /// The name in reports; scripts may rely on it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Callback => "callback-url",
            Self::SignInService => "sign-in-service",
            Self::Certificate => "certificate",
            Self::CookieSecret => "cookie-secret",
            Self::Store => "database",
            Self::Docker => "docker",
            Self::Network => "network",
            Self::DataVolume => "data-volume",
            Self::Image => "image",
            Self::ImageContent => "image-content",
            Self::Program => "program",
            Self::Hub => "hub",
            Self::Ports => "ports",
            Self::FromContainer => "from-container",
            Self::Proxy => "proxy",
            Self::Orphans => "orphans",
        }
    }

    /// The steps without which this one says nothing.
    pub(super) fn needs(self) -> &'static [Self] {
        match self {
            Self::Configuration
            | Self::Callback
            | Self::SignInService
            | Self::Certificate
            | Self::CookieSecret
            | Self::Store
            | Self::Docker
            | Self::Program
            | Self::Hub
            | Self::Ports
            | Self::Proxy => &[],
            Self::DataVolume | Self::Network | Self::Image => &[Self::Docker],
            Self::Orphans => &[Self::Docker, Self::Store],
            Self::ImageContent => &[Self::Image],
            Self::FromContainer => &[Self::Network, Self::Image],
        }
    }

    /// Whether it says nothing where servers are no containers.
    pub(super) fn is_about_docker(self) -> bool {
        match self {
            Self::Docker
            | Self::Network
            | Self::DataVolume
            | Self::Image
            | Self::ImageContent
            | Self::FromContainer
            | Self::Orphans => true,
            Self::Configuration
            | Self::Callback
            | Self::SignInService
            | Self::Certificate
            | Self::CookieSecret
            | Self::Store
            | Self::Program
            | Self::Hub
            | Self::Ports
            | Self::Proxy => false,
        }
    }

    /// The sections of the configuration that it looks into.
    pub(super) fn sections(self) -> &'static [&'static str] {
        match self {
            Self::Configuration | Self::Docker | Self::DataVolume => &[],
            Self::Callback | Self::SignInService => &["http", "auth"],
            Self::Certificate | Self::Hub => &["http"],
            Self::CookieSecret | Self::Store => &["store"],
            Self::Network | Self::Image | Self::ImageContent | Self::Program => &["spawner"],
            Self::Ports => &["http", "hub_api"],
            Self::Proxy => &["http", "proxy"],
            Self::FromContainer => &["http", "hub_api", "spawner"],
            Self::Orphans => &["store", "spawner"],
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_builds_on_earlier_ones_only() {
        for (index, step) in Step::ALL.into_iter().enumerate() {
            for need in step.needs() {
                assert!(Step::ALL[..index].contains(need), "{step} needs {need}");
            }
        }
    }
}
