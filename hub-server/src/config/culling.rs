//! `[culling]`: stopping servers that nobody uses.

use std::time::Duration;

use hub_names::UserName;
use jiff::SignedDuration;
use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
};

pub(super) const SECTION: Section = Section {
    name: "culling",
    about: "Stopping servers that nobody uses. A server with a kernel that computes counts as used.",
    keys: &[
        Key::new(
            "culling.timeout_seconds",
            Kind::Integer("seconds"),
            "How long a server goes on without being used; 0 for ever.",
        )
        .default("0"),
        Key::new(
            "culling.max_age_seconds",
            Kind::Integer("seconds"),
            "How long a server goes on in all, used or not; 0 for ever.",
        )
        .default("0"),
        Key::new(
            "culling.interval_seconds",
            Kind::Integer("seconds"),
            "How often the servers are looked at.",
        )
        .default("60"),
        Key::new(
            "culling.warn_seconds",
            Kind::Integer("seconds"),
            "How long before its end a server's owner is told on the home page.",
        )
        .default("600"),
        Key::new(
            "culling.keep_connected",
            Kind::Boolean,
            "Whether a server also counts as used while a browser is connected to a kernel that does nothing.",
        )
        .default("false"),
        Key::new(
            "culling.exempt_admins",
            Kind::Boolean,
            "Whether the servers of administrators are left alone.",
        )
        .default("false"),
        Key::new(
            "culling.remove_users",
            Kind::Boolean,
            "Whether accounts are removed, too, that were not used for the timeout and have no server, as when an administrator deletes them: `spawner.docker.on_user_delete` says what becomes of their volumes. Administrators stay.",
        )
        .default("false"),
    ],
};

pub(super) const RULES_SECTION: Section = Section {
    name: "culling.rules",
    about: "Other limits for some people. The section repeats, once for each rule. A rule that names a user comes before rules that name their groups; of several of the same kind the longest limit holds, and 0 is the longest of all.",
    keys: &[Key::new(
        "culling.rules",
        Kind::Sections,
        "`users` and `groups` it is for; `timeout_seconds` and `max_age_seconds`, each as in `[culling]`; one that is not there is decided by the next rule, at last by `[culling]`.",
    )
    .default("[]")
    .example("[{ groups = [\"research\"], timeout_seconds = 86400 }]")],
};

/// Longest limit: a year.
const MOST_SECONDS: u64 = 366 * 86_400;

/// When servers are stopped.
#[derive(Clone, Debug, Default)]
pub struct CullingConfig {
    /// For everybody for whom no rule says otherwise.
    pub limits: CullingLimits,
    /// Other limits for some people.
    pub rules: Vec<CullingRule>,
    /// How often the servers are looked at.
    pub interval: Duration,
    /// How long before its end a server's owner is told.
    pub warn: SignedDuration,
    /// Whether a connection to a kernel counts as use.
    pub keep_connected: bool,
    /// Whether the servers of administrators are left alone.
    pub exempt_admins: bool,
    /// Whether unused accounts are removed.
    pub remove_users: bool,
}

/// How long a server may go on; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CullingLimits {
    /// Without being used.
    pub timeout: Option<SignedDuration>,
    /// In all.
    pub max_age: Option<SignedDuration>,
}

/// Limits for some people.
#[derive(Clone, Debug, Default)]
pub struct CullingRule {
    /// These users.
    pub users: Vec<UserName>,
    /// The members of these groups.
    pub groups: Vec<String>,
    /// Without being used; the outer `None` says nothing about it.
    pub timeout: Option<Option<SignedDuration>>,
    /// In all; the same.
    pub max_age: Option<Option<SignedDuration>>,
}

impl CullingConfig {
    /// Whether any server is ever stopped.
    pub fn is_on(&self) -> bool {
        let some = |limit: &Option<Option<SignedDuration>>| matches!(limit, Some(Some(_)));
        self.limits.timeout.is_some()
            || self.limits.max_age.is_some()
            || self.rules.iter().any(|rule| some(&rule.timeout) || some(&rule.max_age))
    }

    /// Whether somebody's groups matter.
    pub fn asks_for_groups(&self) -> bool {
        self.rules.iter().any(|rule| !rule.groups.is_empty())
    }

    /// The limits of a user who is in `groups`.
    pub fn limits_of(&self, user: &UserName, groups: &[String]) -> CullingLimits {
        let pick = |of: fn(&CullingRule) -> Option<Option<SignedDuration>>, otherwise| {
            let by_name = self.rules.iter().filter(|rule| rule.users.contains(user));
            let by_group = self
                .rules
                .iter()
                .filter(|rule| rule.groups.iter().any(|group| groups.contains(group)));
            longest(by_name.filter_map(of))
                .or_else(|| longest(by_group.filter_map(of)))
                .unwrap_or(otherwise)
        };
        CullingLimits {
            timeout: pick(|rule| rule.timeout, self.limits.timeout),
            max_age: pick(|rule| rule.max_age, self.limits.max_age),
        }
    }
}

