//! What is printed: tables and sentences for people, JSON for programs. Results
//! go to standard output, all that goes on meanwhile to standard error.

mod text;
mod time;

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Table, presets::NOTHING};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use serde_json::Value;

pub(crate) use self::text::printable;

/// Spaces between the columns of a table.
const GAP: u16 = 2;

/// Where results go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    now: Timestamp,
}

impl Output {
    /// Prints JSON or text; times are told as seen from now.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, now: clock() }
    }

    /// The same, at a later time: for a command that goes on for days.
    pub(crate) fn refreshed(&self) -> Self {
        Self { now: clock(), ..*self }
    }

    /// When this command began.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The same on the clock of this place.
    pub(crate) fn local(&self) -> Zoned {
        self.now.to_zoned(TimeZone::system())
    }

    /// Whether the result is to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result as JSON.
    pub(crate) fn json(&self, value: &Value) -> io::Result<()> {
        print(&format!("{value:#}\n"))
    }

    /// Prints one of many results as JSON, on a line of its own.
    pub(crate) fn json_line(&self, value: &Value) -> io::Result<()> {
        print(&format!("{value}\n"))
    }

    /// Prints one line of a result.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        print(&format!("{}\n", printable(text)))
    }

    /// Prints text of many lines as it is; at a terminal, what could do more than
    /// colour the text is taken out.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        match io::stdout().is_terminal() {
            true => print(&format!("{}{end}", text::for_terminal(text))),
            false => print(&format!("{text}{end}")),
        }
    }

    /// Prints a table, or `empty` when it has no rows.
    pub(crate) fn table<const N: usize>(
        &self,
        header: [&str; N],
        rows: &[[String; N]],
        empty: &str,
    ) -> io::Result<()> {
        match rows {
            [] => self.line(empty),
            rows => print(&table(Some(header), rows)),
        }
    }

    /// Prints what is known of one thing, a line each.
    pub(crate) fn facts(&self, facts: &[[String; 2]]) -> io::Result<()> {
        print(&table(None, facts))
    }

    /// Tells what goes on, on standard error.
    pub(crate) fn note(&self, text: &str) {
        // Nobody may be listening any more; the command goes on.
        let _ = writeln!(io::stderr().lock(), "{}", printable(text));
    }

    /// A point in time as people say it, or `never`.
    pub(crate) fn when(&self, at: Option<Timestamp>, never: &str) -> String {
        at.map_or_else(|| never.to_owned(), |at| time::relative(at, self.now))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tool's only look at the clock, for \"3 min ago\" and names of backups"
)]
fn clock() -> Timestamp {
    Timestamp::now()
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn table<const N: usize>(header: Option<[&str; N]>, rows: &[[String; N]]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if let Some(header) = header {
        table.set_header(header);
    }
    table.add_rows(rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    format!("{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_plain() {
        let rows =
            [["ada".to_owned(), "yes".to_owned()], ["grace hopper".to_owned(), String::new()]];
        assert_eq!(
            table(Some(["NAME", "ADMIN"]), &rows),
            "NAME          ADMIN\nada           yes\ngrace hopper\n"
        );
    }
}
