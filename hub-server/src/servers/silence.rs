//! Why a server that runs does not answer, for the person who waits for it. Pure.

use std::time::Duration;

use super::{compatibility, outcome::Failure, readiness::Silence};

/// The failure of a server on `port` that was asked for `limit` and showed only
/// `silence`; `log` is what it wrote (NBI-4).
pub(super) fn explain(
    silence: Silence,
    port: Option<u16>,
    limit: Duration,
    log: Option<String>,
) -> Failure {
    let seconds = limit.as_secs();
    let port = port.map_or_else(String::new, |port| format!(" {port}"));
    let (seen, hint) = match silence {
        Silence::Refused => (
            format!("nothing listens at port{port} of its container"),
            "Either it is still busy, or it listens at 127.0.0.1 only, or at another port. It must \
             listen on all addresses (--ip=0.0.0.0) at the port in the hub's configuration.",
        ),
        Silence::Unreachable => (
            format!("port{port} of its container cannot be reached from the hub"),
            "A firewall may be in the way, or the hub is not in the network of its servers.",
        ),
        Silence::Hanging => (
            format!("it takes connections at port{port} and never says a word"),
            "It may be too busy, or stuck; its log may tell more.",
        ),
        Silence::Garbled => (
            format!("what it says at port{port} is not HTTP"),
            "The image must run a single-user server there, without TLS of its own.",
        ),
        Silence::Failing(status) => (
            format!("it answers with status {status}"),
            "Something in the server fails; its log tells more.",
        ),
        Silence::Elsewhere => (
            format!("another single-user server answers at port{port}"),
            "Another server may have taken the port first, or the image serves another path than \
             that in JUPYTERHUB_SERVICE_PREFIX; its log tells which.",
        ),
    };
    let old = log.as_deref().is_some_and(compatibility::is_from_before_0_8);
    Failure {
        hint: Some(if old { compatibility::BEFORE_0_8 } else { hint }.to_owned()),
        log,
        ..Failure::new(format!(
            "Your server was started but did not answer within {seconds} seconds: {seen}."
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(silence: Silence, log: &str) -> (String, String) {
        let limit = Duration::from_secs(30);
        let failure = explain(silence, Some(8888), limit, Some(log.to_owned()));
        (failure.message, failure.hint.unwrap())
    }

    #[test]
    fn nbi_4_each_silence_has_causes_of_its_own() {
        for (silence, seen, cause) in [
            (Silence::Refused, "nothing listens at port 8888", "127.0.0.1 only"),
            (Silence::Unreachable, "cannot be reached", "firewall"),
            (Silence::Hanging, "never says a word", "stuck"),
            (Silence::Garbled, "not HTTP", "TLS"),
            (Silence::Failing(502), "status 502", "log tells"),
            (Silence::Elsewhere, "another single-user server", "taken the port"),
        ] {
            let (message, hint) = told(silence, "");
            assert!(message.contains("did not answer within 30 seconds"), "{message}");
            assert!(message.contains(seen) && hint.contains(cause), "{message} {hint}");
        }
    }

    #[test]
    fn nbi_4_an_image_of_the_first_hubs_is_called_one() {
        let (_, hint) = told(Silence::Refused, "KeyError: 'JPY_USER'\n");
        assert!(hint.contains("before 0.8"), "{hint}");
    }
}
