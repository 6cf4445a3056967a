//! Codes that an app on a phone shows: TOTP (RFC 6238) with SHA-1, six digits and steps
//! of 30 seconds, which is what every such app does.

use std::{fmt, time::SystemTime};

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::{clock::unix_seconds, random};

/// Seconds for which a code is shown (RFC 6238 4.1, X).
const STEP_SECONDS: u64 = 30;
/// How far the phone's clock may be off, in steps either way (RFC 6238 5.2).
const WINDOW: i64 = 1;
/// Bytes of a new secret: as long as the hash (RFC 4226 4, R6).
const NEW_BYTES: usize = 20;
/// Fewest bytes of a secret that is taken over; NativeAuthenticator's have ten.
const LEAST_BYTES: usize = 10;
/// Most bytes of one; longer ones are no better.
const MOST_BYTES: usize = 64;
/// What stays as it is in the path and in the query of an `otpauth://` address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The secret that the hub shares with somebody's app.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// use hub_auth::local::TotpSecret;
///
/// let secret = TotpSecret::parse("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")?;
/// let now = UNIX_EPOCH + Duration::from_secs(59);
/// let code = secret.code(now);
/// let step = secret.verify(&code, now, 0).expect("the code is of this step");
/// assert_eq!(secret.verify(&code, now, step), None, "it is good once");
/// # Ok::<(), hub_auth::local::InvalidSecret>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret {
    bytes: Vec<u8>,
}

/// Why a text is no secret. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no secret in base32: letters and the digits 2 to 7, 16 characters or more")]
pub struct InvalidSecret;

impl TotpSecret {
    /// A new one: 160 random bits.
    pub fn generate() -> Self {
        Self { bytes: random::bytes::<NEW_BYTES>().to_vec() }
    }

    /// Reads base32, as people type it: blanks and `=` do not count, nor does case.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if it is none, or has fewer than 10 bytes or more than 64.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let clean: String = text
            .chars()
            .filter(|char| !char.is_whitespace() && *char != '=')
            .map(|char| char.to_ascii_uppercase())
            .collect();
        let bytes = BASE32_NOPAD.decode(clean.as_bytes()).map_err(|_| InvalidSecret)?;
        match (LEAST_BYTES..=MOST_BYTES).contains(&bytes.len()) {
            true => Ok(Self { bytes }),
            false => Err(InvalidSecret),
        }
    }

    /// In base32 without padding, for an app and for the store's seal.
    pub fn to_base32(&self) -> String {
        BASE32_NOPAD.encode(&self.bytes)
    }

    /// The address that apps read from a QR code: `otpauth://totp/ISSUER:ACCOUNT?...`.
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let issuer = utf8_percent_encode(issuer, PLAIN);
        let account = utf8_percent_encode(account, PLAIN);
        format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP_SECONDS}",
            self.to_base32()
        )
    }

    /// The code that an app shows at `now`: six digits.
    pub fn code(&self, now: SystemTime) -> String {
        self.digits(step(now), 6)
    }

    /// The step of `code` if it is right at `now` and later than the step `last`, that of
    /// the code that was accepted before: each is good once (RFC 6238 5.2). All codes are
    /// compared, and each in constant time.
    pub fn verify(&self, code: &str, now: SystemTime, last: i64) -> Option<i64> {
        let now = step(now);
        let mut found = None;
        for offset in -WINDOW..=WINDOW {
            let step = now.saturating_add(offset);
            let is_right = bool::from(self.digits(step, 6).as_bytes().ct_eq(code.as_bytes()));
            if is_right && step > last && step >= 0 {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a step (RFC 4226 5.3).
    fn digits(&self, step: i64, digits: u32) -> String {
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&self.bytes)
            .expect("HMAC takes a key of any length");
        mac.update(&step.to_be_bytes());
        let hash: [u8; 20] = mac.finalize().into_bytes().into();
        let offset = usize::from(hash[19] & 0x0f);
        let word =
            hash.iter().skip(offset).take(4).fold(0, |word, byte| word << 8 | u32::from(*byte));
        let code = (word & 0x7fff_ffff) % 10_u32.pow(digits);
        format!("{code:0width$}", width = digits as usize)
    }
}

/// The step that a time is in (RFC 6238 4.2, T).
fn step(time: SystemTime) -> i64 {
    i64::try_from(unix_seconds(time) / STEP_SECONDS).unwrap_or(i64::MAX)
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpSecret").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn secret() -> TotpSecret {
        TotpSecret { bytes: b"12345678901234567890".to_vec() }
    }

    #[test]
    fn rfc_6238_appendix_b_the_codes_of_sha_1() {
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(secret().digits(step(at(seconds)), 8), code);
            assert_eq!(secret().code(at(seconds)), code[2..]);
        }
    }

    #[test]
    fn rfc_6238_5_2_a_code_is_good_once_and_one_step_around() {
        let secret = secret();
        let (now, here) = (at(1_234_567_890), 1_234_567_890 / 30);
        for (offset, good) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let then = at(1_234_567_890_u64.checked_add_signed(offset).unwrap());
            let expected = good.then_some(here + offset / 30);
            assert_eq!(secret.verify(&secret.code(then), now, 0), expected, "{offset}");
        }
        let code = secret.code(now);
        assert_eq!(secret.verify(&code, now, here - 1), Some(here));
        assert_eq!(secret.verify(&code, now, here), None, "used");
        // An older one is not good after a newer one, either.
        assert_eq!(secret.verify(&secret.code(at(1_234_567_860)), now, here), None);
        for wrong in ["", "12345", "1234567", "abcdef"] {
            assert_eq!(secret.verify(wrong, now, 0), None);
        }
    }

    #[test]
    fn secrets_are_read_as_people_and_native_authenticator_write_them() {
        // Ten bytes.
        let old = TotpSecret::parse("JBSWY3DPEHPK3PXP").unwrap();
        assert_eq!(old.bytes.len(), 10);
        assert_eq!(TotpSecret::parse(" jbsw y3dp ehpk 3pxp== ").unwrap(), old);
        assert_eq!(old.to_base32(), "JBSWY3DPEHPK3PXP");
        let new = TotpSecret::generate();
        assert_eq!(TotpSecret::parse(&new.to_base32()).unwrap(), new);
        assert_ne!(new, TotpSecret::generate());
        for bad in ["", "JBSWY3DP", "JBSWY3DPEHPK3PX1", "hunter2"] {
            assert_eq!(TotpSecret::parse(bad), Err(InvalidSecret), "{bad}");
        }
        assert!(!format!("{old:?}").contains("JBSW"));
    }

    #[test]
    fn apps_learn_whose_code_it_is() {
        assert_eq!(
            TotpSecret::parse("JBSWY3DPEHPK3PXP").unwrap().uri("hub.example.org", "ada b"),
            "otpauth://totp/hub.example.org:ada%20b?secret=JBSWY3DPEHPK3PXP&issuer=hub.example.org&algorithm=SHA1&digits=6&period=30"
        );
    }
}
