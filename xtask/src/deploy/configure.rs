//! The operator's files, brought to where hub and proxy read them.

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::{
    certificates,
    containers::{self, FORGET_DEADLINE},
    files::{self, CONFIG_DIR, Files, OPERATOR_TOKEN, PROXY_TOKEN, SECRETS_DIR},
    layout::{PROXY_DIR, UID},
    operator::Operator,
    report,
    settings::Settings,
    tokens,
    volume::{self, Back, Difference, Place},
};

/// The directories of the hub's volume in which there is nothing but the operator's.
const OPERATORS: [&str; 2] = [CONFIG_DIR, SECRETS_DIR];

/// Why files are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Containers follow, new ones where that is needed.
    Deployment,
    /// The programs go on, and look at their files again.
    Reload,
}

/// What was brought.
#[derive(Clone, Debug)]
pub(super) struct Brought {
    /// The files that were not like this before, also those that are gone now.
    pub(super) changed: Vec<String>,
    /// Changes with the token that the operator wants hub and proxy to use.
    pub(super) token_mark: String,
    /// What it takes to have the hub's files as they were.
    back: Back,
    /// The same for the proxy's.
    back_of_proxy: Back,
}

impl Brought {
    /// Whether hub and proxy know each other by something else now.
    pub(super) fn has_new_token(&self) -> bool {
        self.changed.iter().any(|name| name == PROXY_TOKEN)
    }

    /// Makes the hub's files what they were, for the hub that was.
    pub(super) async fn undo(
        &self,
        operator: &Operator,
        settings: &Settings,
        image: &str,
        owner: u32,
    ) -> anyhow::Result<()> {
        let place = of_hub(settings);
        volume::with(operator, &settings.layout, image, place, async |data| {
            data.write(&self.back.write, owner).await
        })
        .await?;
        if let Some(token) = self.back.write.get(PROXY_TOKEN) {
            let token = Files::from([(PROXY_TOKEN.to_owned(), token.clone())]);
            to_proxy(operator, settings, image, &token).await?;
        }
        forget(operator, settings, image, owner, &self.back.remove).await
    }

    /// Makes the files of both what they were, for programs that go on (CFG-1).
    pub(super) async fn undo_reload(
        &self,
        operator: &Operator,
        settings: &Settings,
        image: &str,
        owner: u32,
    ) -> anyhow::Result<()> {
        if !self.back_of_proxy.write.is_empty() {
            to_proxy(operator, settings, image, &self.back_of_proxy.write).await?;
        }
        self.undo(operator, settings, image, owner).await
    }
}

async fn to_proxy(
    operator: &Operator,
    settings: &Settings,
    image: &str,
    files: &Files,
) -> anyhow::Result<()> {
    volume::with(operator, &settings.layout, image, of_proxy(settings), async |keys| {
        keys.write(files, UID).await
    })
    .await
}

fn of_hub(settings: &Settings) -> Place<'_> {
    let layout = &settings.layout;
    Place { volume: &layout.data, target: &layout.data_dir, container: &layout.hub }
}

fn of_proxy(settings: &Settings) -> Place<'_> {
    let layout = &settings.layout;
    Place { volume: &layout.keys, target: PROXY_DIR, container: &layout.proxy }
}

