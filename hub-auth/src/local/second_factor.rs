//! What is asked for after a right password: a code of an app, or one of the codes that
//! were written down for the day on which the phone is lost.

use std::{fmt, time::SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::TotpSecret;
use crate::random;

/// How many recovery codes are made at once.
const RECOVERY_CODES: usize = 10;

/// Whether people use a second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondFactorMode {
    /// Nobody can turn one on. Whoever has one is still asked for it.
    #[default]
    Off,
    /// People turn one on if they like.
    Optional,
    /// Nobody gets a session without one.
    Required,
}

/// What is asked for between the password and the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// A code.
    Code,
    /// To set a second factor up.
    Enrolment,
}

/// The second factor of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// What the app has. `None` if the hub cannot read it any more; then only recovery
    /// codes are good.
    pub secret: Option<TotpSecret>,
    /// The step of the last code that was accepted; zero if there is none.
    pub last_step: i64,
    /// The hashes of the recovery codes that are left.
    pub recovery: Vec<String>,
}

/// What was right, and what to store in the same transaction in which it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactorAccepted {
    /// A code of the app, of this step.
    Step(i64),
    /// A recovery code; these hashes are left.
    Recovery(Vec<String>),
}

/// New recovery codes.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCodes {
    /// The codes, to be shown once.
    pub codes: Vec<String>,
    /// Their hashes, to be stored.
    pub hashes: Vec<String>,
}

impl SecondFactorMode {
    /// What the owner of an account is asked for after the right password; `None` if
    /// nothing.
    pub fn asks(self, has_one: bool) -> Option<Asked> {
        match (self, has_one) {
            // Not to be had by a change of the configuration.
            (_, true) => Some(Asked::Code),
            (Self::Required, false) => Some(Asked::Enrolment),
            (Self::Off | Self::Optional, false) => None,
        }
    }
}

impl SecondFactor {
    /// Whether `given` is a code of the app at `now`, or a recovery code that is left.
    /// Blanks and hyphens do not count. Count a failed try before you ask.
    pub fn check(&self, account_id: &str, given: &str, now: SystemTime) -> Option<FactorAccepted> {
        let given = cleaned(given);
        let secret = self.secret.as_ref();
        if let Some(step) = secret.and_then(|one| one.verify(&given, now, self.last_step)) {
            return Some(FactorAccepted::Step(step));
        }
        let hash = recovery_hash(account_id, &given);
        let (used, left): (Vec<&String>, Vec<&String>) =
            self.recovery.iter().partition(|one| one.as_bytes().ct_eq(hash.as_bytes()).into());
        (!used.is_empty()).then(|| FactorAccepted::Recovery(left.into_iter().cloned().collect()))
    }
}

impl RecoveryCodes {
    /// Ten codes of 80 random bits: too many for a plain hash to be turned back.
    pub fn generate(account_id: &str) -> Self {
        let codes: Vec<String> = (0..RECOVERY_CODES)
            .map(|_| {
                let text = data_encoding::BASE32_NOPAD.encode(&random::bytes::<10>());
                let parts: Vec<&str> =
                    (0..4).filter_map(|at| text.get(at * 4..at * 4 + 4)).collect();
                parts.join("-").to_lowercase()
            })
            .collect();
        let hashes = codes.iter().map(|code| recovery_hash(account_id, &cleaned(code))).collect();
        Self { codes, hashes }
    }
}

/// Under which key wrong codes for an account are counted. Not the one of its passwords:
/// a right password forgives those, and whoever has it is who guesses codes.
pub fn second_factor_key(account_id: &str) -> String {
    format!("second-factor:{account_id}")
}

/// As it is compared.
fn cleaned(given: &str) -> String {
    given
        .chars()
        .filter(|char| !char.is_whitespace() && *char != '-')
        .map(|char| char.to_ascii_lowercase())
        .collect()
}

fn recovery_hash(account_id: &str, code: &str) -> String {
    let hash = Sha256::digest(format!("recovery code\n{account_id}\n{code}"));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactor")
            .field("recovery_codes", &self.recovery.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryCodes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    #[test]
    fn whoever_has_a_second_factor_is_asked_for_it_in_any_mode() {
        let (off, optional, required) =
            (SecondFactorMode::Off, SecondFactorMode::Optional, SecondFactorMode::Required);
        for mode in [off, optional, required] {
            assert_eq!(mode.asks(true), Some(Asked::Code));
        }
        assert_eq!(off.asks(false), None);
        assert_eq!(optional.asks(false), None);
        assert_eq!(required.asks(false), Some(Asked::Enrolment));
    }

    #[test]
    fn a_code_of_the_app_or_a_recovery_code_is_right() {
        let secret = TotpSecret::generate();
        let RecoveryCodes { codes, hashes } = RecoveryCodes::generate("1f");
        assert_eq!((codes.len(), hashes.len()), (10, 10));
        let mut factor =
            SecondFactor { secret: Some(secret.clone()), last_step: 0, recovery: hashes };
        let code = secret.code(now());
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        let step = 1_800_000_000 / 30;
        assert_eq!(factor.check("1f", &spaced, now()), Some(FactorAccepted::Step(step)));
        factor.last_step = step;
        assert_eq!(factor.check("1f", &code, now()), None);

        let Some(FactorAccepted::Recovery(left)) =
            factor.check("1f", &codes[3].to_uppercase(), now())
        else {
            panic!("the code was not taken");
        };
        assert_eq!(left.len(), 9);
        factor.recovery = left;
        assert_eq!(factor.check("1f", &codes[3], now()), None, "used");
        assert!(factor.check("1f", &codes[4], now()).is_some());
        assert_eq!(factor.check("2e", &codes[4], now()), None, "another account's");
        assert_eq!(factor.check("1f", "", now()), None);
        factor.secret = None;
        assert!(factor.check("1f", &codes[4], now()).is_some());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let made = RecoveryCodes::generate("1f");
        assert!(!format!("{made:?}").contains(&made.codes[0]));
        let factor = SecondFactor {
            secret: Some(TotpSecret::generate()),
            last_step: 0,
            recovery: made.hashes,
        };
        assert_eq!(format!("{factor:?}"), "SecondFactor { recovery_codes: 10, .. }");
    }
}
