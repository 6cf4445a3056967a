//! The names of a script that stand for values.

use std::collections::HashMap;

use super::value::{Unknown, Value};

/// What each name stands for at one point of the script.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, Result<Value, Unknown>>);

impl Names {
    /// `None` for a name that nothing was assigned to.
    pub(super) fn value(&self, name: &str) -> Option<Result<Value, Unknown>> {
        self.0.get(name).cloned()
    }

    pub(super) fn bind(&mut self, name: &str, value: Result<Value, Unknown>) {
        self.0.insert(name.to_owned(), value);
    }

    /// From here on the script may have changed it.
    pub(super) fn forget(&mut self, name: &str, why: &Unknown) {
        self.bind(name, Err(why.clone()));
    }
}
