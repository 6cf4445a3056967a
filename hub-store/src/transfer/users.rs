//! Who is in an export, without a database.

use std::io::BufRead;

use hub_names::UserName;

use super::line::{Line, Lines};
use crate::StoreError;

/// The names of the users in an export, which is read to its end.
///
/// # Errors
///
/// When it is none, or damaged; the error names the line.
pub fn exported_users(export: impl BufRead) -> Result<Vec<UserName>, StoreError> {
    let mut lines = Lines::new(export);
    lines.header()?;
    let mut column = None;
    let mut names = Vec::new();
    loop {
        match lines.next()? {
            Line::Table(table) => {
                column = match table.table.as_str() {
                    "users" => table.columns.iter().position(|name| name == "name"),
                    _ => None,
                };
            }
            Line::Row(row) => {
                let Some(column) = column else { continue };
                let name = row.get(column).and_then(|cell| cell.as_str());
                let name = name.and_then(|name| name.parse().ok());
                names.push(name.ok_or_else(|| lines.bad("this is no row of a user"))?);
            }
            Line::End(_) => return Ok(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = r#"{"format":"hub-store","version":1,"schema":1,"program":"hub 1","created":"2026-01-01T00:00:00Z"}
{"table":"other","columns":["name"]}
["nobody"]
{"table":"users","columns":["id","name"],"last_id":2}
[1,"ada"]
[2,"bob"]
{"table":"tokens","columns":["name"]}
["none"]
{"end":{"rows":4}}
"#;

    #[test]
    fn bak_4_the_users_of_an_export_are_known() {
        let names = exported_users(EXPORT.as_bytes()).unwrap();
        assert_eq!(names.iter().map(UserName::as_str).collect::<Vec<_>>(), ["ada", "bob"]);
    }

    #[test]
    fn a_damaged_export_names_no_users() {
        for (from, to) in [("\"bob\"", "7"), ("{\"end\":{\"rows\":4}}\n", "")] {
            let damaged = EXPORT.replace(from, to);
            assert!(exported_users(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }
}
