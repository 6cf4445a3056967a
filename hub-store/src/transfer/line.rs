//! The lines of an export, one by one.

use std::io::{BufRead, Read as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{FORMAT, VERSION};
use crate::StoreError;

/// A longer line is no row of ours; it is not read into memory.
const LONGEST_LINE: u64 = 64 << 20;

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// `hub-store`.
    pub format: String,
    /// The version of the format, 1.
    pub version: u32,
    /// The number of the last migration the rows have seen.
    pub schema: i64,
    /// The program that has written it, with its version.
    pub program: String,
    /// When it was written.
    pub created: Timestamp,
}

/// Before the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) table: String,
    pub(super) columns: Vec<String>,
    /// The highest id ever given to a row, where the database gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_id: Option<i64>,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) end: Totals,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) rows: u64,
}

/// Any line but the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Table(Table),
    Row(Vec<Json>),
    End(Totals),
}

/// An export that is read line by line; errors name the line.
pub(super) struct Lines<R> {
    input: R,
    number: u64,
    text: String,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0, text: String::new() }
    }

    /// The first line.
    pub(super) fn header(&mut self) -> Result<Header, StoreError> {
        self.advance()?;
        let header: Header = serde_json::from_str(&self.text)
            .map_err(|_| self.bad("this is no export of a hub's store"))?;
        if header.format != FORMAT {
            return Err(self.bad(format!("the format is {:?}, not {FORMAT:?}", header.format)));
        }
        if header.version != VERSION {
            return Err(self.bad(format!(
                "the format has version {}, this program knows {VERSION}; use the program that \
                 has written it: {}",
                header.version, header.program
            )));
        }
        Ok(header)
    }

    /// Each line after that. What follows the last one is not looked at.
    pub(super) fn next(&mut self) -> Result<Line, StoreError> {
        self.advance()?;
        let value: Json =
            serde_json::from_str(&self.text).map_err(|error| self.bad(error.to_string()))?;
        match value {
            Json::Array(row) if row.iter().any(|cell| cell.is_array() || cell.is_object()) => {
                Err(self.bad("a row holds numbers and texts only"))
            }
            Json::Array(row) => Ok(Line::Row(row)),
            other if other.get("end").is_some() => serde_json::from_value(other)
                .map(|End { end }| Line::End(end))
                .map_err(|error| self.bad(error.to_string())),
            other => serde_json::from_value(other)
                .map(Line::Table)
                .map_err(|error| self.bad(error.to_string())),
        }
    }

    /// An error about the line that was read last.
    pub(super) fn bad(&self, reason: impl Into<String>) -> StoreError {
        StoreError::BadExport { line: self.number, reason: reason.into() }
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        self.number += 1;
        self.text.clear();
        let read = (&mut self.input)
            .take(LONGEST_LINE)
            .read_line(&mut self.text)
            .map_err(StoreError::Stream)?;
        if read == 0 {
            return Err(self.bad("the export ends too early; it was cut off"));
        }
        if !self.text.ends_with('\n') {
            return Err(self.bad("the line has no end; the export was cut off"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"format":"hub-store","version":1,"schema":1,"program":"hub 1","created":"2026-01-01T00:00:00Z"}"#;

    fn second(text: &str) -> Result<Line, String> {
        let whole = format!("{HEADER}\n{text}");
        let mut lines = Lines::new(whole.as_bytes());
        lines.header().unwrap();
        lines.next().map_err(|error| error.to_string())
    }

    #[test]
    fn lines_tell_what_they_are() {
        let table = r#"{"table":"users","columns":["id"],"last_id":3}"#;
        let Line::Table(table) = second(&format!("{table}\n")).unwrap() else { panic!() };
        assert_eq!((table.table.as_str(), table.last_id), ("users", Some(3)));
        assert!(matches!(second("[1,\"ada\",null]\n"), Ok(Line::Row(row)) if row.len() == 3));
        assert!(matches!(second("{\"end\":{\"rows\":7}}\n"), Ok(Line::End(Totals { rows: 7 }))));
    }

    #[test]
    fn what_is_no_line_is_refused_with_its_number() {
        for (text, expected) in [
            ("", "line 2 of the export: the export ends too early; it was cut off"),
            ("[1,2", "line 2 of the export: the line has no end; the export was cut off"),
            ("[[1]]\n", "line 2 of the export: a row holds numbers and texts only"),
        ] {
            assert_eq!(second(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn another_format_or_version_is_refused() {
        for (from, to, expected) in [
            ("hub-store", "other", "the format is \"other\""),
            ("\"version\":1", "\"version\":2", "this program knows 1"),
            ("{", "x", "this is no export of a hub's store"),
        ] {
            let text = format!("{}\n", HEADER.replacen(from, to, 1));
            let error = Lines::new(text.as_bytes()).header().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
