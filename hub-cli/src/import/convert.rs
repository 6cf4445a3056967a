//! Values of Python as values of `hub.toml`.

use hub_server::config::key::Kind;
use toml::{Table, Value as Toml};

use super::value::Value;

/// As a key of this kind has it. The error says what is wrong with the value.
pub(super) fn convert(kind: Kind, value: &Value) -> Result<Toml, String> {
    let wrong = |wanted: &str| Err(format!("is {}, where {wanted} is needed", value.kind()));
    match (kind, value) {
        (Kind::Integer(_), Value::Integer(number)) => Ok(Toml::Integer(*number)),
        (Kind::Integer(_), Value::Float(number)) => whole(*number)
            .map(Toml::Integer)
            .ok_or_else(|| "is not a whole number, which is needed".to_owned()),
        (Kind::Integer(_), _) => wrong("a whole number"),
        #[expect(clippy::cast_precision_loss, reason = "no such number is that great")]
        (Kind::Number(_), Value::Integer(number)) => Ok(Toml::Float(*number as f64)),
        (Kind::Number(_), Value::Float(number)) => Ok(Toml::Float(*number)),
        (Kind::Number(_), _) => wrong("a number"),
        (Kind::Boolean, Value::Boolean(is)) => Ok(Toml::Boolean(*is)),
        (Kind::Boolean, _) => wrong("True or False"),
        (Kind::Memory, Value::Integer(bytes)) => Ok(Toml::Integer(*bytes)),
        (Kind::List, Value::List(_)) | (Kind::Table | Kind::Secrets, Value::Table(_)) => {
            natural(value)
        }
        (Kind::List, _) => wrong("a list or set"),
        (Kind::Table | Kind::Secrets, _) => wrong("a dictionary"),
        (Kind::Command, Value::Text(_) | Value::List(_))
        | (Kind::Choices, Value::Text(_) | Value::List(_) | Value::Table(_))
        | (Kind::Shape(_) | Kind::Sections, _) => natural(value),
        (Kind::Command | Kind::Choices, _) => wrong("a text or list"),
        // Paths, addresses, words.
        (_, Value::Text(text)) => Ok(Toml::String(text.clone())),
        _ => wrong("a text"),
    }
}

/// The value as it is.
pub(super) fn natural(value: &Value) -> Result<Toml, String> {
    Ok(match value {
        Value::None => return Err("has a None inside, which is no value".to_owned()),
        Value::Boolean(is) => Toml::Boolean(*is),
        Value::Integer(number) => Toml::Integer(*number),
        Value::Float(number) => Toml::Float(*number),
        Value::Text(text) => Toml::String(text.clone()),
        Value::List(items) => Toml::Array(items.iter().map(natural).collect::<Result<_, _>>()?),
        Value::Table(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| {
                let key = key.as_text().ok_or("has a key that is no text")?;
                Ok::<_, String>((key.to_owned(), natural(value)?))
            });
            Toml::Table(pairs.collect::<Result<Table, _>>()?)
        }
        Value::Variable(name, _) => {
            return Err(format!("takes a part of it from the variable {name}"));
        }
    })
}

/// Variables of a server: Python makes texts of their values.
pub(super) fn variables(value: &Value) -> Result<Toml, String> {
    let Value::Table(pairs) = value else { return convert(Kind::Table, value) };
    let pairs = pairs.iter().map(|(name, value)| {
        let text = match value {
            Value::Integer(number) => Value::Text(number.to_string()),
            Value::Float(number) => Value::Text(number.to_string()),
            Value::Boolean(true) => Value::Text("True".to_owned()),
            Value::Boolean(false) => Value::Text("False".to_owned()),
            other => other.clone(),
        };
        (name.clone(), text)
    });
    natural(&Value::Table(pairs.collect()))
}

fn whole(number: f64) -> Option<i64> {
    // Up to here every whole number is itself as a float.
    const GREATEST: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    (number.fract() == 0.0 && number.abs() <= GREATEST).then_some(number as i64)
}
