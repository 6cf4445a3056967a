//! Fields of log lines for people.
//!
//! A request's line says in its message what `http.*` says in fields, so these are
//! left out here; a program that reads JSON gets them.

use std::{error::Error, fmt};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// Fields that a line for people leaves out.
const FOR_PROGRAMS: &str = "http.";

/// The message, then `name=value` for each field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ForPeople;

impl<'w> FormatFields<'w> for ForPeople {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { writer, empty: true, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    empty: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let name = field.name();
        if self.result.is_err() || name.starts_with(FOR_PROGRAMS) {
            return;
        }
        let gap = if std::mem::replace(&mut self.empty, false) { "" } else { " " };
        self.result = match name {
            "message" => write!(self.writer, "{gap}{value}"),
            name => write!(self.writer, "{gap}{name}={value}"),
        };
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Text that others chose is in such values, and must not steer a terminal.
        let text = format!("{value:?}");
        let plain: String = text
            .chars()
            .flat_map(|one| {
                let escaped = one.is_control().then(|| one.escape_default());
                let kept = escaped.is_none().then_some(one);
                kept.into_iter().chain(escaped.into_iter().flatten())
            })
            .collect();
        self.write(field, format_args!("{plain}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    /// With all its causes.
    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let text = crate::chain(error);
        self.record_debug(field, &format_args!("{text}"));
    }
}
