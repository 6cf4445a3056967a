//! Have the image, or say why not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::sync::watch;

use super::{PullPolicy, blueprint::Blueprint, error::image_error, error::spawn_error};
use crate::{
    Progress, SpawnError,
    engine::{Credentials, Engine, EngineError, ImageReference, PullMeter},
};

/// The part of a start's progress that fetching the image takes.
const PULL_SHARE: u8 = 50;

/// The pulls under way: starts that need the same image share one (SPN-13).
#[derive(Debug, Default)]
pub(super) struct Images {
    pulls: Mutex<BTreeMap<ImageReference, Running>>,
}

type Pull = BoxFuture<'static, Result<(), Arc<EngineError>>>;

/// A pull that somebody waits for. It is driven by those who wait and ends with
/// the last of them; what was fetched by then, the daemon keeps.
#[derive(Debug)]
struct Running {
    pull: WeakShared<Pull>,
    percent: watch::Receiver<u8>,
}

impl Images {
    /// Makes sure that the image is there, as the pull policy says.
    pub(super) async fn ensure(
        &self,
        engine: &Engine,
        blueprint: &Blueprint,
        progress: &Progress,
    ) -> Result<(), SpawnError> {
        let image = blueprint.image.to_string();
        let wanted = match blueprint.pull_policy {
            PullPolicy::Skip => return Ok(()),
            PullPolicy::Always => true,
            PullPolicy::IfNotPresent | PullPolicy::Never => !engine
                .image_exists(&image)
                .await
                .map_err(|error| spawn_error("look for the image", error))?,
        };
        if !wanted {
            return Ok(());
        }
        if blueprint.pull_policy == PullPolicy::Never {
            return Err(SpawnError::ImageUnavailable {
                reason: "it is not on the host, and the pull policy is `never`".to_owned(),
                source: format!("no image {image}").into(),
                image,
            });
        }
        let credentials = Credentials::find(
            &blueprint.image,
            &blueprint.registry_auth,
            blueprint.config_dir.as_deref(),
        );
        let credentials = credentials.await.map_err(|error| SpawnError::Rejected {
            what: format!("the setting {}", error.key),
            reason: error.reason,
        })?;
        let pull = self.pull(engine, &blueprint.image, credentials, progress);
        match tokio::time::timeout(blueprint.pull_timeout, pull).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(match Arc::try_unwrap(error) {
                Ok(error) => image_error(&image, error),
                Err(shared) => image_error(&image, shared.retold()),
            }),
            Err(_) => Err(SpawnError::TimedOut {
                what: "fetching the image",
                after: blueprint.pull_timeout,
            }),
        }
    }

    async fn pull(
        &self,
        engine: &Engine,
        image: &ImageReference,
        credentials: Option<Credentials>,
        progress: &Progress,
    ) -> Result<(), Arc<EngineError>> {
        let message = format!("Fetching the image {image}");
        let (mut pull, mut percent) = self.join(engine, image, credentials);
        progress.report(share(*percent.borrow_and_update()), &message);
        loop {
            tokio::select! {
                biased;
                done = &mut pull => return done,
                Ok(()) = percent.changed() => {
                    progress.report(share(*percent.borrow_and_update()), &message);
                }
            }
        }
    }

    /// The pull of `image` that is under way, or a new one.
    fn join(
        &self,
        engine: &Engine,
        image: &ImageReference,
        credentials: Option<Credentials>,
    ) -> (Shared<Pull>, watch::Receiver<u8>) {
        let mut pulls = self.pulls.lock().expect("nothing panics while holding the lock");
        if let Some(running) = pulls.get(image)
            && let Some(pull) = running.pull.upgrade()
        {
            return (pull, running.percent.clone());
        }
        let (tell, percent) = watch::channel(0);
        let (engine, image_) = (engine.clone(), image.clone());
        let pull: Pull = async move {
            let mut meter = PullMeter::default();
            let answer = engine.pull_as(&image_, credentials.as_ref(), |event| {
                let percent = meter.on(&event);
                tell.send_if_modified(|told| std::mem::replace(told, percent) != percent);
            });
            answer.await.map_err(Arc::new)
        }
        .boxed();
        let pull = pull.shared();
        if let Some(weak) = pull.downgrade() {
            pulls.insert(image.clone(), Running { pull: weak, percent: percent.clone() });
        }
        (pull, percent)
    }
}

fn share(percent: u8) -> u8 {
    (u16::from(percent) * u16::from(PULL_SHARE) / 100) as u8
}
