//! Changed files, brought to programs that run.

use std::time::Duration;

use anyhow::{Context, bail};
use hub_spawner::engine::ContainerDetails;

use super::{
    configure::{self, Brought, Occasion},
    container::SPEC_HASH,
    containers::{self, Identity, Wanted},
    ear::Ear,
    handover,
    layout::Layout,
    networks,
    operator::Operator,
    report,
    settings::Settings,
};

/// How long the programs get to say what they have taken up.
const DEADLINE: Duration = Duration::from_secs(15);

/// What a program says last of files that it was told to read again.
#[derive(Clone, Copy, Debug)]
struct Says {
    taken: &'static str,
    refused: &'static str,
}

const HUB: Says = Says { taken: "configuration reloaded", refused: "was not reloaded" };
const PROXY: Says = Says { taken: "were read again", refused: "was not replaced" };

/// Copies what has changed into the volumes, has hub and proxy look, and tells
/// what they say about it. If one of them refuses, both have their old files
/// again (CFG-1).
pub(super) async fn run(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    super::check_files(settings).context("nothing was changed")?;
    let layout = &settings.layout;
    let engine = operator.engine();
    let Some(hub) = engine.inspect(&layout.hub).await? else {
        bail!("there is no container {}; `{}` makes it", layout.hub, settings.command(""));
    };
    let hubs = Ear::begin(engine, &layout.hub).await?;
    let proxys = Ear::begin(engine, &layout.proxy).await?;
    let (image, owner) = (&hub.image_id, Identity::of(&hub).user);
    let brought = configure::bring(operator, settings, image, owner, Occasion::Reload).await?;
    let Brought { changed, token_mark, .. } = &brought;
    if changed.is_empty() {
        report::line("files", "unchanged");
    } else {
        report::line("files", &format!("{} brought to the containers", changed.join(", ")));
        let outcome = async {
            read_again(operator, layout).await?;
            if operator.is_dry_run() {
                return Ok(());
            }
            let hubs = heard(&hubs, HUB).await?;
            let proxys = match changed.iter().any(|path| path.starts_with("certs/tls.")) {
                true => heard(&proxys, PROXY).await?,
                false => Answer::Taken,
            };
            verdict(settings, [(&layout.hub, hubs), (&layout.proxy, proxys)])
        };
        if let Err(error) = outcome.await {
            let back = async {
                brought.undo_reload(operator, settings, image, owner).await?;
                read_again(operator, layout).await
            };
            return Err(match back.await {
                Ok(()) => error.context("nothing was changed: both have their old files again"),
                Err(trouble) => error.context(format!(
                    "the old files could not be brought back ({trouble:#}); correct them and \
                     reload again"
                )),
            });
        }
    }
    if wants_another_container(operator, settings, &hub, token_mark).await? {
        eprintln!(
            "  variables or files say something that only a new container takes up: \
             `{}` (notebooks go on)",
            settings.command("upgrade")
        );
    }
    Ok(())
}

/// Has both programs look at their files.
async fn read_again(operator: &Operator, layout: &Layout) -> anyhow::Result<()> {
    for name in [&layout.proxy, &layout.hub] {
        operator
            .change(
                format_args!("POST /containers/{name}/kill?signal=SIGHUP"),
                operator.engine().signal(name, "SIGHUP"),
            )
            .await?;
    }
    Ok(())
}

/// What became of the files of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    Refused,
    /// It did not say.
    Silence,
}

impl Answer {
    /// Read from what a program wrote until its last word.
    fn of(lines: &[String], says: Says) -> Self {
        match lines.last() {
            Some(line) if line.contains(says.taken) => Self::Taken,
            Some(line) if line.contains(says.refused) => Self::Refused,
            _ => Self::Silence,
        }
    }
}

/// Prints what a program writes until it has said what became of the reload.
async fn heard(ear: &Ear<'_>, says: Says) -> anyhow::Result<Answer> {
    let until = [says.taken, says.refused];
    let Ok(lines) = tokio::time::timeout(DEADLINE, ear.until(&until)).await else {
        return Ok(Answer::Silence);
    };
    let lines = lines?;
    lines.iter().for_each(|line| report::line(ear.name(), line));
    Ok(Answer::of(&lines, says))
}

/// Whether all have taken up what there is to take up.
fn verdict(settings: &Settings, answers: [(&String, Answer); 2]) -> anyhow::Result<()> {
    for (name, answer) in answers {
        match answer {
            Answer::Taken => {}
            Answer::Refused => bail!(
                "{name} refused the new files, its lines above say why. If they are meant for a \
                 hub that starts with them: `{}`",
                settings.command("upgrade")
            ),
            Answer::Silence => bail!(
                "{name} did not say within {} s what became of the new files; `{}` shows what it \
                 does",
                DEADLINE.as_secs(),
                settings.command("logs")
            ),
        }
    }
    Ok(())
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
        identity: Identity::of(hub),
        token_mark,
    };
    let proxy = engine.inspect(&layout.proxy).await?;
    let hubs = containers::hub(settings, &wanted).fingerprint();
    let hub_is_as_wanted = hub.labels.get(SPEC_HASH) == Some(&hubs);
    let proxys = containers::proxy(settings, &wanted);
    let proxy_is_as_wanted = proxy.is_some_and(|found| handover::is_made_from(&found, proxys));
    Ok(!hub_is_as_wanted || !proxy_is_as_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cfg_1_a_reload_that_one_of_them_refuses_is_none() {
        let lines = |text: &str| vec!["first".to_owned(), text.to_owned()];
        let taken = Answer::of(&lines("INFO configuration reloaded applied=\"\""), HUB);
        let old = "ERROR the configuration was not reloaded; the old one stays";
        let refused = Answer::of(&lines(old), HUB);
        assert_eq!((taken, refused), (Answer::Taken, Answer::Refused));
        assert_eq!(Answer::of(&lines("INFO Certificate and key were read again"), PROXY), taken);
        let (hub, proxy) = ("hub".to_owned(), "proxy".to_owned());
        let settings =
            Settings::with_problems("/nowhere".as_ref(), [("", "")].into_iter().collect()).0;
        let said = |hubs, proxys| {
            verdict(&settings, [(&hub, hubs), (&proxy, proxys)]).map_err(|error| error.to_string())
        };
        assert_eq!(said(taken, taken), Ok(()));
        assert!(said(refused, taken).unwrap_err().starts_with("hub refused"));
        assert!(said(taken, refused).unwrap_err().starts_with("proxy refused"));
        assert!(said(Answer::Silence, taken).unwrap_err().contains("did not say"));
    }
}
