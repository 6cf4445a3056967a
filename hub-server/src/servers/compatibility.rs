//! Whether the image fits this hub, as far as its server shows. Pure.

use super::readiness::Greeting;

/// What an image of the first hubs asks its environment for, and no later one.
const VARIABLES_BEFORE_0_8: [&str; 5] =
    ["JPY_USER", "JPY_COOKIE_NAME", "JPY_BASE_URL", "JPY_HUB_PREFIX", "JPY_HUB_API_URL"];

/// What to do about an image of the first hubs (NBI-4).
pub(super) const BEFORE_0_8: &str = "The image was made for a JupyterHub before 0.8 and cannot talk to this hub. \
    Choose an image with jupyterhub 1.5 or newer; the files in the volume stay.";

/// What is odd about a server that answers all the same, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    /// What is odd, as a sentence.
    pub message: String,
    /// What it may lead to, and what to do then.
    pub hint: &'static str,
}

/// What to say about a server that answered like this to a question below
/// `prefix`, when the hub speaks the version `ours` (NBI-5).
pub(super) fn remark(greeting: &Greeting, prefix: &str, ours: &str) -> Option<Remark> {
    match &greeting.version {
        None if greeting.status == 404 => Some(Remark {
            message: format!(
                "What runs in the container has no page at {prefix}api (status 404) and does not \
                 say that it is a single-user server."
            ),
            hint: "It must serve below the path in JUPYTERHUB_SERVICE_PREFIX, as \
                   jupyterhub-singleuser does. A plain notebook server does not, nor does an image \
                   made for a JupyterHub before 0.8.",
        }),
        None => Some(Remark {
            message: "The server does not say which jupyterhub package it has (no \
                      X-JupyterHub-Version header)."
                .to_owned(),
            hint: "If the browser is sent back and forth without end, the image does not run a \
                   single-user server of JupyterHub; its command should be jupyterhub-singleuser.",
        }),
        Some(theirs) if major(theirs) != major(ours) => Some(Remark {
            message: format!("The image has jupyterhub {theirs}, the hub speaks {ours}."),
            hint: match major(theirs) {
                Some(1..=5) => {
                    "Servers of this version work with this hub. If the browser is sent back and \
                     forth without end all the same, use an image with the hub's version."
                }
                _ => {
                    "Nobody has tried this version with this hub. If the browser is sent back and \
                     forth without end, or sign-in at the server fails, use an image with the \
                     hub's version."
                }
            },
        }),
        Some(_) => None,
    }
}

/// Whether these last words are those of a server of the first hubs, which
/// misses its variables.
pub(super) fn is_from_before_0_8(log: &str) -> bool {
    VARIABLES_BEFORE_0_8.iter().any(|name| log.contains(name))
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, version: Option<&str>) -> Option<Remark> {
        let greeting = Greeting { status, version: version.map(str::to_owned) };
        remark(&greeting, "/user/ada/", "6.1.1")
    }

    #[test]
    fn nbi_5_the_same_major_version_needs_no_words() {
        for version in ["6.1.1", "6.0.0", "6.2.0b1"] {
            assert_eq!(said(200, Some(version)), None);
        }
        assert_eq!(said(404, Some("6.1.1")), None);
    }

    #[test]
    fn nbi_5_another_major_version_is_named() {
        for (version, hint) in [("5.4.6", "work with this hub"), ("7.0", "Nobody has tried")] {
            let remark = said(200, Some(version)).unwrap();
            assert_eq!(
                remark.message,
                format!("The image has jupyterhub {version}, the hub speaks 6.1.1.")
            );
            assert!(remark.hint.contains(hint), "{remark:?}");
            assert!(remark.hint.contains("back and forth"), "{remark:?}");
        }
        assert!(said(200, Some("weird")).is_some());
    }

    #[test]
    fn nbi_5_a_missing_header_is_told() {
        assert!(said(302, None).unwrap().message.contains("X-JupyterHub-Version"));
    }

    #[test]
    fn nbi_4_a_server_at_another_path_is_told_where_it_should_be() {
        let remark = said(404, None).unwrap();
        assert!(remark.message.contains("/user/ada/api"), "{remark:?}");
        assert!(remark.hint.contains("JUPYTERHUB_SERVICE_PREFIX"), "{remark:?}");
    }

    #[test]
    fn nbi_4_the_first_servers_are_known_by_what_they_miss() {
        assert!(is_from_before_0_8("KeyError: 'JPY_COOKIE_NAME'"));
        assert!(!is_from_before_0_8("KeyError: 'JPY_API_TOKEN'"));
    }
}
