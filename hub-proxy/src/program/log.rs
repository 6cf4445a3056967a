//! Lines as configurable-http-proxy writes them, on standard output.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::args::LogFormat;
use crate::{LogWriter, clock};

/// `<ISO time> [ConfigProxy] <level>: <message>` (G-01). Other tools wait for
/// some of these lines.
struct Line;

/// Installs the log of the process.
///
/// # Errors
///
/// When there can be no thread to write it.
pub(super) fn install(level: LevelFilter, format: LogFormat) -> io::Result<LogWriter> {
    let note = match format {
        LogFormat::Text => missing,
        LogFormat::Json => missing_as_json,
    };
    let output = LogWriter::to(io::stdout(), note)?;
    let writer = output.clone();
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone());
    let installed = match format {
        LogFormat::Text => {
            let log = log.with_ansi(io::stdout().is_terminal()).event_format(Line);
            log.finish().with(told(level)).try_init()
        }
        LogFormat::Json => log.json().flatten_event(true).finish().with(told(level)).try_init(),
    };
    if installed.is_err() {
        tracing::debug!("a log subscriber is installed already");
    }
    Ok(output)
}

/// In the place of lines that nobody took.
fn missing(lines: u64) -> String {
    format!("{} [ConfigProxy] warn: {}\n", now(), words(lines))
}

fn missing_as_json(lines: u64) -> String {
    let (now, words) = (now(), words(lines));
    let target = module_path!();
    format!(
        "{{\"timestamp\":\"{now}\",\"level\":\"WARN\",\"message\":\"{words}\",\
         \"target\":\"{target}\"}}\n"
    )
}

fn words(lines: u64) -> String {
    format!("lines missing here, as the reader of this log was too slow: {lines}")
}

fn now() -> impl fmt::Display {
    clock::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
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
        let time = now();
        match writer.has_ansi_escapes() {
            true => write!(writer, "{time} [ConfigProxy] \x1b[{colour}m{name}\x1b[39m: ")?,
            false => write!(writer, "{time} [ConfigProxy] {name}: ")?,
        }
        ctx.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
