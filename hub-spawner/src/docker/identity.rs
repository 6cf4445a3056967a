//! What a container says of the server in it, to a hub that has forgotten it
//! (RST-3). Pure.

use super::labels;
use crate::{
    Environment, Found, SavedState,
    engine::{ContainerDetails, ContainerRecipe},
};

/// Names in the saved state that JupyterHub's Docker spawner uses as well.
pub(super) const OBJECT_ID: &str = "object_id";
const OBJECT_NAME: &str = "object_name";
const SPEC_HASH: &str = "spec_hash";

/// What is remembered of a container.
pub(super) fn state(id: &str, name: &str, spec_hash: Option<&str>) -> SavedState {
    let state = SavedState::default().with(OBJECT_ID, id).with(OBJECT_NAME, name);
    match spec_hash {
        Some(hash) => state.with(SPEC_HASH, hash),
        None => state,
    }
}

/// The server in a container.
pub(super) fn found(container: ContainerDetails, recipe: &ContainerRecipe) -> Found {
    Found {
        state: state(&container.id, &container.name, labels::spec_hash(&container.labels)),
        is_running: container.is_running(),
        api_token: Environment::api_token(&recipe.environment).cloned(),
        name: container.name,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::engine::ContainerState;

    #[test]
    fn rst_3_a_container_tells_its_token_and_what_was_remembered_of_it() {
        let key = crate::ServerKey::default_of("ada".parse().unwrap());
        let container = ContainerDetails {
            id: "c0ffee".to_owned(),
            name: "jupyter-ada".to_owned(),
            labels: labels::for_container("hub", &key, "abc"),
            state: ContainerState::Running,
            ..ContainerDetails::default()
        };
        let environment = [("JUPYTERHUB_API_TOKEN".to_owned(), "hush".to_owned().into())].into();
        let recipe = ContainerRecipe { command: vec![], environment };

        let told = found(container.clone(), &recipe);
        assert_eq!((told.name.as_str(), told.is_running), ("jupyter-ada", true));
        assert_eq!(told.api_token.as_ref().unwrap().expose_secret(), "hush");
        assert_eq!(told.state, state("c0ffee", "jupyter-ada", Some("abc")));
        assert!(!format!("{told:?}").contains("hush"));

        let ended = ContainerDetails { state: ContainerState::Created, ..container };
        let told = found(ended, &ContainerRecipe::default());
        assert!(!told.is_running && told.api_token.is_none());
    }
}
