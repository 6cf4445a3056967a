//! In which line of the configuration file each key stands.

use std::{collections::BTreeMap, path::Path};

use toml::de::{DeTable, DeValue};

use super::Origin;

/// The place of every key and section of `text`, a file called `path`.
pub(super) fn origins(path: &Path, text: &str) -> BTreeMap<String, Origin> {
    let mut found = BTreeMap::new();
    if let Ok(table) = DeTable::parse(text) {
        collect(table.get_ref(), "", path, text, &mut found);
    }
    found
}

fn collect(
    table: &DeTable<'_>,
    prefix: &str,
    path: &Path,
    text: &str,
    found: &mut BTreeMap<String, Origin>,
) {
    for (key, value) in table {
        let name = match prefix {
            "" => key.get_ref().to_string(),
            _ => format!("{prefix}.{}", key.get_ref()),
        };
        let line = line_of(text, key.span().start);
        found.insert(name.clone(), Origin::File { path: path.to_owned(), line });
        if let DeValue::Table(inner) = value.get_ref() {
            collect(inner, &name, path, text, found);
        }
    }
}

/// The line of a byte of `text`, from 1.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    let end = byte.min(text.len());
    1 + text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_however_they_are_written() {
        let text = "\n[http]\nlisten = '1'\ntls.key = 'k'\n[auth.password.accounts]\nada = 'x'\n[[services]]\nname = 'a'\n[[services]]\nname = 'b'\n";
        let found = origins(Path::new("hub.toml"), text);
        for (key, line) in [
            ("http.listen", 3),
            ("http.tls.key", 4),
            ("auth.password.accounts", 5),
            ("auth.password.accounts.ada", 6),
            ("services", 7),
        ] {
            assert_eq!(found[key].to_string(), format!("hub.toml:{line}"), "{key}");
        }
    }
}
