//! What may stand in a key, and how text becomes such a value.

use toml::Value;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number, counted in this unit.
    Integer(&'static str),
    /// A number, counted in this unit.
    Number(&'static str),
    /// `true` or `false`.
    Boolean,
    /// `IP:PORT`, `NAME:PORT`, or a port on all addresses.
    Address,
    /// `http://` or `https://`.
    Url,
    /// The address of a database; may hold a password.
    DatabaseUrl,
    /// `http://`; may hold a name and a password.
    ProxyUrl,
    /// An amount of memory: bytes, or a number and `K`, `M`, `G` or `T`.
    Memory,
    /// A command: a text that is split as a shell would, or a list of words.
    Command,
    /// A text that must not be shown.
    Secret,
    /// A file that is read; relative paths are below the configuration file.
    File,
    /// A directory that is read.
    Directory,
    /// A place where the hub writes.
    Place,
    /// A list of texts.
    List,
    /// A table of texts.
    Table,
    /// What may be chosen: a table of texts, a list of texts, or `*` for anything.
    Choices,
    /// A table of texts that must not be shown.
    Secrets,
    /// Sections that repeat: `[[services]]`.
    Sections,
    /// A value of this shape, in TOML.
    Shape(&'static str),
}

impl Kind {
    /// Whether values are never shown as they are.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Self::Secret | Self::Secrets | Self::Sections | Self::DatabaseUrl | Self::ProxyUrl
        )
    }

    /// The type in a few words, for people.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Choice(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            Self::Integer("") => "whole number".to_owned(),
            Self::Integer(unit) => format!("whole number of {unit}"),
            Self::Number(unit) => format!("number of {unit}"),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Address => "`IP:PORT`, `NAME:PORT`, or a port".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::DatabaseUrl => "URL of a database, or a path".to_owned(),
            Self::ProxyUrl => "URL of a proxy".to_owned(),
            Self::Memory => "amount of memory, such as `1.5G`, or `host` or `none`".to_owned(),
            Self::Command => "command, as text or list".to_owned(),
            Self::Secret => "secret text".to_owned(),
            Self::File => "file".to_owned(),
            Self::Directory => "directory".to_owned(),
            Self::Place => "path".to_owned(),
            Self::List => "list of texts".to_owned(),
            Self::Table => "table of texts".to_owned(),
            Self::Choices => "table of texts, list of texts, or `*`".to_owned(),
            Self::Secrets => "table of secret texts".to_owned(),
            Self::Sections => "sections".to_owned(),
            Self::Shape(shape) => shape.to_owned(),
        }
    }

    /// The value that `text` means, as it stands in a variable or after a flag.
    /// Lists are separated by commas, or written as TOML; tables are TOML.
    ///
    /// # Errors
    ///
    /// What would be right. The text is not told if it is a secret.
    pub(in super::super) fn parse(self, text: &str) -> Result<Value, String> {
        let excerpt = || text.chars().take(64).collect::<String>();
        match self {
            Self::Text
            | Self::Choice(_)
            | Self::Address
            | Self::Url
            | Self::DatabaseUrl
            | Self::ProxyUrl
            | Self::Memory
            | Self::Secret
            | Self::File
            | Self::Directory
            | Self::Place => Ok(Value::String(text.to_owned())),
            Self::Integer(_) => text
                .trim()
                .parse()
                .map(Value::Integer)
                .map_err(|_| format!("{:?} is not a whole number", excerpt())),
            Self::Number(_) => text
                .trim()
                .parse()
                .map(Value::Float)
                .map_err(|_| format!("{:?} is not a number", excerpt())),
            Self::Boolean => match text.trim().to_ascii_lowercase().as_str() {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err(format!("{:?} is neither true nor false", excerpt())),
            },
            Self::Command if text.trim_start().starts_with('[') => inline(text)
                .ok_or_else(|| "begins with [, but is not a list of texts in TOML".to_owned()),
            Self::Command => Ok(Value::String(text.to_owned())),
            Self::List if text.trim_start().starts_with('[') => inline(text)
                .filter(Value::is_array)
                .ok_or_else(|| "begins with [, but is not a list of texts in TOML".to_owned()),
            Self::List => Ok(Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|word| !word.is_empty())
                    .map(|word| Value::String(word.to_owned()))
                    .collect(),
            )),
            Self::Choices if text.trim() == "*" => Ok(Value::String("*".to_owned())),
            Self::Choices if text.trim_start().starts_with('{') => Self::Table.parse(text),
            Self::Choices => Self::List.parse(text),
            Self::Table | Self::Secrets => inline(text)
                .filter(Value::is_table)
                .ok_or_else(|| "is not a table in TOML; write { name = \"value\" }".to_owned()),
            // What is no TOML is a text.
            Self::Shape(_) => Ok(inline(text).unwrap_or_else(|| Value::String(text.to_owned()))),
            Self::Sections => inline(text).filter(Value::is_array).ok_or_else(|| {
                "is not a list of tables in TOML; write [{ name = \"value\" }]".to_owned()
            }),
        }
    }
}

/// `text` as a TOML value.
fn inline(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {}", text.trim())).ok()?;
    // One value and nothing smuggled in after it.
    if table.len() == 1 { table.get("value").cloned() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_the_type_of_the_key() {
        let rows = [
            (Kind::Text, "1", "\"1\""),
            (Kind::Integer("seconds"), " 60 ", "60"),
            (Kind::Number("processors"), "1.5", "1.5"),
            (Kind::Number("processors"), "2", "2.0"),
            (Kind::Boolean, "TRUE", "true"),
            (Kind::List, "ada, bob,", "[\"ada\", \"bob\"]"),
            (Kind::List, "['a,b']", "[\"a,b\"]"),
            (Kind::Command, "lab --x", "\"lab --x\""),
            (Kind::Command, "['lab', '--x']", "[\"lab\", \"--x\"]"),
            (Kind::Table, "{ a = 'b' }", "{ a = \"b\" }"),
        ];
        for (kind, text, toml) in rows {
            assert_eq!(kind.parse(text).unwrap().to_string(), toml, "{text}");
        }
    }

    #[test]
    fn text_of_another_type_is_refused() {
        let rows = [
            (Kind::Integer(""), "soon", "\"soon\" is not a whole number"),
            (Kind::Integer(""), "1.5", "is not a whole number"),
            (Kind::Boolean, "yes", "\"yes\" is neither true nor false"),
            (Kind::Secrets, "hush", "is not a table in TOML"),
            (Kind::Secrets, "{}\nx = 1", "is not a table in TOML"),
            (Kind::List, "['a'", "not a list"),
        ];
        for (kind, text, complaint) in rows {
            let error = kind.parse(text).unwrap_err();
            assert!(error.contains(complaint) && !error.contains("hush"), "{text}: {error}");
        }
    }
}