/// Makes the files in both volumes what the operator's are, as far as they differ.
pub(super) async fn bring(
    operator: &Operator,
    settings: &Settings,
    image: &str,
    owner: u32,
    occasion: Occasion,
) -> anyhow::Result<Brought> {
    let layout = &settings.layout;
    let mut wanted = files::of_hub(settings).map_err(report::problems)?;
    let mut proxys = files::of_proxy(settings).map_err(report::problems)?;
    proxys.extend(certificates::of_volume(operator, settings, image).await?);
    let (difference, token_mark) =
        volume::with(operator, layout, image, of_hub(settings), async |data| {
            let there = data.read(&OPERATORS).await?;
            let token_mark = settle_tokens(&mut wanted, &there, occasion)?;
            let difference = Difference::between(&there, &wanted);
            volume::write(operator, data, &difference.write, owner).await?;
            anyhow::Ok((difference, token_mark))
        })
        .await
        .context("the hub's files could not be brought to its volume")?;
    forget(operator, settings, image, owner, &difference.remove).await?;
    proxys.insert(PROXY_TOKEN.to_owned(), wanted[PROXY_TOKEN].clone());
    let of_proxy = volume::with(operator, layout, image, of_proxy(settings), async |keys| {
        let there = keys.read(&["certs", SECRETS_DIR]).await?;
        let difference = Difference::between(&there, &proxys);
        volume::write(operator, keys, &difference.write, UID).await?;
        anyhow::Ok(difference)
    })
    .await
    .context("the proxy's files could not be brought to its volume")?;
    let mut changed: Vec<String> = difference.write.into_keys().chain(difference.remove).collect();
    // What a proxy has and does not use any more does no harm.
    changed.extend(of_proxy.write.into_keys());
    changed.sort();
    changed.dedup();
    let (back, back_of_proxy) = (difference.back, of_proxy.back);
    Ok(Brought { changed, token_mark, back, back_of_proxy })
}

/// Puts the tokens that nobody has chosen among the wanted files: those that are
/// there, or new ones. Returns the mark of the wanted token of the proxy.
///
/// A hub that goes on knows its own token only, so a reload brings no other.
fn settle_tokens(wanted: &mut Files, there: &Files, occasion: Occasion) -> anyhow::Result<String> {
    for name in [PROXY_TOKEN, OPERATOR_TOKEN] {
        let token = tokens::of(there, name)?;
        wanted.entry(name.to_owned()).or_insert(token);
    }
    let mark = mark(&wanted[PROXY_TOKEN]);
    if let Some(known) = there.get(PROXY_TOKEN).filter(|_| occasion == Occasion::Reload) {
        wanted.insert(PROXY_TOKEN.to_owned(), known.clone());
    }
    Ok(mark)
}

/// Some digits that change with a token and do not give it away.
fn mark(token: &[u8]) -> String {
    const DIGITS: usize = 8;
    let hash: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    hash[..DIGITS].to_owned()
}

/// Removes files from the hub's volume.
async fn forget(
    operator: &Operator,
    settings: &Settings,
    image: &str,
    owner: u32,
    names: &[String],
) -> anyhow::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut spec = containers::forget(settings, image, owner, names);
    spec.labels = operator.helper_labels(&settings.layout);
    let call = format!(
        "POST /containers/create and start (helper: hub-server forget {})",
        names.join(" ")
    );
    let run = operator.engine().run_to_end(&spec, FORGET_DEADLINE);
    let done = operator.change(call, run).await.context("files could not be removed")?;
    if let Some(done) = done {
        anyhow::ensure!(done.code == 0, "files could not be removed: {}", done.output.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(token: &str) -> Files {
        Files::from([(PROXY_TOKEN.to_owned(), token.as_bytes().to_vec())])
    }

    #[test]
    fn env_1_the_operators_token_goes_before_the_one_that_is_there() {
        let (mut chosen, mut open) = (files("new"), Files::new());
        let there = files("old");
        let chosen_mark = settle_tokens(&mut chosen, &there, Occasion::Deployment).unwrap();
        let open_mark = settle_tokens(&mut open, &there, Occasion::Deployment).unwrap();
        assert_eq!(chosen[PROXY_TOKEN], b"new");
        assert_eq!(open[PROXY_TOKEN], b"old");
        assert_eq!((chosen_mark, open_mark), (mark(b"new"), mark(b"old")));
        assert!(!open[OPERATOR_TOKEN].is_empty(), "one is made");
    }

    #[test]
    fn cfg_1_a_reload_tells_of_another_token_and_does_not_bring_it() {
        let mut wanted = files("new");
        let told = settle_tokens(&mut wanted, &files("old"), Occasion::Reload).unwrap();
        assert_eq!((told, wanted[PROXY_TOKEN].as_slice()), (mark(b"new"), b"old".as_slice()));
    }
}
