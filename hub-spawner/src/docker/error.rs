//! The daemon's complaint -> what the hub does next. Pure (API-6).

use crate::{SpawnError, engine::EngineError};

/// How much of the daemon's text a user is shown.
const SHORT: usize = 200;

/// What went wrong while trying to `action`.
pub(super) fn spawn_error(action: &'static str, error: EngineError) -> SpawnError {
    match error {
        EngineError::Misconfigured(error) => SpawnError::Rejected {
            what: format!("the setting {}", error.key),
            reason: error.reason,
        },
        EngineError::Unreachable { endpoint, advice, source } => {
            SpawnError::Unreachable { endpoint, advice: advice.to_owned(), source }
        }
        EngineError::TooOld { ref endpoint, .. } => SpawnError::Unreachable {
            endpoint: endpoint.clone(),
            advice: "it is too old; Docker 20.10 or newer is needed".to_owned(),
            source: error.into(),
        },
        EngineError::Ambiguous { what, ref name, .. } => {
            SpawnError::Rejected { what: format!("the {what} {name}"), reason: error.to_string() }
        }
        EngineError::TimedOut { after, .. } => {
            SpawnError::TimedOut { what: "the call to the container service", after }
        }
        EngineError::NotFound { .. }
        | EngineError::Conflict { .. }
        | EngineError::Forbidden { .. }
        | EngineError::Refused { .. }
        | EngineError::Broken { .. } => match meaning(error.text().unwrap_or_default()) {
            Meaning::NoRoom(reason) => SpawnError::NoCapacity { reason, source: error.into() },
            Meaning::Advice(hint) => {
                SpawnError::Backend { action, hint: Some(hint), source: error.into() }
            }
            Meaning::Unknown => SpawnError::Backend { action, hint: None, source: error.into() },
        },
    }
}

/// Whether a network that was there a moment ago is gone.
pub(super) fn is_about_missing_network(error: &SpawnError) -> bool {
    let SpawnError::Backend { source, .. } = error else { return false };
    let text = source.downcast_ref::<EngineError>().and_then(EngineError::text);
    text.is_some_and(|text| text.contains("network") && text.contains("not found"))
}

/// Why an image could not be had.
pub(super) fn image_error(image: &str, error: EngineError) -> SpawnError {
    let unavailable = |reason: String, error: EngineError| SpawnError::ImageUnavailable {
        image: image.to_owned(),
        reason,
        source: error.into(),
    };
    match spawn_error("fetch the image", error) {
        SpawnError::Backend { source, .. } => match source.downcast::<EngineError>() {
            Ok(error) => {
                let reason = pull_trouble(error.text().unwrap_or("the connection broke"));
                unavailable(reason, *error)
            }
            Err(source) => SpawnError::Backend { action: "fetch the image", hint: None, source },
        },
        other => other,
    }
}

enum Meaning {
    NoRoom(&'static str),
    Advice(&'static str),
    Unknown,
}

fn meaning(text: &str) -> Meaning {
    let text = text.to_lowercase();
    let known = [
        ("no space left", Meaning::NoRoom("no space is left on the host's disk")),
        ("cannot allocate memory", Meaning::NoRoom("the host is out of memory")),
        ("port is already allocated", Meaning::NoRoom("the host's port is in use")),
        ("no available ipv4 addresses", Meaning::NoRoom("the network has no free address")),
        ("no available network", Meaning::NoRoom("the host has no free network")),
        (
            "could not find an available, non-overlapping",
            Meaning::NoRoom("the host has no free network"),
        ),
        ("executable file not found", Meaning::Advice("the image has no such command; check cmd")),
        (
            "permission denied: unknown",
            Meaning::Advice("the command in the image may not be executed; check cmd"),
        ),
        (
            "docker-init",
            Meaning::Advice("the host has no docker-init; install Docker's init program (tini)"),
        ),
    ];
    if text.contains("network") && text.contains("not found") {
        return Meaning::Advice("the servers' network is gone; restart the hub to make it again");
    }
    known
        .into_iter()
        .find(|(words, _)| text.contains(words))
        .map_or(Meaning::Unknown, |(_, meaning)| meaning)
}

/// A failed pull in few words: ours where the daemon's are known to puzzle.
fn pull_trouble(text: &str) -> String {
    let lower = text.to_lowercase();
    let known = [
        ("no such image", "it is not on the host and was not fetched"),
        ("pull access denied", "the registry has no such image, or wants a login"),
        ("unauthorized", "the registry wants a login"),
        ("manifest unknown", "the registry has no such tag"),
        ("not found", "the registry has no such image or tag"),
        ("no matching manifest", "it is not made for this host's kind of processor"),
        ("no such host", "the registry's name cannot be resolved; is the host online?"),
        ("connection refused", "the registry does not answer"),
        ("i/o timeout", "the registry does not answer"),
        ("deadline exceeded", "the registry does not answer"),
        ("client.timeout", "the registry does not answer"),
        ("x509", "the registry's certificate is not trusted by the host"),
        ("toomanyrequests", "the registry allows no more pulls for now"),
    ];
    match known.into_iter().find(|(words, _)| lower.contains(words)) {
        Some((_, ours)) => ours.to_owned(),
        None => {
            let line = text.lines().next().unwrap_or_default().trim().trim_end_matches('.');
            line.chars().filter(|c| !c.is_control()).take(SHORT).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> EngineError {
        EngineError::Refused { action: "start", text: text.to_owned() }
    }

    #[test]
    fn api_6_known_complaints_get_their_own_words() {
        let rows = [
            ("driver failed: Bind for 0.0.0.0:80 failed: port is already allocated", "port is in"),
            ("write /var/lib/docker/x: no space left on device", "no space is left"),
            ("network abc not found", "network is gone"),
            ("exec: \"nope\": executable file not found in $PATH: unknown", "check cmd"),
        ];
        for (text, words) in rows {
            let said = spawn_error("start the container", refused(text)).user_message();
            assert!(said.contains(words), "{text}: {said}");
        }
        let unknown = spawn_error("start the container", refused("flux capacitor"));
        assert!(!unknown.user_message().contains("flux"), "users get no raw text");
        assert!(matches!(unknown, SpawnError::Backend { hint: None, .. }));
    }

    #[test]
    fn api_6_a_failed_pull_says_why() {
        let rows = [
            ("pull access denied for x, repository does not exist", "wants a login"),
            ("manifest unknown: manifest unknown", "no such tag"),
            ("no matching manifest for linux/arm64/v8", "processor"),
            ("Get \"https://r/v2/\": dial tcp: lookup r: no such host", "cannot be resolved"),
            ("something new.\nand more", "is not available: something new."),
        ];
        for (text, words) in rows {
            let error = image_error("lab:4", refused(text));
            assert!(matches!(error, SpawnError::ImageUnavailable { .. }), "{error:?}");
            assert!(error.user_message().contains(words), "{}", error.user_message());
        }
        let full = image_error("lab:4", refused("no space left on device"));
        assert!(matches!(full, SpawnError::NoCapacity { .. }), "{full:?}");
    }
}
