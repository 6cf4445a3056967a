//! Texts with `{field}`s in them (SPN-2).

/// A text with named fields. `{{` and `}}` are literal braces; conversions,
/// format specifications and positions, which Python knows, are errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// The text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTemplate {
    #[error("a brace is not closed or not opened; write {{{{ or }}}} for a brace itself")]
    Unbalanced,
    #[error("{{{0}}} is not known here; there are {1}")]
    UnknownField(String, String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(&'static str),
}

impl Template {
    /// Reads a template that may use `fields`.
    pub(crate) fn parse(text: &str, fields: &[&'static str]) -> Result<Self, InvalidTemplate> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                plain.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let (name, after) = brace
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
                .filter(|(name, _)| !name.contains('{'))
                .ok_or(InvalidTemplate::Unbalanced)?;
            let field = fields.iter().find(|field| **field == name).ok_or_else(|| {
                InvalidTemplate::UnknownField(
                    name.to_owned(),
                    format!("{{{}}}", fields.join("}, {")),
                )
            })?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Field(field));
            rest = after;
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self { parts })
    }

    /// Whether `field` occurs in it.
    #[cfg(feature = "docker")]
    pub(crate) fn uses(&self, field: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(name) if *name == field))
    }

    /// Each two fields that follow on each other among those that `counts` names, with
    /// the text between them.
    #[cfg(feature = "docker")]
    pub(crate) fn between(
        &self,
        counts: impl Fn(&str) -> bool,
    ) -> Vec<(&'static str, String, &'static str)> {
        let (mut found, mut last, mut text) = (Vec::new(), None, String::new());
        for part in &self.parts {
            match part {
                Part::Text(more) => text.push_str(more),
                Part::Field(field) if counts(field) => {
                    let before = std::mem::take(&mut text);
                    found.extend(last.replace(*field).map(|last| (last, before, *field)));
                }
                Part::Field(_) => {}
            }
        }
        found
    }

    /// The text with each field replaced by what `value` says.
    pub(crate) fn render(&self, value: impl Fn(&str) -> String) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => value(field),
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[&str] = &["username", "prefix"];

    #[test]
    fn spn_2_only_plain_fields_and_doubled_braces_are_understood() {
        let rows = [
            ("plain", Ok("plain")),
            ("{prefix}-{username}", Ok("PREFIX-USERNAME")),
            ("{{username}}", Ok("{username}")),
            ("{username}{{", Ok("USERNAME{")),
            ("{nope}", Err(())),
            ("{username!r}", Err(())),
            ("{username:>9}", Err(())),
            ("{}", Err(())),
            ("{0}", Err(())),
            ("{username", Err(())),
            ("username}", Err(())),
            ("{user{name}", Err(())),
        ];
        for (text, expected) in rows {
            let read = Template::parse(text, FIELDS);
            let read = read.map(|t| t.render(str::to_uppercase)).map_err(drop);
            assert_eq!(read.as_deref(), expected.as_ref().copied().map_err(|()| &()), "{text:?}");
        }
    }

    #[test]
    fn an_unknown_field_is_named_with_those_there_are() {
        let error = Template::parse("{nope}", FIELDS).unwrap_err();
        assert_eq!(error.to_string(), "{nope} is not known here; there are {username}, {prefix}");
    }
}
