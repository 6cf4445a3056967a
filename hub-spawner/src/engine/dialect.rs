//! What engines understand differently. Pure.
//!
//! Podman answers at a socket like Docker's, and takes some questions in another way
//! (seen with 4.3). All that is different is here, in words that both understand.

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use serde_json::{Map, Value};

use super::Labels;

/// States of containers, of their health and kinds of mounts that the client library
/// knows. It reads nothing of an answer that has another (API-3).
const STATES: [&str; 8] =
    ["created", "running", "paused", "restarting", "removing", "exited", "dead", "stopping"];
const HEALTH: [&str; 3] = ["starting", "healthy", "unhealthy"];
const MOUNTS: [&str; 6] = ["bind", "cluster", "image", "npipe", "tmpfs", "volume"];

/// A list of containers that the client library could not read: as much as we use.
pub(super) fn list(answer: &[u8]) -> serde_json::Result<Vec<ContainerSummary>> {
    let mut all: Vec<Map<String, Value>> = serde_json::from_slice(answer)?;
    for one in &mut all {
        one.retain(|key, _| {
            ["Id", "Names", "Image", "State", "Labels", "Created"].contains(&key.as_str())
        });
        one.entry("State").and_modify(known);
    }
    serde_json::from_value(all.into_iter().map(Value::from).collect())
}

/// The same for the look at a container.
pub(super) fn inspection(answer: &[u8]) -> serde_json::Result<ContainerInspectResponse> {
    let mut found: Value = serde_json::from_slice(answer)?;
    if let Some(state) = found.pointer_mut("/State/Status") {
        known(state);
    }
    if let Some(health) = found.pointer_mut("/State/Health/Status")
        && !is_known(health, &HEALTH)
    {
        *health = "none".into();
    }
    for mount in found.get_mut("Mounts").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(kind) = mount.get_mut("Type").filter(|kind| !is_known(kind, &MOUNTS)) {
            *kind = Value::Null;
        }
    }
    let memory = found.pointer("/HostConfig/Memory").cloned().unwrap_or_default();
    if let Some(host) = found.get_mut("HostConfig") {
        *host = Value::from(Map::from_iter([("Memory".to_owned(), memory)]));
    }
    serde_json::from_value(found)
}

/// Podman tells of a container whose process has ended as stopped, until what it had
/// is cleared away. What nobody has heard of is told as nothing.
fn known(word: &mut Value) {
    if word == "stopped" {
        *word = "exited".into();
    } else if !is_known(word, &STATES) {
        *word = "".into();
    }
}

fn is_known(word: &Value, words: &[&str]) -> bool {
    word.as_str().is_some_and(|word| words.contains(&word))
}

/// Whether something has every label that was `wanted`. Podman takes a filter for an
/// empty value as one for any value, and so tells of named servers where somebody's
/// default server is asked for: what it lists has to be looked at again.
pub(super) fn carries(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether a refusal means that a container does not run, which Docker calls a conflict.
pub(super) fn is_not_running(text: &str) -> bool {
    text.contains("can only kill running containers")
}

/// Whether a refused stop means that the container is paused: Podman 4.3 stops none that
/// is, and Docker does.
pub(super) fn is_paused(text: &str) -> bool {
    text.contains("running or paused, refusing to clean up")
}

/// Whether an answer means that there is no such call, rather than no such thing, of
/// which the text would tell the name: Podman 4.3 cannot update containers.
pub(super) fn is_no_such_call(text: &str) -> bool {
    text.trim() == "Not Found"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_8_a_call_that_is_not_there_is_no_missing_container() {
        assert!(is_no_such_call("Not Found\n"));
        assert!(!is_no_such_call("No such container: jupyter-ada"));
    }

    #[test]
    fn api_3_api_8_a_state_that_nobody_knows_hides_no_container() {
        let list = list(
            br#"[{"Id": "1", "State": "stopped", "Labels": {"a": "b"}, "Ports": "none"},
                 {"Id": "2", "State": "dreaming"}, {"Id": "3", "State": "running"}]"#,
        );
        let list = list.unwrap();
        let states: Vec<String> =
            list.iter().map(|one| one.state.map(|state| state.to_string()).unwrap()).collect();
        assert_eq!(states, ["exited", "", "running"]);
        assert_eq!(list[0].labels.as_ref().unwrap()["a"], "b");

        let found = inspection(
            br#"{"Id": "1", "State": {"Status": "stopped", "ExitCode": 7,
                 "Health": {"Status": "stopped"}},
                 "Mounts": [{"Type": "dream", "Destination": "/home"}],
                 "HostConfig": {"Memory": 5, "RestartPolicy": {"Name": "dream"}}}"#,
        );
        let found = found.unwrap();
        let state = found.state.unwrap();
        assert_eq!(
            (state.status.unwrap().to_string(), state.exit_code),
            ("exited".into(), Some(7))
        );
        assert_eq!(found.mounts.unwrap()[0].destination.as_deref(), Some("/home"));
        assert_eq!(found.host_config.unwrap().memory, Some(5));
    }

    #[test]
    fn spn_26_a_stop_that_is_refused_tells_whether_the_container_is_paused() {
        assert!(is_paused(
            "container c0ffee is running or paused, refusing to clean up: container state improper"
        ));
        assert!(!is_paused("cannot stop container: permission denied"));
    }

    #[test]
    fn api_8_an_empty_label_is_not_any_label() {
        let labels = |server: &str| -> Labels {
            let pairs = [("hub.user", "a"), ("hub.server", server)];
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        };
        assert!(carries(&labels(""), &labels("")));
        assert!(!carries(&labels("lab"), &labels("")));
        assert!(!carries(&Labels::new(), &labels("")));
        assert!(carries(&labels("lab"), &Labels::new()));
    }
}
