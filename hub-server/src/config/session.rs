//! How long somebody stays signed in.

use jiff::SignedDuration;

use super::ConfigError;

/// Longer than anybody keeps a browser signed in.
const MOST_DAYS: u16 = 400;

/// How long a browser stays signed in (RST-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// From the sign-in on.
    pub max_age: SignedDuration,
    /// From the last use on.
    pub idle: SignedDuration,
}

impl SessionConfig {
    /// From numbers of days, as far as they are given.
    ///
    /// # Errors
    ///
    /// A number that makes no sense.
    pub(super) fn new(max_age: Option<u16>, idle: Option<u16>) -> Result<Self, ConfigError> {
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
        let days = |days: u16| SignedDuration::from_hours(24 * i64::from(days));
        Ok(Self { max_age: days(max_age), idle: days(idle) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rst_7_sessions_end_after_days() {
        let read = |max_age, idle| {
            let config = SessionConfig::new(max_age, idle).map_err(|error| error.to_string())?;
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
}
