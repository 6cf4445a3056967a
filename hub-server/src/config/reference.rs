//! The keys as text: the tables of the documentation, and a file to begin with.

use std::fmt::Write as _;

use super::{
    key::{Applies, Key, Kind, SECTIONS, Section},
    variables::{Effect, Reader, VARIABLES, Variable},
};

/// The tables of keys and variables, as Markdown, for the documentation.
pub fn markdown() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        section_table(&mut text, section);
    }
    text += "\n## Environment variables\n\n| variable | sets | meaning |\n|---|---|---|\n";
    for variable in VARIABLES.iter().filter(|one| one.readers != [Reader::Tool]) {
        text += &variable_row(variable);
    }
    text
}

fn section_table(text: &mut String, section: &Section) {
    let brackets = match section.keys {
        [key] if key.kind == Kind::Sections => format!("[[{}]]", section.name),
        _ => format!("[{}]", section.name),
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n### `{brackets}`\n\n{}\n\n| key | type | default | changes apply | meaning |\n|---|---|---|---|---|\n",
        section.about
    );
    for key in section.keys {
        let applies = match key.applies {
            Applies::AtOnce => "at once",
            Applies::NextStart => "to new servers",
            Applies::Restart => "at restart",
        };
        let default = key.default.map(|value| format!("`{value}`")).unwrap_or_default();
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {applies} | {} |",
            key.short_name(),
            key.kind.describe(),
            key.meaning
        );
    }
}

fn variable_row(variable: &Variable) -> String {
    let names = match variable.secret {
        true => format!("`{0}`, `{0}_FILE`", variable.name),
        false => format!("`{}`", variable.name),
    };
    let sets = match variable.effect {
        Effect::Sets(key) => format!("`{key}`"),
        Effect::PartOf(key) => format!("part of `{key}`"),
        Effect::AddsTo(key) => format!("one more of `{key}`"),
        Effect::Nothing if variable.readers.contains(&Reader::Deploy) => "a deployment".to_owned(),
        Effect::Nothing => String::new(),
    };
    format!("| {names} | {sets} | {} |\n", variable.meaning)
}

/// A configuration file with every key in it, commented out, but for the image.
///
/// A setting is behind a bare `#`, prose behind `# `.
pub fn sample() -> String {
    let mut text = "# Configuration of the hub. A line behind a bare # is a setting at its default,\n# or an example; take the # away to set it. What is wrong: hub config check.\n".to_owned();
    for section in SECTIONS {
        text += &format!("\n# {}\n", section.about);
        match section.keys {
            [key] if key.kind == Kind::Sections => text += SERVICE,
            keys => {
                let set = keys.iter().any(is_set);
                text += &format!("{}[{}]\n", if set { "" } else { "#" }, section.name);
                keys.iter().for_each(|key| sample_key(&mut text, key));
            }
        }
    }
    text
}

/// Without this one nothing works.
fn is_set(key: &Key) -> bool {
    key.name == "spawner.docker.image"
}

fn sample_key(text: &mut String, key: &Key) {
    for line in wrapped(key.meaning) {
        *text += &format!("# {line}\n");
    }
    let value = key.example.or(key.default).unwrap_or("\"...\"");
    let mark = if is_set(key) { "" } else { "#" };
    *text += &format!("{mark}{} = {value}\n", key.short_name());
}

const SERVICE: &str = "#[[services]]
#name = \"culler\"
#api_token_file = \"secrets/culler\"
#scopes = [\"list:users\", \"read:users:activity\", \"read:servers\", \"delete:servers\"]
";

/// Lines of at most 86 characters, so that they stay below 88 with their `# `.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 86 => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::*, *};

    #[test]
    fn the_sample_changes_nothing_and_its_settings_have_the_right_types() {
        let load =
            |text: &str| parse(text, "hub.toml", Path::new("/srv"), &Environment::default(), false);
        let sample = sample();
        let plain = "[spawner.docker]\nimage = \"jupyterhub/singleuser:6\"\n";
        let (one, other) = (load(&sample).unwrap(), load(plain).unwrap());
        assert_eq!(format!("{:?}", one.config), format!("{:?}", other.config));
        let uncommented: String = sample
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_eq!(load::type_error(&uncommented), None, "{uncommented}");
    }
}
