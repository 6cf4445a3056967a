//! As much of YAML as a compose file needs. Scalars are double-quoted, which is
//! how JSON writes text, so none can be mistaken for anything else.

use std::fmt::{self, Write};

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    /// A number or a truth value, as it is.
    Plain(String),
    List(Vec<String>),
    /// A list with a line for each.
    Lines(Vec<String>),
    Map(Map),
    /// A key without a value.
    Nothing,
}

/// In the order in which it is read.
pub(super) type Map = Vec<(String, Node)>;

/// A map from what is there of it.
pub(super) fn map<const N: usize>(entries: [(&str, Option<Node>); N]) -> Map {
    entries.into_iter().filter_map(|(key, node)| Some((key.to_owned(), node?))).collect()
}

pub(super) fn text(text: impl Into<String>) -> Node {
    Node::Text(text.into())
}

/// A list, if there is anything in it.
pub(super) fn list(words: &[String]) -> Option<Node> {
    (!words.is_empty()).then(|| Node::List(words.to_vec()))
}

/// The same with a line for each.
pub(super) fn lines(words: &[String]) -> Option<Node> {
    (!words.is_empty()).then(|| Node::Lines(words.to_vec()))
}

/// A number or a truth value.
pub(super) fn plain(value: impl fmt::Display) -> Node {
    Node::Plain(value.to_string())
}

/// A map, if there is anything in it.
pub(super) fn some(map: Map) -> Option<Node> {
    (!map.is_empty()).then_some(Node::Map(map))
}

/// The file.
pub(super) fn written(map: &Map) -> String {
    let mut out = String::new();
    write_map(&mut out, map, 0);
    out
}

fn write_map(out: &mut String, map: &Map, indent: usize) {
    for (key, node) in map {
        let _ = write!(out, "{:indent$}{key}:", "");
        let _ = match node {
            Node::Text(text) => writeln!(out, " {}", quoted(text)),
            Node::Plain(text) => writeln!(out, " {text}"),
            Node::List(words) => {
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                writeln!(out, " [{}]", words.join(", "))
            }
            Node::Lines(words) => {
                out.push('\n');
                words
                    .iter()
                    .try_for_each(|word| writeln!(out, "{:1$}- {2}", "", indent + 2, quoted(word)))
            }
            Node::Nothing => writeln!(out),
            Node::Map(inner) => {
                out.push('\n');
                write_map(out, inner, indent + 2);
                Ok(())
            }
        };
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let file = map([
            ("yes", Some(text("no: \"#"))),
            ("absent", None),
            ("words", list(&["443:443".to_owned(), "on".to_owned()])),
            ("inner", some(map([("number", Some(plain(3))), ("empty", Some(Node::Nothing))]))),
            ("lines", lines(&["a:b".to_owned(), "c".to_owned()])),
        ]);
        assert_eq!(
            written(&file),
            "yes: \"no: \\\"#\"\nwords: [\"443:443\", \"on\"]\ninner:\n  number: 3\n  empty:\nlines:\n  - \"a:b\"\n  - \"c\"\n"
        );
    }
}
