//! Whether a container that was kept is started again. Pure (SPN-11, SPN-12).

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::labels;
use crate::engine::{ContainerDetails, ContainerState};

/// Whether a stopped container is started again, rather than replaced by a new one.
/// It never is unless it holds the token the hub knows its server by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReuseStopped {
    /// If a new one would be made of the same.
    #[default]
    IfSame,
    /// Whatever has changed since.
    Always,
    /// Never.
    Never,
}

/// What happens to a container that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is started.
    Reused,
    /// It is removed, for this reason.
    Replaced(&'static str),
}

impl ReuseStopped {
    /// What happens to `found`, where a new container would have `spec_hash`.
    pub(super) fn decide(
        self,
        found: &ContainerDetails,
        token: Option<&SecretString>,
        spec_hash: &str,
        kept: Option<&SecretString>,
    ) -> Fate {
        let same = labels::spec_hash(&found.labels) == Some(spec_hash);
        match (self, &found.state) {
            (Self::Never, _) => Fate::Replaced("containers are not kept"),
            (_, ContainerState::Running) => Fate::Replaced("it was left running"),
            (_, ContainerState::Created | ContainerState::Removing) => {
                Fate::Replaced("it was never started")
            }
            (Self::IfSame, ContainerState::Exited { .. }) if !same => {
                Fate::Replaced("its image or settings have changed")
            }
            (Self::IfSame | Self::Always, ContainerState::Exited { .. }) => match token.zip(kept) {
                Some((has, valid)) if has.expose_secret() == valid.expose_secret() => Fate::Reused,
                _ => Fate::Replaced("the token in it is not valid any more"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerKey;

    fn found(state: ContainerState, hash: &str) -> ContainerDetails {
        let key = ServerKey::default_of("ada".parse().unwrap());
        ContainerDetails {
            labels: labels::for_container("hub", &key, hash),
            state,
            ..ContainerDetails::default()
        }
    }

    fn fate(reuse: ReuseStopped, state: ContainerState, hash: &str, token: &str) -> Fate {
        let (has, kept) = (SecretString::from("t"), SecretString::from(token.to_owned()));
        reuse.decide(&found(state, "h"), Some(&has), hash, Some(&kept))
    }

    #[test]
    fn spn_11_a_kept_container_is_started_again_if_a_new_one_would_be_the_same() {
        use ReuseStopped::{Always, IfSame, Never};
        let exited = || ContainerState::Exited {
            code: 0,
            oom_killed: false,
            error: None,
            finished_at: None,
        };
        assert_eq!(fate(IfSame, exited(), "h", "t"), Fate::Reused);
        assert!(
            matches!(fate(IfSame, exited(), "other", "t"), Fate::Replaced(why) if why.contains("settings"))
        );
        assert_eq!(fate(Always, exited(), "other", "t"), Fate::Reused);
        assert!(matches!(fate(Never, exited(), "h", "t"), Fate::Replaced(_)));
        for state in [ContainerState::Running, ContainerState::Created, ContainerState::Removing] {
            assert!(matches!(fate(Always, state, "h", "t"), Fate::Replaced(_)));
        }
    }

    #[test]
    fn spn_12_a_container_whose_token_the_hub_does_not_know_is_replaced() {
        let exited = || ContainerState::Exited {
            code: 0,
            oom_killed: false,
            error: None,
            finished_at: None,
        };
        for reuse in [ReuseStopped::IfSame, ReuseStopped::Always] {
            assert!(
                matches!(fate(reuse, exited(), "h", "new"), Fate::Replaced(why) if why.contains("token"))
            );
        }
        for (has, kept) in [(None, Some("t")), (Some("t"), None), (None, None)] {
            let (has, kept) = (has.map(SecretString::from), kept.map(SecretString::from));
            let found = found(exited(), "h");
            let fate = ReuseStopped::Always.decide(&found, has.as_ref(), "h", kept.as_ref());
            assert!(matches!(fate, Fate::Replaced(_)));
        }
    }
}
