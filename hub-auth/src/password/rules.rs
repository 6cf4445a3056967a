//! Which new passwords are refused.

use hub_names::UserName;
use secrecy::{ExposeSecret, SecretString};

use super::{UnfitPassword, hash};

/// Words that most of the worst passwords consist of, with digits and signs around
/// them. Passwords have at least ten characters, so the short worst are out anyway.
const WORST_WORDS: [&str; 48] = [
    "abc",
    "access",
    "admin",
    "administrator",
    "azerty",
    "baseball",
    "basketball",
    "batman",
    "change",
    "changeit",
    "changeme",
    "charlie",
    "computer",
    "default",
    "dragon",
    "football",
    "freedom",
    "google",
    "guest",
    "hello",
    "iloveyou",
    "internet",
    "jupyter",
    "jupyterhub",
    "letmein",
    "liverpool",
    "login",
    "master",
    "monkey",
    "notebook",
    "pass",
    "passwd",
    "password",
    "passwort",
    "princess",
    "qazwsx",
    "qwerty",
    "qwertz",
    "root",
    "secret",
    "starwars",
    "student",
    "sunshine",
    "superman",
    "test",
    "trustno",
    "user",
    "welcome",
];

/// Rows that fingers run along.
const ROWS: [&str; 9] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
];

/// So many characters that are no run, no repetition and no worst word are enough.
const ENOUGH: usize = 5;

/// What a new password has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// Fewest characters; fewer than 10 count as 10 (`minimum_password_length`).
    pub min_chars: usize,
    /// Whether those are refused that everybody tries first
    /// (`check_common_password`): runs on the keyboard, repetitions, and a few
    /// words with digits around them.
    pub refuse_common: bool,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self { min_chars: hash::MIN_CHARS, refuse_common: true }
    }
}

impl PasswordRules {
    /// Whether `password` may be the new one of `account`. There are no rules about
    /// kinds of characters: they make passwords worse.
    ///
    /// # Errors
    ///
    /// [`UnfitPassword`], for the person who chose it.
    pub fn check(&self, password: &SecretString, account: &UserName) -> Result<(), UnfitPassword> {
        let password = password.expose_secret();
        match password.chars().count() {
            0..hash::MIN_CHARS => return Err(UnfitPassword::TooShort),
            chars if chars < self.min_chars => {
                return Err(UnfitPassword::ShorterThan(self.min_chars));
            }
            chars if chars > hash::MAX_CHARS => return Err(UnfitPassword::TooLong),
            _ => {}
        }
        let plain = plain(password);
        let name = plain_letters(account.as_str());
        if name.chars().count() > 2
            && rest(&plain.replace(&name, " ")) < ENOUGH
            && plain.contains(&name)
        {
            return Err(UnfitPassword::LikeName);
        }
        if self.refuse_common && is_common(&plain) {
            return Err(UnfitPassword::Common);
        }
        Ok(())
    }
}

/// Lower case, with signs that stand for letters read as those.
fn plain(password: &str) -> String {
    password
        .to_lowercase()
        .chars()
        .map(|c| match c {
            '@' => 'a',
            '$' => 's',
            c => c,
        })
        .collect()
}

fn plain_letters(text: &str) -> String {
    plain(text).chars().filter(|c| c.is_alphanumeric()).collect()
}

fn is_common(plain: &str) -> bool {
    if repeats(plain) {
        return true;
    }
    // Digits that stand for letters, as in `p4ssw0rd`, and the digits themselves.
    let letters: String = plain
        .chars()
        .map(|c| match c {
            '0' => 'o',
            '1' => 'i',
            '3' => 'e',
            '4' => 'a',
            '5' => 's',
            c => c,
        })
        .collect();
    [plain, &letters].into_iter().any(|text| rest(&without_worst(text)) < ENOUGH)
}

/// Whether it is a piece of at most four characters over and over.
fn repeats(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (1..=4).any(|period| chars.iter().zip(chars.iter().skip(period)).all(|(a, b)| a == b))
}

/// The text with its worst words and runs taken out.
fn without_worst(text: &str) -> String {
    let mut words: Vec<&str> = WORST_WORDS.to_vec();
    // The longest first: `password` is not `pass` and something.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.into_iter().fold(text.to_owned(), |text, word| text.replace(word, " "))
}

/// How many characters remain that follow nothing: no digit, no sign, and no
/// neighbour in a row of the keyboard or the alphabet.
fn rest(text: &str) -> usize {
    let chars: Vec<char> = text.chars().collect();
    let runs_on = |a: char, b: char| {
        a == b
            || ROWS.iter().any(|row| {
                let pairs = row.chars().zip(row.chars().skip(1));
                pairs.into_iter().any(|pair| pair == (a, b) || pair == (b, a))
            })
    };
    let counts = |(index, c): (usize, &char)| {
        let before = index.checked_sub(1).map(|index| chars[index]);
        c.is_alphabetic() && !before.is_some_and(|before| runs_on(before, *c))
    };
    chars.iter().enumerate().filter(|at| counts(*at)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), UnfitPassword> {
        PasswordRules::default().check(&password.into(), &"countess".parse().unwrap())
    }

    #[test]
    fn passwords_that_everybody_tries_first_are_refused() {
        for password in [
            "1234567890",
            "0987654321",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "qwertyuiop",
            "qwertyuiop123",
            "1qaz2wsx3edc",
            "abcdefghij",
            "password123",
            "Password2024!",
            "P@ssw0rd123",
            "p4ssw0rd!!!",
            "letmein123456",
            "iloveyou1234",
            "adminadmin",
            "admin123456",
            "jupyterhub1",
            "Welcome2026!",
            "changeme123",
            "!!!!!!!!!!",
        ] {
            assert!(matches!(check(password), Err(UnfitPassword::Common)), "{password}");
        }
    }

    #[test]
    fn passwords_that_nobody_tries_are_fine() {
        for password in [
            "correct horse",
            "kitchen-table-93",
            "X7#kfQ!z2m",
            "mein Hund heißt Rex",
            "пароль-со-смыслом",
            "passing clouds at noon",
        ] {
            assert!(check(password).is_ok(), "{password}: {:?}", check(password));
        }
        let lax = PasswordRules { refuse_common: false, ..PasswordRules::default() };
        assert!(lax.check(&"password123".into(), &"ada".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_password_is_more_than_the_name() {
        for password in ["Countess123", "xcountess2026", "c0untess"] {
            assert!(check(password).is_err(), "{password}");
        }
        assert!(matches!(check("Countess123"), Err(UnfitPassword::LikeName)));
        assert!(check("the countess of Lovelace").is_ok());
    }

    #[test]
    fn a_hub_may_ask_for_longer_ones_and_not_for_shorter() {
        let rules = PasswordRules { min_chars: 16, ..PasswordRules::default() };
        let error = rules.check(&"correct horse".into(), &"ada".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the password has fewer than 16 characters");
        let rules = PasswordRules { min_chars: 0, ..PasswordRules::default() };
        let error = rules.check(&"9 letters".into(), &"ada".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the password has fewer than 10 characters");
    }
}
