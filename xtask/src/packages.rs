//! Installing what commands need, where we know how.

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::{
    process, programs,
    step::Step,
    surroundings::{self, Distribution},
};

/// A program and the Debian package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// A Docker engine. Its package leaves out what it needs to isolate networks.
pub(crate) const DOCKER: [Need; 2] = [need("dockerd", "docker.io"), need("iptables", "iptables")];

/// Debian's root file system, where no image registry answers.
pub(crate) const BASE_IMAGE: [Need; 1] = [need("debootstrap", "debootstrap")];

/// What the tests use besides Docker.
pub(crate) const TESTS: [Need; 11] = [
    need("chromium", "chromium"),
    need("chromedriver", "chromium-driver"),
    need("initdb", "postgresql"),
    need("busybox", "busybox-static"),
    need("pebble", "pebble"),
    need("npm", "npm"),
    need("ssh", "openssh-client"),
    need("sshd", "openssh-server"),
    need("ip", "iproute2"),
    need("docker-compose", "docker-compose"),
    need("age", "age"),
];

/// Podman. Its package leaves out an init for containers, and their networks.
pub(crate) const PODMAN: [Need; 3] = [
    need("podman", "podman"),
    need("catatonit", "catatonit"),
    need("/usr/lib/cni/bridge", "containernetworking-plugins"),
];

/// Makes sure that all of `needs` are installed.
///
/// # Errors
///
/// Says what to install if this is not a Debian-like system or we are not root.
pub(crate) async fn ensure(needs: &[Need]) -> anyhow::Result<()> {
    let missing: Vec<Need> =
        needs.iter().copied().filter(|need| programs::find(need.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(advice) = advice(&missing, surroundings::distribution(), surroundings::is_root()) {
        bail!(advice);
    }
    install(&missing.iter().map(|need| need.package).collect::<Vec<_>>()).await
}

/// Installs Debian packages by name.
pub(crate) async fn install(packages: &[&str]) -> anyhow::Result<()> {
    let step = Step::begin(format!("installing {}", packages.join(", ")));
    // An outdated list names versions that the mirror has dropped; a failure
    // here is not the end, the package may be in the list already.
    if let Err(error) = process::run(&step, apt().args(["update", "-q"])).await {
        step.line(&format!("{error:#}"));
    }
    let mut command = apt();
    command.args(["install", "-yq", "--no-install-recommends"]).args(packages);
    process::run(&step, &mut command).await.with_context(|| {
        format!("cannot install {}; try it by hand to see why", packages.join(" "))
    })?;
    step.done("");
    Ok(())
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// What a person has to do where we cannot, if so.
fn advice(missing: &[Need], distribution: Distribution, is_root: bool) -> Option<String> {
    let packages = missing.iter().map(|need| need.package).collect::<Vec<_>>().join(" ");
    let programs = missing.iter().map(|need| need.program).collect::<Vec<_>>().join(", ");
    match distribution {
        Distribution::Debian | Distribution::LikeDebian if is_root => None,
        Distribution::Debian | Distribution::LikeDebian => {
            Some(format!("{programs} not found; install with: sudo apt-get install {packages}"))
        }
        Distribution::Other => Some(format!(
            "{programs} not found, and this system's package manager is not known here; install \
             what Debian calls {packages}, and run this again"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_root_the_command_to_run_is_said() {
        let said = advice(&DOCKER, Distribution::Debian, false).unwrap();
        assert!(said.ends_with("sudo apt-get install docker.io iptables"), "{said}");
    }

    #[test]
    fn on_an_unknown_system_the_programs_are_named() {
        let said = advice(&BASE_IMAGE, Distribution::Other, true).unwrap();
        assert!(said.starts_with("debootstrap not found"), "{said}");
    }

    #[test]
    fn root_on_debian_needs_no_advice() {
        assert_eq!(advice(&TESTS, Distribution::LikeDebian, true), None);
    }

    #[tokio::test]
    async fn what_is_there_is_not_installed_again() {
        ensure(&[need("sh", "no-such-package")]).await.unwrap();
    }
}
