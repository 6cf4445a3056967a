//! Changed files, brought to programs that run.

use std::time::Duration;

use anyhow::{Context, bail};
use hub_spawner::engine::{ContainerDetails, Engine};
use tokio::time::{Instant, sleep};

use super::{
    configure::{self, Brought, Occasion},
    container::SPEC_HASH,
    containers::{self, RUN_AS, SOCKET_GROUP, Wanted},
    handover,
    layout::UID,
    networks,
    operator::Operator,
    report,
    settings::Settings,
};

/// How long the programs get to say what they have taken up.
const DEADLINE: Duration = Duration::from_secs(15);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// More lines than a reload writes.
const LINES: usize = 500;

/// What the hub says last of a reload, and what the proxy says of its files.
const HUB_SAYS: [&str; 2] = ["configuration reloaded", "was not reloaded"];
const PROXY_SAYS: [&str; 2] = ["were read again", "was not replaced"];

/// Copies what has changed into the volumes, has hub and proxy look, and tells
/// what they say about it.
pub(super) async fn run(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    super::check_files(settings).context("nothing was changed")?;
    let layout = &settings.layout;
    let engine = operator.engine();
    let Some(hub) = engine.inspect(&layout.hub).await? else {
        bail!("there is no container {}; `cargo xtask deploy` makes it", layout.hub);
    };
    let mut ears = [
        Ear { engine, name: &layout.hub, says: HUB_SAYS, known: String::new() },
        Ear { engine, name: &layout.proxy, says: PROXY_SAYS, known: String::new() },
    ];
    for ear in &mut ears {
        ear.known = ear.all().await?;
    }
    let (image, owner) = (&hub.image_id, run_as(&hub));
    let Brought { changed, token_mark, .. } =
        configure::bring(operator, settings, image, owner, Occasion::Reload).await?;
    if changed.is_empty() {
        report::line("files", "unchanged");
    } else {
        report::line("files", &format!("{} brought to the containers", changed.join(", ")));
        for name in [&layout.proxy, &layout.hub] {
            operator
                .change(
                    format_args!("POST /containers/{name}/kill?signal=SIGHUP"),
                    engine.signal(name, "SIGHUP"),
                )
                .await?;
        }
        if !operator.is_dry_run() {
            let [hub, proxy] = &ears;
            hub.tell().await?;
            if changed.iter().any(|path| path.starts_with("certs/tls.")) {
                proxy.tell().await?;
            }
        }
    }
    if wants_another_container(operator, settings, &hub, &token_mark).await? {
        eprintln!(
            "  variables or files say something that only a new container takes up: \
             `cargo xtask deploy upgrade` (notebooks go on)"
        );
    }
    Ok(())
}

/// Whom the hub runs as. Only root may use some sockets; then its files are
/// root's.
fn run_as(hub: &ContainerDetails) -> u32 {
    hub.labels.get(RUN_AS).and_then(|user| user.parse().ok()).unwrap_or(UID)
}

/// Whether hub or proxy would be made in another way now.
async fn wants_another_container(
    operator: &Operator,
    settings: &Settings,
    hub: &ContainerDetails,
    token_mark: &str,
) -> anyhow::Result<bool> {
    let engine = operator.engine();
    let layout = &settings.layout;
    let wanted = Wanted {
        image: &hub.image,
        networks: &networks::look(engine, layout).await?,
        run_as: run_as(hub),
        socket_group: hub.labels.get(SOCKET_GROUP).and_then(|group| group.parse().ok()),
        token_mark,
    };
    let proxy = engine.inspect(&layout.proxy).await?;
    let made = |found: &ContainerDetails| found.labels.get(SPEC_HASH).cloned();
    let hub_is_old = made(hub) != Some(containers::hub(settings, &wanted).fingerprint());
    let wanted = handover::fingerprint(&containers::proxy(settings, &wanted));
    Ok(hub_is_old || proxy.as_ref().and_then(made) != Some(wanted))
}

/// Listens to what a program writes from a moment on.
#[derive(Debug)]
struct Ear<'a> {
    engine: &'a Engine,
    name: &'a str,
    /// What its last line about a reload has in it.
    says: [&'static str; 2],
    /// What it had written before.
    known: String,
}

impl Ear<'_> {
    async fn all(&self) -> anyhow::Result<String> {
        Ok(self.engine.logs(self.name, LINES).await?.unwrap_or_default())
    }

    /// Prints its newer lines, once it has said what became of the reload.
    async fn tell(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let all = self.all().await?;
            let lines = newer(&self.known, &all);
            let last = lines.iter().rposition(|line| self.says.iter().any(|s| line.contains(s)));
            if let Some(last) = last {
                for line in &lines[..=last] {
                    report::line(self.name, line);
                }
                return Ok(());
            }
            if Instant::now() > deadline {
                report::line(self.name, "said nothing yet; `cargo xtask deploy logs` shows more");
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }
}

/// The lines of `all` that came after those in `known`.
fn newer<'a>(known: &str, all: &'a str) -> Vec<&'a str> {
    let lines: Vec<&str> = all.lines().collect();
    let after = known.lines().last().and_then(|last| lines.iter().rposition(|line| *line == last));
    lines[after.map_or(0, |at| at + 1)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_newer_lines_are_told() {
        assert_eq!(newer("1 a\n2 b\n", "2 b\n3 c\n4 d\n"), ["3 c", "4 d"]);
        assert_eq!(newer("", "1 a\n"), ["1 a"]);
        assert!(newer("1 a\n", "1 a\n").is_empty());
    }
}
