//! `[auth.local]`: accounts that people have with the hub itself.

use std::time::Duration;

use hub_auth::{
    PasswordRules, ProviderRules,
    local::{SecondFactorMode, SignUpMode, SignUpRules, TryLimit},
};
use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
};

pub(super) const SECTION: Section = Section {
    name: "auth.local",
    about: "Accounts that people make for themselves, with passwords that are kept in the hub's database. Whoever has one is let in, unless they are blocked or `auth.userlist_mode` is `authoritative`. Excludes `[auth.password]`.",
    keys: &[
        Key::new(
            "auth.local.sign_up",
            Kind::Choice(&["closed", "invitation", "approval", "open"]),
            "Who may make an account. `closed`: nobody; administrators make them. `invitation`: whoever has an administrator's link. `approval`: everybody, and an administrator has to approve; a link is an approval. `open`: everybody, at once.",
        )
        .default("\"closed\""),
        Key::new(
            "auth.local.minimum_password_length",
            Kind::Integer("characters"),
            "Fewest characters of a new password, 10 to 256.",
        )
        .default("10"),
        Key::new(
            "auth.local.refuse_common_passwords",
            Kind::Boolean,
            "Whether new passwords are refused that everybody tries first: runs on the keyboard, repetitions, a few words with digits around them.",
        )
        .default("true"),
        Key::new(
            "auth.local.second_factor",
            Kind::Choice(&["off", "optional", "required"]),
            "Whether people use a second factor: six digits of an app on their phone. `optional`: who likes. `required`: everybody sets one up at the next sign-in. `off`: nobody can turn it on; whoever has it is still asked.",
        )
        .default("\"off\""),
        Key::new(
            "auth.local.allowed_failed_logins",
            Kind::Integer("tries"),
            "How many sign-ins to one account may fail within the time below, 1 to 1000. After that it waits, also for the right password.",
        )
        .default("10"),
        Key::new(
            "auth.local.allowed_failed_logins_per_address",
            Kind::Integer("tries"),
            "The same for one address, from which a whole class may come, 1 to 100000. Making an account without a link counts, too.",
        )
        .default("100"),
        Key::new(
            "auth.local.failed_login_seconds",
            Kind::Integer("seconds"),
            "How long a failed sign-in counts, 1 to 86400. It counts across restarts.",
        )
        .default("300"),
    ],
};

/// `[auth.local]`: accounts kept in the hub's database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// Who may make one, and which passwords may be.
    pub sign_up: SignUpRules,
    /// Whether people use a second factor.
    pub second_factor: SecondFactorMode,
    /// How often the sign-in to one account may fail.
    pub account_limit: TryLimit,
    /// How often it may fail from one address.
    pub address_limit: TryLimit,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLocal {
    sign_up: Option<String>,
    minimum_password_length: Option<u64>,
    refuse_common_passwords: Option<bool>,
    second_factor: Option<String>,
    allowed_failed_logins: Option<u64>,
    allowed_failed_logins_per_address: Option<u64>,
    failed_login_seconds: Option<u64>,
}

impl RawLocal {
    pub(super) fn check(self) -> Result<LocalConfig, ConfigError> {
        let usual = PasswordRules::default();
        let passwords = PasswordRules {
            min_chars: within(
                "minimum_password_length",
                self.minimum_password_length,
                usual.min_chars,
                256,
            )?,
            refuse_common: self.refuse_common_passwords.unwrap_or(usual.refuse_common),
        };
        let window = self.failed_login_seconds.unwrap_or(TryLimit::ACCOUNT.window.as_secs());
        if !(1..=86_400).contains(&window) {
            return Err(refused("failed_login_seconds", window, 1, 86_400));
        }
        let limit = |name, value, usual: TryLimit, most| {
            let tries = within(name, value, 1, most).map(|tries| match value {
                Some(_) => tries,
                None => usual.tries,
            })?;
            Ok(TryLimit { tries, window: Duration::from_secs(window) })
        };
        Ok(LocalConfig {
            sign_up: SignUpRules { mode: mode(self.sign_up.as_deref())?, passwords },
            second_factor: second_factor(self.second_factor.as_deref())?,
            account_limit: limit(
                "allowed_failed_logins",
                self.allowed_failed_logins,
                TryLimit::ACCOUNT,
                1000,
            )?,
            address_limit: limit(
                "allowed_failed_logins_per_address",
                self.allowed_failed_logins_per_address,
                TryLimit::ADDRESS,
                100_000,
            )?,
        })
    }
}

