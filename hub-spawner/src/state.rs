//! What a spawner asks the hub to remember.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a spawner wants to be told again about a server: a JSON object that
/// means nothing to anybody else. Empty by default; of a server
/// that is stopped there is what [`Spawner::lasting`](crate::Spawner::lasting) says.
///
/// It survives a restart of the hub and may be lost; a spawner finds its
/// servers without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub struct SavedState(Map<String, Value>);

impl SavedState {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text under `field`, if there is one.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    /// The number under `field`, if there is one of this size.
    pub fn number(&self, field: &str) -> Option<u32> {
        self.0.get(field)?.as_u64()?.try_into().ok()
    }

    /// The same with all that `more` has.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The same with `field` set to `value`.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }
}

/// Anything but an object is read as the empty state: a hint that makes no sense
/// is no hint.
impl From<Value> for SavedState {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(fields) => Self(fields),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Self::default(),
        }
    }
}

impl From<SavedState> for Value {
    fn from(state: SavedState) -> Self {
        Self::Object(state.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&SavedState::default()).unwrap(), "{}");
        assert!(SavedState::from(Value::Null).is_empty());
    }

    #[test]
    fn fields_survive_json() {
        let state = SavedState::default().with("object_name", "jupyter-ada");
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(text, r#"{"object_name":"jupyter-ada"}"#);
        let read: SavedState = serde_json::from_str(&text).unwrap();
        assert_eq!(read.text("object_name"), Some("jupyter-ada"));
        let read: SavedState = serde_json::from_str(r#"{"a":7,"b":-1,"c":"7"}"#).unwrap();
        assert_eq!(["a", "b", "c", "d"].map(|name| read.number(name)), [Some(7), None, None, None]);
        assert_eq!(state.and(read).number("a"), Some(7));
    }
}
