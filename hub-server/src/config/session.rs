//! How long credentials are good.

use hub_store::TokenLimits;
use jiff::SignedDuration;

use super::ConfigError;

/// Longer than anybody keeps a browser signed in.
const MOST_DAYS: u16 = 400;
/// The longest life of a token that is limited: ten years.
const MOST_TOKEN_SECONDS: u64 = 10 * 366 * 86_400;

/// How long a browser stays signed in (RST-7), and how long a token may be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// From the sign-in on.
    pub max_age: SignedDuration,
    /// From the last use on.
    pub idle: SignedDuration,
    /// The longest life of a token that somebody asks for; without it any life, or no
    /// end.
    pub token_max_age: Option<SignedDuration>,
    /// How many tokens people make.
    pub token_limits: TokenLimits,
}

/// How many tokens a user has at most, unless it is said otherwise.
const TOKENS_PER_USER: u64 = 100;
/// How many are made for a user in a minute.
const TOKENS_PER_MINUTE: u64 = 30;

impl SessionConfig {
    /// From numbers of days and seconds, as far as they are given.
    ///
    /// # Errors
    ///
    /// A number that makes no sense.
    pub(super) fn new(
        max_age: Option<u16>,
        idle: Option<u16>,
        token_max_age: Option<u64>,
    ) -> Result<Self, ConfigError> {
        let max_age = max_age.unwrap_or(14);
        // Whoever shortens the one shortens the other.
        let idle = idle.unwrap_or(max_age.min(7));
        for (key, days, most) in [
            ("auth.cookie_max_age_days", max_age, MOST_DAYS),
            ("auth.session_idle_days", idle, max_age),
        ] {
            if !(1..=most).contains(&days) {
                let message = format!("{days} is out of range; use 1 to {most}");
                return Err(ConfigError::value(key, message));
            }
        }
        // As in JupyterHub, 0 is no limit.
        let token_max_age = token_max_age.filter(|seconds| *seconds > 0);
        if let Some(seconds) = token_max_age.filter(|seconds| *seconds > MOST_TOKEN_SECONDS) {
            let message = format!(
                "{seconds} is out of range; use 1 to {MOST_TOKEN_SECONDS}, or 0 for no limit"
            );
            return Err(ConfigError::value("auth.token_expires_in_max_seconds", message));
        }
        let token_max_age = token_max_age
            .and_then(|seconds| i64::try_from(seconds).ok())
            .map(SignedDuration::from_secs);
        let days = |days: u16| SignedDuration::from_hours(24 * i64::from(days));
        let (max_age, idle) = (days(max_age), days(idle));
        Ok(Self { max_age, idle, token_max_age, token_limits: TokenLimits::default() })
    }

    /// With numbers of tokens, as far as they are given; 0 is no limit.
    pub(super) fn with_token_limits(self, per_user: Option<u64>, per_minute: Option<u64>) -> Self {
        let limit = |given: Option<u64>, usual| Some(given.unwrap_or(usual)).filter(|n| *n > 0);
        let token_limits = TokenLimits {
            per_user: limit(per_user, TOKENS_PER_USER),
            per_minute: limit(per_minute, TOKENS_PER_MINUTE),
        };
        Self { token_limits, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rst_7_sessions_end_after_days() {
        let read = |max_age, idle| {
            let config =
                SessionConfig::new(max_age, idle, None).map_err(|error| error.to_string())?;
            Ok::<_, String>((config.max_age.as_hours() / 24, config.idle.as_hours() / 24))
        };
        assert_eq!(read(None, None), Ok((14, 7)));
        assert_eq!(read(Some(3), None), Ok((3, 3)));
        assert_eq!(read(None, Some(14)), Ok((14, 14)));
        assert_eq!(read(Some(400), None), Ok((400, 7)));
        for (max_age, idle, said) in [
            (Some(0), None, "auth.cookie_max_age_days: 0 is out of range; use 1 to 400"),
            (Some(401), None, "use 1 to 400"),
            (None, Some(0), "auth.session_idle_days: 0 is out of range; use 1 to 14"),
            (None, Some(15), "use 1 to 14"),
        ] {
            let error = read(max_age, idle).unwrap_err();
            assert!(error.contains(said), "{said} in {error}");
        }
    }

    #[test]
    fn people_make_so_many_tokens() {
        let read = |per_user, per_minute| {
            let config = SessionConfig::new(None, None, None).unwrap();
            let limits = config.with_token_limits(per_user, per_minute).token_limits;
            (limits.per_user, limits.per_minute)
        };
        assert_eq!(read(None, None), (Some(100), Some(30)));
        assert_eq!(read(Some(7), Some(8)), (Some(7), Some(8)));
        assert_eq!(read(Some(0), Some(0)), (None, None));
    }

    #[test]
    fn the_life_of_tokens_has_a_limit_if_one_is_given() {
        let read = |seconds| {
            let config = SessionConfig::new(None, None, seconds).map_err(|error| error.to_string());
            config.map(|config| config.token_max_age.map(|age| age.as_secs()))
        };
        assert_eq!(read(None), Ok(None));
        assert_eq!(read(Some(0)), Ok(None));
        assert_eq!(read(Some(3600)), Ok(Some(3600)));
        let error = read(Some(u64::MAX)).unwrap_err();
        assert!(error.contains("auth.token_expires_in_max_seconds"), "{error}");
    }
}
