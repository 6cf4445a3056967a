//! What a container was made with, secrets included.

use std::collections::BTreeMap;

use bollard::models::ContainerInspectResponse;
use secrecy::SecretString;

use crate::engine::{Engine, EngineError};

/// What runs in a container and with which variables. Apart from
/// [`ContainerDetails`](super::ContainerDetails), which everybody may see.
#[derive(Clone, Debug, Default)]
pub struct ContainerRecipe {
    /// What follows the entry point.
    pub command: Vec<String>,
    /// Its variables, those of the image among them.
    pub environment: BTreeMap<String, SecretString>,
}

impl Engine {
    /// What a container was made with; `None` if there is none of that id or name.
    pub async fn recipe(&self, id: &str) -> Result<Option<ContainerRecipe>, EngineError> {
        Ok(self.inspection(id).await?.map(recipe))
    }
}

fn recipe(found: ContainerInspectResponse) -> ContainerRecipe {
    let config = found.config.unwrap_or_default();
    let variables = config.env.unwrap_or_default().into_iter();
    ContainerRecipe {
        command: config.cmd.unwrap_or_default(),
        environment: variables
            .filter_map(|line| {
                let (name, value) = line.split_once('=')?;
                Some((name.to_owned(), SecretString::from(value.to_owned())))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn api_2_a_recipe_has_the_values_and_does_not_show_them() {
        let json = r#"{"Config": {"Cmd": ["--config", "a"], "Env": ["KEY=a=b", "EMPTY=", "X"]}}"#;
        let found = recipe(serde_json::from_str(json).unwrap());
        assert_eq!(found.command, ["--config", "a"]);
        assert_eq!(found.environment["KEY"].expose_secret(), "a=b");
        assert_eq!(found.environment["EMPTY"].expose_secret(), "");
        assert_eq!(found.environment.len(), 2);
        assert!(!format!("{found:?}").contains("a=b"));
    }
}
