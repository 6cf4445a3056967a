//! The base image: a registry's Debian, or one made from Debian's packages.

use std::{fs, path::Path, time::Duration};

use anyhow::Context;
use hub_spawner::engine::{Engine, ImageReference};
use tokio::{process::Command, sync::mpsc, time::timeout};

use super::build_host::BuildHost;
use crate::{packages, process, step::Step};

/// What a registry calls it.
const PULLED: &str = "debian:bookworm-slim";

/// What we call ours. The number changes when the recipe below does.
const MADE: &str = "hub-debian-base:bookworm-1";

/// The Debian release of both.
const SUITE: &str = "bookworm";

/// Longest wait for a sign of life from a registry.
const SILENCE: Duration = Duration::from_secs(20);

/// What the notebook image would otherwise install over the network.
const INCLUDED: &str = "--include=python3,ca-certificates";

/// Not needed inside a container.
const LEFT_OUT: [&str; 7] = [
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
];

/// Where apt's sources are listed.
const APT_SOURCES: [&str; 2] = ["/etc/apt/sources.list", "/etc/apt/sources.list.d"];

/// Makes sure that there is a base image; returns its name.
pub(super) async fn ensure(engine: &Engine, host: &BuildHost) -> anyhow::Result<&'static str> {
    // Ours first: where it was made once, no registry had answered.
    for name in [MADE, PULLED] {
        if engine.image_exists(name).await? {
            return Ok(name);
        }
    }
    if pull(engine).await {
        return Ok(PULLED);
    }
    make(engine, host).await?;
    Ok(MADE)
}

/// Whether a registry gave us the image.
async fn pull(engine: &Engine) -> bool {
    let step = Step::begin(format!("pulling {PULLED}"));
    let reference: ImageReference = PULLED.parse().expect("the name is a valid reference");
    let (events, mut seen) = mpsc::unbounded_channel();
    let pull = engine.pull(&reference, |event| {
        // The receiver is gone only when we have given up.
        let _ = events.send(event.status);
    });
    tokio::pin!(pull);
    loop {
        tokio::select! {
            result = &mut pull => match result {
                Ok(()) => {
                    step.done("");
                    return true;
                }
                Err(error) => {
                    step.done(&format!("not to be had ({error})"));
                    return false;
                }
            },
            event = timeout(SILENCE, seen.recv()) => match event {
                Ok(Some(status)) => step.line(&status),
                Ok(None) | Err(_) => {
                    step.done("the registry does not answer");
                    return false;
                }
            },
        }
    }
}

async fn make(engine: &Engine, host: &BuildHost) -> anyhow::Result<()> {
    packages::ensure(&packages::BASE_IMAGE).await?;
    let step = Step::begin(format!("making {MADE} from Debian's packages"));
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("root");
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", INCLUDED, SUITE]).arg(&root);
    if let Some(mirror) = apt_mirror() {
        command.arg(mirror);
    }
    // It fetches with wget, which does not read apt's settings.
    command.envs(host.apt_arguments());
    process::run(&step, &mut command)
        .await
        .context("cannot make a Debian root file system; debootstrap needs root")?;
    for path in LEFT_OUT {
        empty(&root.join(path))?;
    }
    let archive = dir.path().join("root.tar");
    // Docker makes /dev, /proc and /sys anew in each container.
    let mut command = Command::new("tar");
    command.args(["--one-file-system", "--numeric-owner"]);
    command.args(["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*"]);
    command.arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".");
    process::run(&step, &mut command).await?;
    step.line("importing");
    engine.import_file(&archive, MADE, &["CMD [\"bash\"]"]).await?;
    step.done("");
    Ok(())
}

/// Removes what a directory holds, and keeps it.
fn empty(dir: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The Debian mirror that this machine uses; `None` for debootstrap's own.
fn apt_mirror() -> Option<String> {
    let [list, dir] = APT_SOURCES;
    let mut files = vec![list.into()];
    files.extend(fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()));
    files.iter().filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| mirror_in(&text))
}

/// The first Debian archive in one of apt's files, in either of its formats.
fn mirror_in(sources: &str) -> Option<String> {
    let lines = sources.lines().map(str::trim);
    let words = lines
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace);
    let mut urls = words.filter(|word| word.starts_with("http://") || word.starts_with("https://"));
    // Mirrors of other archives (security updates, other vendors) end otherwise.
    urls.find(|url| url.trim_end_matches('/').ends_with("/debian")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_found_in_both_formats_of_apt() {
        let stanza = "Types: deb\n# URIs: http://old.example/debian\n\
                      URIs: http://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(mirror_in(stanza).unwrap(), "http://mirror.example/debian");
        let line = "# deb http://old.example/debian x main\n\
                    deb [signed-by=/k.gpg] https://mirror.example/debian/ trixie main\n";
        assert_eq!(mirror_in(line).unwrap(), "https://mirror.example/debian/");
    }

    #[test]
    fn archives_that_are_not_debian_itself_are_passed_over() {
        let others = "deb https://vendor.example/apt stable main\n\
                      deb http://mirror.example/debian-security bookworm-security main\n\
                      deb http://mirror.example/ubuntu jammy main\n";
        assert_eq!(mirror_in(others), None);
    }

    #[test]
    fn a_directory_is_emptied_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("log/apt")).unwrap();
        fs::write(dir.path().join("log/x"), "x").unwrap();
        empty(&dir.path().join("log")).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("log")).unwrap().count(), 0);
        empty(&dir.path().join("absent")).unwrap();
    }
}
