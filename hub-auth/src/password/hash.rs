//! argon2id in PHC format, and the bcrypt hashes of older hubs.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use crate::BoxError;

/// Shortest password that gets a hash.
pub(super) const MIN_CHARS: usize = 10;

/// Longest password that is hashed, new or presented.
pub(super) const MAX_CHARS: usize = 256;

/// Most memory that a configured hash may ask for at each try: 1 GiB.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;

/// Most passes that a configured hash may ask for.
const MAX_PASSES: u32 = 64;

/// Dearest bcrypt hash that is looked at: 2^15 rounds, some seconds.
const MAX_BCRYPT_COST: u32 = 15;

/// Memory, passes and lanes of new hashes: the least that OWASP's password storage
/// cheat sheet asks for.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Whether a password is the one that a hash was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is not, or the hash is none.
    Wrong,
    /// It is.
    Right,
    /// It is, and the hash is of an older kind: replace it by a new one.
    RightButOld,
}

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
    /// Shorter than this hub wants.
    #[error("the password has fewer than {0} characters")]
    ShorterThan(usize),
    /// Among those that are tried first.
    #[error("the password is one of those that everybody tries first")]
    Common,
    /// Little more than the name of the account.
    #[error("the password is little more than the account's name")]
    LikeName,
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
    let password = composed(password.expose_secret());
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

/// Whether `password` is the one that `hash` was made of; the hash says with which
/// parameters. Takes some tens of milliseconds, and for bcrypt up to seconds.
///
/// Understands argon2 in PHC format, and `$2a$`, `$2b$` and `$2y$` of bcrypt, which
/// looks at 72 bytes only. What is neither matches nothing.
pub fn verify_password(hash: &str, password: &SecretString) -> Verified {
    let password = password.expose_secret();
    let end = password.char_indices().nth(MAX_CHARS + 1).map_or(password.len(), |(at, _)| at);
    let typed = &password[..end];
    // Keyboards differ in how they write an accent. Hashes of before this was
    // looked at are of what was typed.
    let composed = composed(password);
    let right = matches(hash, &composed) || (composed != typed && matches(hash, typed));
    match (right, is_current(hash)) {
        (false, _) => Verified::Wrong,
        (true, true) => Verified::Right,
        (true, false) => Verified::RightButOld,
    }
}

/// Accents in one form, as Unicode's NFC.
///
/// Cut instead of refused, so that a long wrong password costs what a short one
/// costs. No hash was ever made of more, and what is left of more is longer than
/// any password with a hash.
fn composed(password: &str) -> String {
    password.nfc().take(MAX_CHARS + 1).collect()
}

fn matches(hash: &str, password: &str) -> bool {
    if let Some(cost) = bcrypt_cost(hash) {
        return cost <= MAX_BCRYPT_COST && bcrypt::verify(password, hash).unwrap_or(false);
    }
    PasswordHash::new(hash)
        .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The cost of a bcrypt hash, such as `$2b$12$...`; `None` if it is none.
pub(super) fn bcrypt_cost(hash: &str) -> Option<u32> {
    let rest = ["$2a$", "$2b$", "$2y$"].into_iter().find_map(|kind| hash.strip_prefix(kind))?;
    rest.split_once('$')?.0.parse().ok()
}

/// A bcrypt hash of this cost that no known password has: 22 characters of salt, 31 of
/// hash. To compare with it takes as long as with any other.
pub(super) fn bcrypt_of_nobody(cost: u32) -> String {
    format!("$2b${:02}${}", cost.clamp(4, MAX_BCRYPT_COST), ".".repeat(22 + 31))
}

/// Whether `hash` is as strong as a new one.
fn is_current(hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    hash.algorithm.as_str() == "argon2id"
        && Params::try_from(&hash)
            .is_ok_and(|params| params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES)
}

/// As [`check`], for hashes that are stored: bcrypt is replaced in time.
pub(crate) fn check_stored(text: &str) -> Result<(), String> {
    match bcrypt_cost(text) {
        Some(cost) if cost > MAX_BCRYPT_COST => Err(format!(
            "asks for 2^{cost} rounds at each try; at most 2^{MAX_BCRYPT_COST} are allowed"
        )),
        // 22 characters of salt and 31 of hash.
        Some(_) if text.rsplit('$').next().is_some_and(|tail| tail.len() == 53) => Ok(()),
        Some(_) => Err("is no whole bcrypt hash".to_owned()),
        None => check(text),
    }
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

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(hash: &str, password: &str) -> bool {
        verify_password(hash, &password.into()) != Verified::Wrong
    }

    #[test]
    fn nat_2_old_hashes_verify_and_ask_for_a_new_one() {
        // OpenBSD's test vector, and the same with the marks of later versions.
        let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        for kind in ["$2a$", "$2b$", "$2y$"] {
            let hash = hash.replace("$2a$", kind);
            assert_eq!(verify_password(&hash, &"U*U".into()), Verified::RightButOld, "{kind}");
            assert_eq!(verify_password(&hash, &"U*V".into()), Verified::Wrong, "{kind}");
        }
        let dear = hash.replace("$05$", "$31$");
        assert_eq!(verify_password(&dear, &"U*U".into()), Verified::Wrong, "never computed");
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8 * 1024, 1, 1, None).unwrap(),
        );
        let weak = weak.hash_password(b"correct horse").unwrap().to_string();
        assert_eq!(verify_password(&weak, &"correct horse".into()), Verified::RightButOld);
        let new = hash_password(&"correct horse".into()).unwrap();
        assert_eq!(verify_password(&new, &"correct horse".into()), Verified::Right);
        for nonsense in ["", "$2b$", "$2b$12$", "$2b$x$y", "hunter2", "$argon2id$"] {
            assert_eq!(verify_password(nonsense, &"".into()), Verified::Wrong, "{nonsense}");
        }
    }

    #[test]
    fn an_accent_is_the_same_however_the_keyboard_writes_it() {
        let hash = hash_password(&"pass\u{e9}-compos\u{e9}".into()).unwrap();
        assert!(verify(&hash, "passe\u{301}-compose\u{301}"));
        assert!(verify(&hash, "pass\u{e9}-compose\u{301}"));
        assert!(!verify(&hash, "passe-compose"));
        // What was hashed before accents were looked at.
        let old = argon2().hash_password("passe\u{301} 12345".as_bytes()).unwrap().to_string();
        assert!(verify(&old, "passe\u{301} 12345"));
    }

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
