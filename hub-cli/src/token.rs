//! Where the API token comes from. Never from the command line, which every
//! process of the machine can read.

use std::{fmt, fs, path::Path};

use reqwest::header::HeaderValue;

use crate::args::UsageError;

const TOKEN_VARIABLE: &str = "HUB_TOKEN";
const FILE_VARIABLE: &str = "HUB_TOKEN_FILE";

/// An API token. Not printable.
pub(crate) struct Token {
    authorization: HeaderValue,
    source: String,
}

impl Token {
    /// The token of `file`, else of the environment; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`UsageError`] if a file cannot be read, or what was found is no token.
    pub(crate) fn find(file: Option<&Path>) -> Result<Option<Self>, UsageError> {
        if let Some(file) = file {
            return Self::in_file(file).map(Some);
        }
        if let Some(text) = variable(TOKEN_VARIABLE) {
            return Self::new(&text, TOKEN_VARIABLE.to_owned()).map(Some);
        }
        variable(FILE_VARIABLE).map(|file| Self::in_file(Path::new(&file))).transpose()
    }

    /// The value of an `Authorization` header.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// Where it was found, for people.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    fn in_file(file: &Path) -> Result<Self, UsageError> {
        let text = fs::read_to_string(file).map_err(|error| UsageError {
            message: format!("the token file {} cannot be read: {error}", file.display()),
            hint: format!("name another one with --token-file, or set {TOKEN_VARIABLE}"),
        })?;
        Self::new(&text, file.display().to_string())
    }

    fn new(text: &str, source: String) -> Result<Self, UsageError> {
        let text = text.trim();
        let header = match text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() {
            true => HeaderValue::from_str(&format!("token {text}")).ok(),
            false => None,
        };
        let mut authorization = header.ok_or_else(|| UsageError {
            message: format!("what {source} holds is not a token"),
            hint: "a token is one word of letters and digits".to_owned(),
        })?;
        authorization.set_sensitive(true);
        Ok(Self { authorization, source })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("source", &self.source).finish_non_exhaustive()
    }
}

/// What to say when there is no token and one is needed.
pub(crate) fn missing() -> UsageError {
    UsageError {
        message: "no API token given".to_owned(),
        hint: format!(
            "put one into the variable {TOKEN_VARIABLE}, or into a file for --token-file; [[services]] in the hub's configuration gives a program one"
        ),
    }
}

/// A variable of the environment; an empty one is none.
#[expect(
    clippy::disallowed_methods,
    reason = "the tool's own configuration; the command line parser would show it in its help"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        let token = Token::new(" 0123456789abcdef\n", "a file".to_owned()).unwrap();
        assert_eq!(token.authorization().to_str().unwrap(), "token 0123456789abcdef");
        assert!(!format!("{token:?}{:?}", token.authorization()).contains("0123"));
        for text in ["", " ", "two words", "with\nline", "schl\u{fc}ssel"] {
            assert!(Token::new(text, "a file".to_owned()).is_err(), "{text:?}");
        }
    }
}
