//! A command as an operator writes it: a text or a list.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// A command and its arguments. Written as a list, or as a text that is split as
/// a shell would: blanks separate, quotes and backslashes keep together. Nothing
/// is expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(Vec<String>);

/// The text cannot be split into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quote or backslash at the end is not closed")]
pub struct InvalidCommand;

impl CommandLine {
    /// The words.
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl<W: Into<String>> FromIterator<W> for CommandLine {
    fn from_iter<I: IntoIterator<Item = W>>(words: I) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }
}

impl FromStr for CommandLine {
    type Err = InvalidCommand;

    /// Splits as POSIX 2.2 ("Quoting") says.
    fn from_str(text: &str) -> Result<Self, InvalidCommand> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                _ if c.is_ascii_whitespace() => words.extend(word.take()),
                '\\' => word.get_or_insert_default().push(chars.next().ok_or(InvalidCommand)?),
                '\'' => {
                    let word = word.get_or_insert_default();
                    loop {
                        match chars.next().ok_or(InvalidCommand)? {
                            '\'' => break,
                            c => word.push(c),
                        }
                    }
                }
                '"' => {
                    let word = word.get_or_insert_default();
                    loop {
                        match chars.next().ok_or(InvalidCommand)? {
                            '"' => break,
                            '\\' => {
                                let c = chars.next().ok_or(InvalidCommand)?;
                                if !matches!(c, '$' | '`' | '"' | '\\') {
                                    word.push('\\');
                                }
                                word.push(c);
                            }
                            c => word.push(c),
                        }
                    }
                }
                c => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        Ok(Self(words))
    }
}

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> de::Visitor<'de> for Words {
            type Value = CommandLine;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command line or a list of words")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CommandLine, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<CommandLine, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element()? {
                    words.push(word);
                }
                Ok(CommandLine(words))
            }
        }

        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_as_a_shell_would() {
        let rows: [(&str, Option<&[&str]>); 9] = [
            ("", Some(&[])),
            ("start-singleuser.sh  --x=y", Some(&["start-singleuser.sh", "--x=y"])),
            ("a 'b c' d", Some(&["a", "b c", "d"])),
            ("a \"b \\\"c\\\" \\n\"", Some(&["a", "b \"c\" \\n"])),
            ("a\\ b c", Some(&["a b", "c"])),
            ("x'y'\"z\"", Some(&["xyz"])),
            ("a '' b", Some(&["a", "", "b"])),
            ("a 'b", None),
            ("a \\", None),
        ];
        for (text, words) in rows {
            let read = text.parse::<CommandLine>().ok();
            let read: Option<Vec<&str>> =
                read.as_ref().map(|line| line.words().iter().map(String::as_str).collect());
            assert_eq!(read.as_deref(), words, "{text}");
        }
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        let line: CommandLine = serde_json::from_str(r#"["a b", "c"]"#).unwrap();
        assert_eq!(line.words(), ["a b", "c"]);
        assert_eq!(line, ["a b", "c"].into_iter().collect());
    }
}
