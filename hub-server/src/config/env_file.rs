//! `.env` files (ENV-2): `NAME=value` lines for a deployment.
//!
//! The grammar is small on purpose, so that every tool reads the same file the
//! same way: blank lines, `#` comments on lines of their own, `NAME=value`. The
//! value is everything after the first `=`, without the white space around it and
//! without one pair of quotes around the whole. Nothing is expanded.

use std::path::{Path, PathBuf};

use super::{ConfigError, read, variables};

/// The lines of a `.env` file.
#[derive(Clone, Debug, Default)]
pub struct EnvFile {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Its settings, in the order of the file; no name is there twice.
    pub entries: Vec<EnvEntry>,
}

/// One line of a `.env` file.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvEntry {
    /// The variable.
    pub name: String,
    /// Its value; may be empty, which counts as not set (ENV-3).
    pub value: String,
    /// The line, from 1.
    pub line: usize,
}

impl std::fmt::Debug for EnvEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=.. (line {})", self.name, self.line)
    }
}

impl EnvFile {
    /// Reads `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, when lines are not understood (all of them are
    /// told), or when everybody on the machine may read a secret in it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match Self::read_shared(path)? {
            (file, None) => Ok(file),
            (_, Some(trouble)) => Err(trouble),
        }
    }

    /// As [`read`](Self::read), but a file that everybody may read is taken; what
    /// is wrong with that comes with it. For the files of an older deployment,
    /// which nobody ever asked to be private.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or when lines are not understood.
    pub fn read_shared(path: &Path) -> Result<(Self, Option<ConfigError>), ConfigError> {
        let text = read::text(path)?;
        let file = Self::parse(path, &text)?;
        let trouble = file.refuse_to_share(mode(path)?).err();
        Ok((file, trouble))
    }

    /// Reads the text of a file that is called `path` in errors.
    ///
    /// # Errors
    ///
    /// All lines that are not understood.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut file = Self { path: path.to_owned(), entries: Vec::new() };
        let mut errors = Vec::new();
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            let entry = entry(content, line).and_then(|entry| match entry {
                Some(entry) => file.is_new(&entry).map(|()| Some(entry)),
                None => Ok(None),
            });
            match entry {
                Ok(found) => file.entries.extend(found),
                Err(message) => errors.push(ConfigError::Syntax {
                    file: path.display().to_string(),
                    line,
                    message,
                }),
            }
        }
        ConfigError::none_of(errors).map(|()| file)
    }

    /// The value of a variable; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some(entry.value.as_str()).filter(|value| !value.is_empty())
    }

    /// What looks like a slip, one sentence each. No value of a secret is told.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for entry in &self.entries {
            let at = format!("{}:{}: {}", self.path.display(), entry.line, entry.name);
            if let Some(known) = variables::nearly(&entry.name) {
                doubts.push(format!("{at} means nothing here; did you mean {known}?"));
            }
            if entry.value.contains("${") {
                doubts.push(format!("{at}: variables in a value are not expanded"));
            }
            if entry.value.contains(" #") {
                doubts.push(format!(
                    "{at}: the text after # is part of the value; a comment needs a line of its own"
                ));
            }
        }
        doubts
    }

    fn is_new(&self, entry: &EnvEntry) -> Result<(), String> {
        match self.entries.iter().find(|known| known.name == entry.name) {
            Some(first) => {
                Err(format!("{} is set in line {} already; remove one", entry.name, first.line))
            }
            None => Ok(()),
        }
    }

    /// Refuses a file with a secret that others on the machine may read.
    fn refuse_to_share(&self, mode: u32) -> Result<(), ConfigError> {
        let secret = self.entries.iter().find(|entry| {
            !entry.value.is_empty() && variables::holds_secret(&entry.name, &entry.value)
        });
        match secret {
            Some(entry) if mode & 0o007 != 0 => Err(ConfigError::Syntax {
                file: self.path.display().to_string(),
                line: entry.line,
                message: format!(
                    "{} is a secret, and everybody on this machine may read the file: mode {:04o}; run chmod 600 {}",
                    entry.name,
                    mode & 0o7777,
                    self.path.display()
                ),
            }),
            _ => Ok(()),
        }
    }
}

fn mode(path: &Path) -> Result<u32, ConfigError> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = std::fs::metadata(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    Ok(found.permissions().mode())
}

