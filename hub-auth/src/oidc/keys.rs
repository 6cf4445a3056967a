//! The keys that a provider signs with now.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::discovery;
use crate::{AuthError, outbound::Outbound};

/// How long to wait before unknown keys are looked for again. Tokens come from the
/// provider itself, so this only guards against one that is broken.
const PAUSE: Duration = Duration::from_secs(60);

const WHAT: &str = "its keys";

/// The keys as last read.
#[derive(Default)]
pub(super) struct Keys {
    read: Mutex<Option<Read>>,
}

#[derive(Clone)]
struct Read {
    keys: Arc<JwkSet>,
    /// When they were last read because of an unknown key.
    again: Option<Instant>,
}

/// RFC 7517 section 5, with keys of any kind.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Keys {
    /// The keys; read if they never were.
    pub(super) async fn known(
        &self,
        outbound: &Outbound,
        url: &Url,
    ) -> Result<Arc<JwkSet>, AuthError> {
        if let Some(read) = self.last() {
            return Ok(read.keys);
        }
        let keys = fetch(outbound, url).await?;
        self.remember(Read { keys: Arc::clone(&keys), again: None });
        Ok(keys)
    }

    /// The keys after a rotation; `None` if they were read only just now.
    pub(super) async fn read_again(
        &self,
        outbound: &Outbound,
        url: &Url,
    ) -> Result<Option<Arc<JwkSet>>, AuthError> {
        let last = self.last().and_then(|read| read.again);
        if last.is_some_and(|last| last.elapsed() < PAUSE) {
            return Ok(None);
        }
        let keys = fetch(outbound, url).await?;
        self.remember(Read { keys: Arc::clone(&keys), again: Some(Instant::now()) });
        Ok(Some(keys))
    }

    /// A panic elsewhere cannot leave it half changed.
    fn last(&self) -> Option<Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, read: Read) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
    }
}

async fn fetch(outbound: &Outbound, url: &Url) -> Result<Arc<JwkSet>, AuthError> {
    let Document { keys } = discovery::read(outbound, url.as_str(), WHAT).await?;
    // One by one: keys of kinds that we do not know are none of ours.
    let keys = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Ok(Arc::new(JwkSet { keys: keys.collect() }))
}
