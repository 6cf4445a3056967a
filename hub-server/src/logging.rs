//! Where log lines go and what they look like.

mod fields;

use std::{
    fmt,
    io::{self, IsTerminal},
    sync::Arc,
};

use hub_proxy::LogWriter;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{MakeWriter, format::JsonFields},
    util::SubscriberInitExt,
};

use crate::{
    Clock, SystemClock,
    config::{LogConfig, LogFormat},
};

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
/// standard output. Nobody waits for whoever reads them; what the returned writer has is
/// to be [finished](LogWriter::finish) at the end. A second call does nothing.
///
/// # Errors
///
/// When there can be no thread that writes.
pub fn install(config: &LogConfig) -> io::Result<(Handle, LogWriter)> {
    let note = match config.format {
        LogFormat::Text => missing,
        LogFormat::Json => missing_as_json,
    };
    let writer = LogWriter::to(io::stderr(), note)?;
    let cloned = writer.clone();
    let colours = io::stderr().is_terminal();
    let (subscriber, handle) = subscriber(config, move || cloned.clone(), colours);
    if subscriber.try_init().is_err() {
        tracing::debug!("a log subscriber is installed already");
    }
    Ok((handle, writer))
}

/// In the place of lines that nobody took.
fn missing(lines: u64) -> String {
    format!("{}  WARN {}\n", SystemClock.now(), missing_words(lines))
}

fn missing_as_json(lines: u64) -> String {
    let (now, message) = (SystemClock.now().to_string(), missing_words(lines));
    let line = serde_json::json!({ "timestamp": now, "level": "WARN", "message": message });
    format!("{line}\n")
}

fn missing_words(lines: u64) -> String {
    format!("lines missing here, as the reader of this log was too slow: {lines}")
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
