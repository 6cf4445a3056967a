//! Where log lines go and what they look like.

use std::{fmt, io::IsTerminal, sync::Arc};

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::{LogConfig, LogFormat};

/// Changes the level of a log that is installed. Clones change the same one; the
/// default one changes nothing.
#[derive(Clone, Default)]
pub struct Handle(Option<Arc<dyn Fn(EnvFilter) + Send + Sync>>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0.is_some()).finish()
    }
}

impl Handle {
    /// Tells from now on what `filter` lets through.
    pub(crate) fn set(&self, filter: EnvFilter) {
        if let Some(set) = &self.0 {
            set(filter);
        }
    }
}

/// What `config` lets through.
///
/// # Errors
///
/// When the filter is malformed.
pub(crate) fn filter(config: &LogConfig) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(&config.level)
}

/// Installs the process-wide subscriber. Called once, by the binary.
///
/// Lines go to standard error, so that commands may print their result to
/// standard output. A second call does nothing.
pub fn install(config: &LogConfig) -> Handle {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(config).unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_target(false);
    let (installed, handle) = match config.format {
        LogFormat::Text => {
            let builder =
                builder.with_ansi(std::io::stderr().is_terminal()).with_filter_reloading();
            let levels = builder.reload_handle();
            // The subscriber lives as long as the process.
            let set = move |filter| drop(levels.reload(filter));
            (builder.try_init(), Handle(Some(Arc::new(set))))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let levels = builder.reload_handle();
            let set = move |filter| drop(levels.reload(filter));
            (builder.try_init(), Handle(Some(Arc::new(set))))
        }
    };
    if installed.is_err() {
        tracing::debug!("a log subscriber is installed already");
    }
    handle
}
