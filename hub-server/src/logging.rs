//! Where log lines go and what they look like.

mod fields;

use std::{fmt, io::IsTerminal, sync::Arc};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{MakeWriter, format::JsonFields},
    util::SubscriberInitExt,
};

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
    // h2 warns of frames that a browser should not have sent: a line for each, as many as
    // anybody likes to send. Who wants them says so by the name.
    EnvFilter::try_new(format!("h2=error,{}", config.level))
}

/// Installs the process-wide subscriber. Called once, by the binary.
///
/// Lines go to standard error, so that commands may print their result to
/// standard output. A second call does nothing.
pub fn install(config: &LogConfig) -> Handle {
    let (subscriber, handle) = subscriber(config, std::io::stderr, std::io::stderr().is_terminal());
    if subscriber.try_init().is_err() {
        tracing::debug!("a log subscriber is installed already");
    }
    handle
}

/// What writes lines as `config` says to `writer`, with colours or without.
pub fn subscriber<W>(
    config: &LogConfig,
    writer: W,
    colours: bool,
) -> (Box<dyn Subscriber + Send + Sync>, Handle)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(config).unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(writer)
        .with_target(false);
    match config.format {
        LogFormat::Text => {
            let builder =
                builder.fmt_fields(fields::ForPeople).with_ansi(colours).with_filter_reloading();
            let levels = builder.reload_handle();
            // The subscriber lives as long as the process.
            let set = move |filter| drop(levels.reload(filter));
            (Box::new(builder.finish()), Handle(Some(Arc::new(set))))
        }
        LogFormat::Json => {
            let builder = builder
                .json()
                .flatten_event(true)
                // The one span there is, a request's; its list would say it again.
                .with_span_list(false)
                .fmt_fields(JsonFields::new())
                .with_filter_reloading();
            let levels = builder.reload_handle();
            let set = move |filter| drop(levels.reload(filter));
            (Box::new(builder.finish()), Handle(Some(Arc::new(set))))
        }
    }
}