/// The longest of some limits, of which `None` is for ever.
fn longest(limits: impl Iterator<Item = Option<SignedDuration>>) -> Option<Option<SignedDuration>> {
    limits.reduce(|one, other| match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (None, _) | (_, None) => None,
    })
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCulling {
    timeout_seconds: u64,
    max_age_seconds: u64,
    interval_seconds: u64,
    warn_seconds: u64,
    keep_connected: bool,
    exempt_admins: bool,
    remove_users: bool,
    rules: Vec<RawRule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRule {
    users: Vec<String>,
    groups: Vec<String>,
    timeout_seconds: Option<u64>,
    max_age_seconds: Option<u64>,
}

impl Default for RawCulling {
    fn default() -> Self {
        Self {
            timeout_seconds: 0,
            max_age_seconds: 0,
            interval_seconds: 60,
            warn_seconds: 600,
            keep_connected: false,
            exempt_admins: false,
            remove_users: false,
            rules: Vec::new(),
        }
    }
}

impl RawCulling {
    pub(super) fn check(self) -> Result<CullingConfig, ConfigError> {
        if self.interval_seconds == 0 || self.interval_seconds > 86_400 {
            return Err(ConfigError::value(
                "culling.interval_seconds",
                format!("{} is out of range; use 1 to 86400", self.interval_seconds),
            ));
        }
        if self.remove_users && self.timeout_seconds == 0 {
            return Err(ConfigError::value(
                "culling.remove_users",
                "needs culling.timeout_seconds, which says after how long accounts are removed",
            ));
        }
        let limits = CullingLimits {
            timeout: limit("culling.timeout_seconds", self.timeout_seconds)?,
            max_age: limit("culling.max_age_seconds", self.max_age_seconds)?,
        };
        Ok(CullingConfig {
            limits,
            rules: self.rules.into_iter().map(RawRule::check).collect::<Result<_, _>>()?,
            interval: Duration::from_secs(self.interval_seconds),
            warn: limit("culling.warn_seconds", self.warn_seconds)?.unwrap_or_default(),
            keep_connected: self.keep_connected,
            exempt_admins: self.exempt_admins,
            remove_users: self.remove_users,
        })
    }
}

impl RawRule {
    fn check(self) -> Result<CullingRule, ConfigError> {
        if self.users.is_empty() && self.groups.is_empty() {
            return Err(ConfigError::value(
                "culling.rules",
                "a rule is for nobody; name users or groups in it",
            ));
        }
        let user = |name: &String| {
            name.parse::<UserName>().map_err(|error| {
                ConfigError::value("culling.rules", format!("users: {name:?}: {error}"))
            })
        };
        let limit = |seconds: Option<u64>| seconds.map(|it| limit("culling.rules", it)).transpose();
        Ok(CullingRule {
            users: self.users.iter().map(user).collect::<Result<_, _>>()?,
            groups: self.groups,
            timeout: limit(self.timeout_seconds)?,
            max_age: limit(self.max_age_seconds)?,
        })
    }
}

fn limit(key: &str, seconds: u64) -> Result<Option<SignedDuration>, ConfigError> {
    match i64::try_from(seconds) {
        Ok(0) => Ok(None),
        Ok(within) if seconds <= MOST_SECONDS => Ok(Some(SignedDuration::from_secs(within))),
        _ => Err(ConfigError::value(
            key,
            format!("{seconds} is out of range; use at most {MOST_SECONDS}, or 0 for none"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<CullingConfig, ConfigError> {
        toml::from_str::<RawCulling>(text).unwrap().check()
    }

    fn timeout(config: &CullingConfig, user: &str, groups: &[&str]) -> Option<i64> {
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        config.limits_of(&user.parse().unwrap(), &groups).timeout.map(|it| it.as_secs())
    }

    #[test]
    fn a_rule_for_a_user_comes_before_the_longest_of_their_groups() {
        let config = config(
            "timeout_seconds = 10\n\
             [[rules]]\nusers = [\"ada\"]\ntimeout_seconds = 5\n\
             [[rules]]\ngroups = [\"short\"]\ntimeout_seconds = 20\n\
             [[rules]]\ngroups = [\"long\"]\ntimeout_seconds = 30\n\
             [[rules]]\ngroups = [\"ever\"]\ntimeout_seconds = 0\n\
             [[rules]]\nusers = [\"eve\"]\nmax_age_seconds = 7\n",
        )
        .unwrap();
        for (user, groups, expected) in [
            ("bob", &[][..], Some(10)),
            ("bob", &["other"], Some(10)),
            ("bob", &["short"], Some(20)),
            ("bob", &["short", "long"], Some(30)),
            ("bob", &["ever", "long"], None),
            ("ada", &["long"], Some(5)),
            // The rule that names her says nothing about it.
            ("eve", &["long"], Some(30)),
        ] {
            assert_eq!(timeout(&config, user, groups), expected, "{user} {groups:?}");
        }
        let eve = config.limits_of(&"eve".parse().unwrap(), &[]);
        assert_eq!(eve.max_age, Some(SignedDuration::from_secs(7)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_key() {
        for (text, key) in [
            ("interval_seconds = 0", "culling.interval_seconds"),
            ("timeout_seconds = 99999999999", "culling.timeout_seconds"),
            ("remove_users = true", "culling.remove_users"),
            ("[[rules]]\ntimeout_seconds = 1", "culling.rules"),
            ("[[rules]]\nusers = [\"a/b\"]", "culling.rules"),
        ] {
            let error = config(text).unwrap_err().to_string();
            assert!(error.starts_with(key), "{text}: {error}");
        }
        assert!(!config("").unwrap().is_on());
        assert!(config("max_age_seconds = 1").unwrap().is_on());
    }
}