/// What having an account is good for: who has one was approved or invited. A user
/// list that decides alone has to name them all the same.
pub(super) fn admission(is_authoritative: bool) -> (String, ProviderRules) {
    let rules = ProviderRules { allow_all: !is_authoritative, ..ProviderRules::default() };
    ("local".to_owned(), rules)
}

fn mode(text: Option<&str>) -> Result<SignUpMode, ConfigError> {
    match text {
        None | Some("closed") => Ok(SignUpMode::Closed),
        Some("invitation") => Ok(SignUpMode::Invitation),
        Some("approval") => Ok(SignUpMode::Approval),
        Some("open") => Ok(SignUpMode::Open),
        Some(other) => Err(ConfigError::value(
            "auth.local.sign_up",
            format!("is {other:?}; write closed, invitation, approval or open"),
        )),
    }
}

fn second_factor(text: Option<&str>) -> Result<SecondFactorMode, ConfigError> {
    match text {
        None | Some("off") => Ok(SecondFactorMode::Off),
        Some("optional") => Ok(SecondFactorMode::Optional),
        Some("required") => Ok(SecondFactorMode::Required),
        Some(other) => Err(ConfigError::value(
            "auth.local.second_factor",
            format!("is {other:?}; write off, optional or required"),
        )),
    }
}

/// The value, or the least one without; refused if it is out of bounds.
fn within(name: &str, value: Option<u64>, least: usize, most: usize) -> Result<usize, ConfigError> {
    let Some(value) = value else { return Ok(least) };
    usize::try_from(value)
        .ok()
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| refused(name, value, least, most))
}

fn refused(name: &str, value: u64, least: usize, most: usize) -> ConfigError {
    let reason = format!("is {value}; write a number from {least} to {most}");
    ConfigError::value(format!("auth.local.{name}"), reason)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Environment, parse};
    use super::*;

    fn load(lines: &str) -> Result<super::super::AuthConfig, String> {
        let text = format!("{lines}\n[spawner.docker]\nimage = 'lab'\n");
        parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false)
            .map(|loaded| loaded.config.auth)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_section_is_a_hub_with_accounts_but_no_sign_up() {
        let auth = load("[auth.local]").unwrap();
        let local = auth.local.unwrap();
        assert_eq!(local.sign_up, SignUpRules::default());
        assert_eq!(local.second_factor, SecondFactorMode::Off);
        assert_eq!(local.account_limit, TryLimit::ACCOUNT);
        assert_eq!(local.address_limit, TryLimit::ADDRESS);
        assert!(auth.policy.rules().providers["local"].allow_all);
        assert!(load("").unwrap().local.is_none());
    }

    #[test]
    fn all_keys_are_read() {
        let local = load(
            "[auth.local]\nsign_up = 'approval'\nminimum_password_length = 14\n\
             refuse_common_passwords = false\nsecond_factor = 'required'\nallowed_failed_logins = 3\n\
             allowed_failed_logins_per_address = 30\nfailed_login_seconds = 60\n",
        )
        .unwrap()
        .local
        .unwrap();
        assert_eq!(local.sign_up.mode, SignUpMode::Approval);
        assert_eq!(local.sign_up.passwords, PasswordRules { min_chars: 14, refuse_common: false });
        let window = Duration::from_secs(60);
        assert_eq!(local.second_factor, SecondFactorMode::Required);
        assert_eq!(local.account_limit, TryLimit { tries: 3, window });
        assert_eq!(local.address_limit, TryLimit { tries: 30, window });
    }

    #[test]
    fn wrong_values_name_their_key() {
        for (line, part) in [
            ("sign_up = 'yes'", "auth.local.sign_up"),
            ("second_factor = 'on'", "auth.local.second_factor"),
            ("minimum_password_length = 9", "auth.local.minimum_password_length"),
            ("minimum_password_length = 257", "auth.local.minimum_password_length"),
            ("allowed_failed_logins = 0", "auth.local.allowed_failed_logins"),
            (
                "allowed_failed_logins_per_address = 0",
                "auth.local.allowed_failed_logins_per_address",
            ),
            ("failed_login_seconds = 0", "auth.local.failed_login_seconds"),
            ("failed_login_seconds = 86401", "auth.local.failed_login_seconds"),
            ("sign_ups = 'open'", "sign_ups"),
        ] {
            let error = load(&format!("[auth.local]\n{line}")).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
        let both = load("[auth.local]\n[auth.password.accounts]\n").unwrap_err();
        assert!(both.contains("auth.local") && both.contains("[auth.password]"), "{both}");
    }
}