fn entry(content: &str, line: usize) -> Result<Option<EnvEntry>, String> {
    let content = content.trim();
    if content.is_empty() || content.starts_with('#') {
        return Ok(None);
    }
    if content.split_whitespace().next() == Some("export") {
        return Err("this is not a shell script; leave out `export`".to_owned());
    }
    let Some((name, value)) = content.split_once('=') else {
        return Err("there is no `=`; write NAME=value, or # in front of a comment".to_owned());
    };
    if name.ends_with(char::is_whitespace) {
        return Err("no blanks may stand before `=`; write NAME=value".to_owned());
    }
    if !is_name(name) {
        return Err(format!(
            "{:?} is not the name of a variable; use letters, digits and `_`",
            name.chars().take(64).collect::<String>()
        ));
    }
    if value.contains('\0') {
        return Err(format!("{name}: a value may not contain a NUL character"));
    }
    let value = unquoted(value.trim()).ok_or_else(|| {
        format!("{name}: the quote at the beginning of the value is not closed on this line")
    })?;
    Ok(Some(EnvEntry { name: name.to_owned(), value: value.to_owned(), line }))
}

fn is_name(text: &str) -> bool {
    text.chars()
        .enumerate()
        .all(|(at, c)| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit()))
        && !text.is_empty()
}

/// The value without the quotes around the whole of it. Quotes that only begin it,
/// such as those of `"a b" c`, belong to it. `None`: a quote that nothing closes.
fn unquoted(value: &str) -> Option<&str> {
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        return Some(value);
    };
    let inner = &value[1..];
    match inner.find(quote)? {
        end if end + 1 == inner.len() => Some(&inner[..end]),
        _ => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        EnvFile::parse(Path::new(".env"), text)
            .map(|file| file.entries.into_iter().map(|entry| (entry.name, entry.value)).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn env_2_a_line_is_a_name_and_a_value() {
        let rows = [
            ("plain", "A=b", "b"),
            ("windows", "A=b\r\n", "b"),
            ("later equals signs", "A=x --y=z", "x --y=z"),
            ("single quotes", "A='b c'", "b c"),
            ("double quotes", "A=\"b 'c'\"", "b 'c'"),
            ("shell words", "A=\"b c\" \"d\"", "\"b c\" \"d\""),
            ("a quote inside", "A=it's", "it's"),
            ("nothing", "A=", ""),
            ("empty quotes", "A=''", ""),
            ("no expansion", "A=${HOME}/x", "${HOME}/x"),
            ("a sharp", "A=b #c", "b #c"),
            ("white space around", "  A= b ", "b"),
            ("a file from Windows", "\n# x\n\nA=b", "b"),
        ];
        for (what, text, value) in rows {
            assert_eq!(read(text).unwrap(), [("A".to_owned(), value.to_owned())], "{what}");
        }
        assert_eq!(read("# only a comment\n\n   \n").unwrap(), []);
    }

    #[test]
    fn env_2_every_bad_line_is_told_with_its_number() {
        let rows = [
            ("export A=b", ".env:1: this is not a shell script; leave out `export`"),
            ("A", ".env:1: there is no `=`"),
            ("A =b", ".env:1: no blanks may stand before `=`"),
            ("1A=b", ".env:1: \"1A\" is not the name of a variable"),
            ("=b", ".env:1: \"\" is not the name"),
            ("A='b", ".env:1: A: the quote at the beginning"),
            ("A=b\nA=c", ".env:2: A is set in line 1 already; remove one"),
            ("x\n\ny", ".env:3: there is no `=`"),
        ];
        for (text, message) in rows {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_secret_that_everybody_may_read_is_refused() {
        let file = |text| EnvFile::parse(Path::new(".env"), text).unwrap();
        let shared = file("DOCKER_NETWORK_NAME=x\nGITHUB_CLIENT_SECRET=hush\n");
        assert_eq!(
            shared.refuse_to_share(0o100_644).unwrap_err().to_string(),
            ".env:2: GITHUB_CLIENT_SECRET is a secret, and everybody on this machine may read the file: mode 0644; run chmod 600 .env"
        );
        assert!(shared.refuse_to_share(0o100_640).is_ok());
        assert!(shared.refuse_to_share(0o100_600).is_ok());
        assert!(file("HTTPS_PROXY=http://u:hush@p:1\n").refuse_to_share(0o100_644).is_err());
        assert!(file("HTTPS_PROXY=http://p:1\n").refuse_to_share(0o100_644).is_ok());
        assert!(file("GITHUB_CLIENT_SECRET=\n").refuse_to_share(0o100_644).is_ok());
        assert!(file("GITHUB_CLIENT_SECRET_FILE=/x\n").refuse_to_share(0o100_644).is_ok());
    }

    #[test]
    fn slips_are_doubted_and_secrets_not_told() {
        let text = "GITHUB_CLIENT_SECRTE=hush ${X}\nPATH=/bin\nDOCKER_SPAWN_CMD=lab # new\n";
        let doubts = EnvFile::parse(Path::new(".env"), text).unwrap().doubts();
        assert_eq!(doubts.len(), 3, "{doubts:?}");
        assert!(doubts[0].contains("did you mean GITHUB_CLIENT_SECRET?"), "{doubts:?}");
        assert!(doubts.iter().all(|doubt| !doubt.contains("hush")), "{doubts:?}");
    }
}
