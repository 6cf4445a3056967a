//! argon2id in PHC format.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};

use crate::BoxError;

/// Shortest password that gets a hash.
const MIN_CHARS: usize = 10;

/// Longest password that is hashed, new or presented.
const MAX_CHARS: usize = 256;

/// Most memory that a configured hash may ask for at each try: 1 GiB.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;

/// Most passes that a configured hash may ask for.
const MAX_PASSES: u32 = 64;

/// Why there is no hash of a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitPassword {
    /// Easily guessed.
    #[error("the password has fewer than {MIN_CHARS} characters")]
    TooShort,
    /// More than a person types, and a way to keep the hub busy.
    #[error("the password has more than {MAX_CHARS} characters")]
    TooLong,
    /// The hash could not be computed, for example for lack of memory.
    #[error("the password could not be hashed")]
    Failed(#[source] BoxError),
}

/// Hashes a new password of 10 to 256 characters: argon2id with 19 MiB, two
/// passes, one lane and a random salt, as text in PHC format. Takes some tens of
/// milliseconds.
///
/// # Errors
///
/// [`UnfitPassword`], for the person who chose it.
pub fn hash_password(password: &SecretString) -> Result<String, UnfitPassword> {
    let password = password.expose_secret();
    match password.chars().count() {
        0..MIN_CHARS => return Err(UnfitPassword::TooShort),
        MIN_CHARS..=MAX_CHARS => {}
        _ => return Err(UnfitPassword::TooLong),
    }
    argon2()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| UnfitPassword::Failed(error.to_string().into()))
}

/// Whether `password` is the one that `hash` was made of. The hash says with
/// which parameters.
pub(super) fn verify(hash: &str, password: &str) -> bool {
    // Cut instead of refused, so that a long wrong password costs what a short
    // one costs. No hash was ever made of more, and what is left of more is longer
    // than any password with a hash.
    let end = password.char_indices().nth(MAX_CHARS + 1).map_or(password.len(), |(at, _)| at);
    PasswordHash::new(hash)
        .is_ok_and(|hash| argon2().verify_password(&password.as_bytes()[..end], &hash).is_ok())
}

/// Finds a configured hash that could never match, or would exhaust the host.
/// The text itself is not repeated in the answer.
pub(super) fn check(text: &str) -> Result<(), String> {
    let unreadable = || "is not a password hash in PHC format".to_owned();
    let hash = PasswordHash::new(text).map_err(|_| unreadable())?;
    if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
        return Err("is not an argon2id hash with salt".to_owned());
    }
    let params = Params::try_from(&hash).map_err(|_| unreadable())?;
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
        return Err(format!(
            "asks for {} KiB and {} passes at each try; at most {MAX_MEMORY_KIB} KiB and {MAX_PASSES} are allowed",
            params.m_cost(),
            params.t_cost()
        ));
    }
    Ok(())
}

/// The least that OWASP's password storage cheat sheet asks for.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_a_password_becomes_an_argon2id_hash() {
        let hash = hash_password(&"correct horse".into()).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(check(&hash).is_ok());
        assert!(verify(&hash, "correct horse"));
        assert!(!verify(&hash, "correct horsf"));
        assert!(!verify(&hash, ""));
        assert_ne!(hash, hash_password(&"correct horse".into()).unwrap(), "the salt differs");
    }

    #[test]
    fn passwords_have_10_to_256_characters() {
        let hash = |chars: usize| hash_password(&"é".repeat(chars).into());
        assert!(matches!(hash(9), Err(UnfitPassword::TooShort)));
        assert!(hash(10).is_ok());
        assert!(matches!(hash(257), Err(UnfitPassword::TooLong)));
        let longest = hash(256).unwrap();
        assert!(verify(&longest, &"é".repeat(256)));
        assert!(!verify(&longest, &"é".repeat(257)));
        assert!(!verify(&longest, &"é".repeat(100_000)));
    }

    #[test]
    fn hashes_that_cannot_work_are_refused() {
        let good = hash_password(&"correct horse".into()).unwrap();
        for text in [
            "",
            "hunter2",
            "$2b$12$WApznUPhDubN0oeveSXHp.Ka3JrJ1aY3ZzDeE0yVhxXQv4ZJDTGyC",
            "$argon2id$v=19$m=19456,t=2,p=1",
            &good.replace("argon2id", "argon2i"),
            &good.replace("m=19456", "m=4294967295"),
            &good.replace("t=2", "t=4000000"),
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
