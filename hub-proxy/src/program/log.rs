//! Lines as configurable-http-proxy writes them, on standard output.

use std::{fmt, io::IsTerminal};

use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::args::LogFormat;
use crate::clock;

/// `<ISO time> [ConfigProxy] <level>: <message>` (G-01). Other tools wait for
/// some of these lines.
struct Line;

/// Installs the log of the process.
pub(super) fn install(level: LevelFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt().with_max_level(level);
    let installed = match format {
        LogFormat::Text => {
            let log = log.with_ansi(std::io::stdout().is_terminal()).event_format(Line);
            log.finish().with(told(level)).try_init()
        }
        LogFormat::Json => log.json().flatten_event(true).finish().with(told(level)).try_init(),
    };
    if installed.is_err() {
        tracing::debug!("a log subscriber is installed already");
    }
}

/// Who tells what. h2 warns of frames that a client should not have sent: a line for
/// each, as many as anybody likes to send.
fn told(level: LevelFilter) -> Targets {
    let of_h2 = if level < LevelFilter::DEBUG { LevelFilter::ERROR.min(level) } else { level };
    Targets::new().with_default(level).with_target("h2", of_h2)
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (name, colour) = match *event.metadata().level() {
            Level::ERROR => ("error", 31),
            Level::WARN => ("warn", 33),
            Level::INFO => ("info", 32),
            Level::DEBUG | Level::TRACE => ("debug", 34),
        };
        let time = clock::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
        match writer.has_ansi_escapes() {
            true => write!(writer, "{time} [ConfigProxy] \x1b[{colour}m{name}\x1b[39m: ")?,
            false => write!(writer, "{time} [ConfigProxy] {name}: ")?,
        }
        ctx.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
