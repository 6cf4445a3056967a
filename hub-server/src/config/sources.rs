//! Where a configuration is read from: file, `.env`, environment, command line.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{ConfigError, EnvFile, Loaded, load, read, variables};

/// The file that is read if none is named and it is there.
const CONFIG_FILE: &str = "hub.toml";
/// The same for variables; it is looked for beside the configuration file.
const ENV_FILE: &str = ".env";

/// Variables of the hub's own environment that the programs it runs are given, as
/// JupyterHub's `env_keep`.
const INHERITED: [&str; 9] = [
    "PATH",
    "PYTHONPATH",
    "CONDA_ROOT",
    "CONDA_DEFAULT_ENV",
    "VIRTUAL_ENV",
    "LANG",
    "LC_ALL",
    "TZ",
    "HOME",
];

/// The places a configuration is read from. They can be read again at any time.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    config_file: Option<PathBuf>,
    env_file: Option<PathBuf>,
    environment: Environment,
    flags: Vec<String>,
    lenient: bool,
    only_named: bool,
}

/// The variables of a process that concern the hub.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Those that are there and empty.
    empty: Vec<String>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Environment {
    /// Reads the process environment. Variables that are not ours, and values that
    /// are not UTF-8, are left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| variables::is_known(name) || INHERITED.contains(&name.as_str()))
            .collect()
    }

    /// The value of one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Name and value of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What the programs are given that the hub runs.
    pub(super) fn inherited(&self) -> BTreeMap<String, String> {
        INHERITED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.get(name)?.to_owned())))
            .collect()
    }

    /// The names of those that are there and empty, which counts as not set.
    pub(super) fn empty(&self) -> impl Iterator<Item = &str> {
        self.empty.iter().map(String::as_str)
    }
}

impl<N: Into<String>> FromIterator<(N, String)> for Environment {
    /// Empty variables count as not set (ENV-3).
    fn from_iter<I: IntoIterator<Item = (N, String)>>(variables: I) -> Self {
        let (empty, values): (Vec<_>, Vec<_>) = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .partition(|(_, value)| value.is_empty());
        Self {
            values: values.into_iter().collect(),
            empty: empty.into_iter().map(|(name, _)| name).collect(),
        }
    }
}

impl Sources {
    /// These variables, and the files that are found beside them.
    pub fn new(environment: Environment) -> Self {
        Self { environment, ..Self::default() }
    }

    /// Reads this configuration file. Without one, `hub.toml` in the working
    /// directory is read if it is there.
    #[must_use]
    pub fn config_file(mut self, path: Option<PathBuf>) -> Self {
        self.config_file = path;
        self
    }

    /// Reads this file of variables. Without one, `.env` beside the configuration
    /// file is read if it is there.
    #[must_use]
    pub fn env_file(mut self, path: Option<PathBuf>) -> Self {
        self.env_file = path;
        self
    }

    /// Sets keys over everything else, each written `section.key=value`.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = String>) -> Self {
        self.flags.extend(flags);
        self
    }

    /// Whether bad lines of the user list are left out and told, instead of being
    /// an error.
    #[must_use]
    pub fn lenient(mut self, lenient: bool) -> Self {
        self.lenient = lenient;
        self
    }

    /// Looks for no file that nobody has named. A file of variables that is named
    /// may then be one that everybody on the machine may read: whoever names it
    /// has said something about that, or has no use for secrets.
    #[must_use]
    pub fn only_named_files(mut self) -> Self {
        self.only_named = true;
        self
    }

    /// The value of a variable, also of one that sets no key: from the environment,
    /// else from the file of variables. `None` also if that cannot be read, which
    /// [`Sources::load`] tells.
    pub fn variable(&self, name: &str) -> Option<String> {
        if let Some(value) = self.environment.values.get(name) {
            return Some(value.clone());
        }
        let (_, beside) = self.places();
        let file = self.existing(self.env_file.as_deref(), &beside)?;
        EnvFile::read(&file).ok()?.get(name).map(str::to_owned)
    }

    /// Reads everything and checks the sum.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with all that is wrong, each with its place and what to do.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        self.load_only(None)
    }

    /// As [`Sources::load`], but only these sections count: what can be used of a
    /// configuration that is broken elsewhere. The others have their defaults; the
    /// image, which has none, is called `unknown`.
    ///
    /// # Errors
    ///
    /// What is wrong in these sections, or with the whole.
    pub fn load_sections(&self, sections: &[&str]) -> Result<Loaded, ConfigError> {
        self.load_only(Some(sections))
    }

    /// The directory that relative paths are below, and where the file of
    /// variables is looked for.
    fn places(&self) -> (PathBuf, PathBuf) {
        let config_file = self.existing(self.config_file.as_deref(), Path::new(CONFIG_FILE));
        let dir = config_file
            .as_deref()
            .and_then(Path::parent)
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
            .to_owned();
        // As people write it: no `./` in front of what is right here.
        let beside = if dir == Path::new(".") { ENV_FILE.into() } else { dir.join(ENV_FILE) };
        (dir, beside)
    }

    fn load_only(&self, sections: Option<&[&str]>) -> Result<Loaded, ConfigError> {
        let config_file = self.existing(self.config_file.as_deref(), Path::new(CONFIG_FILE));
        let (dir, beside) = self.places();
        let env_file = self.existing(self.env_file.as_deref(), &beside);
        let text = match &config_file {
            Some(path) => read::text(path)?,
            None => String::new(),
        };
        let env = match &env_file {
            Some(path) if self.only_named => Some(EnvFile::read_shared(path)?.0),
            Some(path) => Some(EnvFile::read(path)?),
            None => None,
        };
        load::parse_all(load::Texts {
            config: (config_file, &text),
            env: env.as_ref(),
            env_looked_for: beside,
            dir: &dir,
            environment: &self.environment,
            flags: &self.flags,
            lenient: self.lenient,
            sections,
        })
    }

    /// The file that was named, or else the usual one if it is there.
    fn existing(&self, named: Option<&Path>, usual: &Path) -> Option<PathBuf> {
        match named {
            Some(path) => Some(path.to_owned()),
            None => (!self.only_named && usual.is_file()).then(|| usual.to_owned()),
        }
    }
}
