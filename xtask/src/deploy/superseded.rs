//! Images that are not needed any more: each release of the hub leaves one, and so
//! does each build of `singleuser/`.

use hub_spawner::engine::{ContainerSummary, EngineError, ImageSummary, Labels};

use super::{
    operator::Operator,
    release::{REPOSITORY, Release},
    settings::Settings,
};

/// Removes the images of earlier releases that no container of any deployment uses,
/// except the one that was used until now, for the way back.
pub(super) async fn remove_releases(
    operator: &Operator,
    release: &Release,
    until_now: &str,
) -> anyhow::Result<()> {
    let engine = operator.engine();
    let Some(scratch) = &release.scratch else { return Ok(()) };
    if engine.image_id(until_now).await? == engine.image_id(&release.image).await? {
        return Ok(());
    }
    // Another run may be about to make a container of an image that nothing uses yet.
    let Some(_alone) = scratch.alone()? else { return Ok(()) };
    let images = engine.images(&Labels::new()).await?;
    let containers = engine.containers(&Labels::new()).await?;
    for name in superseded(&images, &containers, &release.image, until_now) {
        remove(operator, name).await?;
    }
    Ok(())
}

/// The names of images of earlier releases that nothing uses.
fn superseded<'a>(
    images: &'a [ImageSummary],
    containers: &[ContainerSummary],
    now: &str,
    until_now: &str,
) -> Vec<&'a str> {
    let is_release = |tag: &&String| {
        // Podman tells where it is from.
        let tag = tag.strip_prefix("localhost/").unwrap_or(tag);
        tag.strip_prefix(REPOSITORY).is_some_and(|rest| rest.starts_with(':')) && tag != now
    };
    images
        .iter()
        .filter(|image| image.id != until_now)
        .filter(|image| {
            !containers.iter().any(|one| one.image == image.id || image.tags.contains(&one.image))
        })
        .flat_map(|image| image.tags.iter().filter(is_release).map(String::as_str))
        .collect()
}

/// Removes what a newer build of `singleuser/` took the name from.
pub(super) async fn remove_builds(operator: &Operator, settings: &Settings) -> anyhow::Result<()> {
    let mut labels = settings.layout.labels("image");
    labels.remove("hub.version");
    for image in operator.engine().images(&labels).await? {
        if image.tags.is_empty() {
            remove(operator, &image.id).await?;
        }
    }
    Ok(())
}

async fn remove(operator: &Operator, image: &str) -> Result<(), EngineError> {
    let call = format_args!("DELETE /images/{image}");
    match operator.change(call, operator.engine().remove_image(image)).await {
        Ok(_) => Ok(()),
        // A container was made of it meanwhile, or another image is built on it.
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_of_releases_that_nothing_uses_are_superseded() {
        let image = |id: &str, tags: &[&str]| ImageSummary {
            id: id.to_owned(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            labels: Labels::new(),
        };
        let container = |image: &str| ContainerSummary {
            id: "c".to_owned(),
            name: "c".to_owned(),
            image: image.to_owned(),
            state: "exited".to_owned(),
            labels: Labels::new(),
            created: 0,
        };
        let images = [
            image("1", &["notebook-hub:one"]),
            image("2", &["localhost/notebook-hub:two", "kept:by-hand"]),
            image("3", &["notebook-hub:used"]),
            image("4", &["notebook-hub:used-by-id"]),
            image("5", &["notebook-hub:until-now"]),
            image("6", &["notebook-hub:now"]),
            image("7", &["notebook-hub-of-others:1"]),
            image("8", &[]),
        ];
        let containers = [container("notebook-hub:used"), container("4")];
        let found = superseded(&images, &containers, "notebook-hub:now", "5");
        assert_eq!(found, ["notebook-hub:one", "localhost/notebook-hub:two"]);
    }
}
