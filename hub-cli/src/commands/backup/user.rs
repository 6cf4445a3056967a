//! `hub backup user`

use std::path::Path;

use anyhow::Context;
use hub_store::UserName;
use serde_json::json;

use crate::{
    args::UsageError,
    backup::{
        attributes::{Attributes, Unread},
        form::Form,
        progress::{Counted, Progress},
        reader,
        volume_index::{self, Index},
        volumes::Volumes,
        writer::{self, ArchiveWriter},
    },
    configuration::Located,
    output::Output,
};

pub(super) async fn run(
    output: &Output,
    located: &Located,
    user: &UserName,
    volume: Option<&str>,
    path: &Path,
) -> anyhow::Result<()> {
    let form = form(path)?;
    writer::refuse_existing(path)?;
    let volumes = located.volumes().await?;
    let volume = volumes
        .one_of(user, volume)
        .await?
        .with_context(|| format!("{user} has no volume; it is made when a server is started"))?;
    let index = Saving::new(output, &volumes).save(&volume, path, form).await?;
    if path == Path::new("-") {
        return Ok(());
    }
    let Some(index) = index else { return Ok(()) };
    if output.is_json() {
        let file = path.display().to_string();
        return Ok(output.json(&json!({
            "file": file, "user": user.as_str(), "volume": volume,
            "entries": index.entries, "bytes": index.bytes,
        }))?);
    }
    Ok(output.line(&format!(
        "{volume} is saved in {}: {} entries, {} bytes.",
        path.display(),
        index.entries,
        index.bytes
    ))?)
}

/// Saves volumes, one after the other.
#[derive(Debug)]
pub(super) struct Saving<'a> {
    output: &'a Output,
    volumes: &'a Volumes,
    /// Whether the image can list attributes, as far as it is known.
    lists_attributes: bool,
}

impl<'a> Saving<'a> {
    pub(super) fn new(output: &'a Output, volumes: &'a Volumes) -> Self {
        Self { output, volumes, lists_attributes: true }
    }

    /// Writes a volume's archive and reads it again; what went to standard output
    /// is not looked at.
    pub(super) async fn save(
        &mut self,
        volume: &str,
        path: &Path,
        form: Form,
    ) -> anyhow::Result<Option<Index>> {
        let mut archive = ArchiveWriter::create(path, form, None)?;
        let attributes = self.attributes(volume).await?;
        let progress = Progress::new(&format!("saving {volume}"));
        self.volumes.export(volume, attributes, &mut archive, &progress).await?;
        drop(progress);
        archive.finish()?;
        if path == Path::new("-") {
            return Ok(None);
        }
        let progress = Progress::new(&format!("reading {} again", path.display()));
        let ask = || Err(anyhow::anyhow!("the archive asks for a passphrase"));
        let inner = reader::open(path, ask)?;
        volume_index::scan(Counted { inner, progress })
            .map(Some)
            .with_context(|| format!("{} was written, but cannot be read again", path.display()))
    }

    /// The attributes of files, or none and a word about it: once, if it is the
    /// image that cannot list them.
    async fn attributes(&mut self, volume: &str) -> anyhow::Result<Attributes> {
        if !self.lists_attributes {
            return Ok(Attributes::default());
        }
        let (whose, error) = match self.volumes.attributes(volume).await? {
            Ok(found) => return Ok(found),
            Err(Unread::Volume(error)) => (format!("in {volume}"), error),
            Err(Unread::Image(error)) => {
                self.lists_attributes = false;
                let image = self.volumes.image();
                (format!("in {volume}, nor in volumes after it, by the image {image}"), error)
            }
        };
        self.output.note(&format!(
            "Attributes (user.*) of files could not be listed {whose}; all else is saved: {error:#}"
        ));
        Ok(Attributes::default())
    }
}

fn form(path: &Path) -> Result<Form, UsageError> {
    let form = Form::of_name(&path.to_string_lossy())?;
    if form.sealed {
        return Err(UsageError {
            message: "the archive of a user is not encrypted".to_owned(),
            hint: "write it to standard output with -o -, and encrypt it with a tool of yours"
                .to_owned(),
        });
    }
    Ok(form)
}
