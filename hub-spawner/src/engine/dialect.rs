//! What engines understand differently. Pure.
//!
//! Podman answers at a socket like Docker's, and takes some questions in another way
//! (seen with 4.3). All that is different is here, in words that both understand.

use super::Labels;

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
