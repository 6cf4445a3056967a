//! The whole command line.

mod auth;
mod backup;
mod gc;

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use hub_server::identities::Subject;
use hub_store::UserName;
use url::Url;

pub(crate) use self::{
    auth::{Auth, Crypt, Explain},
    backup::{Backup, HowHub, Restore, Secrets},
    gc::Gc,
};
use crate::configuration::Located;

/// Longest life of a token: ten years, as the hub has it.
const LONGEST_LIFE_SECONDS: u64 = 10 * 366 * 86_400;

/// Looks after a notebook hub: its users, their servers and their tokens.
#[derive(Debug, Parser)]
#[command(name = "hub", version, max_term_width = 100, after_help = TOKEN_HELP)]
pub(crate) struct Args {
    /// Print the hub's JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    // Its heading would hold what comes after it.
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const TOKEN_HELP: &str = "\
The token comes from --token-file, else from the variable HUB_TOKEN, else from the file that
HUB_TOKEN_FILE names. It is a user's, or that of a service in the hub's configuration.";

/// How to reach the hub.
#[derive(Debug, Group)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The hub's address, with its base URL if it has one: `https://example.org/jupyter`
    #[arg(
        long,
        global = true,
        env = "HUB_URL",
        hide_env_values = true,
        default_value = "https://localhost:8000",
        value_parser = hub_url,
        help = "The hub's address, with its base URL if it has one (https://example.org/jupyter)"
    )]
    pub(crate) url: Url,
    /// File that holds the API token and nothing else
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates (PEM) to trust besides the system's
    #[arg(long, global = true, value_name = "FILE", env = "HUB_CA_FILE", hide_env_values = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// How long the hub may be silent
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub(crate) timeout: u64,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    // Listed in the help with those below.
    #[command(flatten)]
    OfHub(OfHub),
    /// Show, check and begin a hub's configuration; speaks to no hub
    #[command(subcommand)]
    Config(Config),
    /// Make a hub.toml of a jupyterhub_config.py; speaks to no hub
    ImportConfig(ImportConfig),
    /// Explain who is let in, and whom other rules would lock out; speaks to no hub
    #[command(subcommand)]
    Auth(Auth),
    /// Look after the keys that seal what is kept of sign-ins; speaks to no hub
    #[command(subcommand)]
    Crypt(Crypt),
    /// Check all that a hub needs, and say what to do where something is missing
    Doctor(Doctor),
}

/// What a running hub is asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum OfHub {
    /// List, add, change and delete users
    #[command(subcommand, alias = "user")]
    Users(Users),
    /// List, start and stop servers, and read their logs
    #[command(subcommand)]
    Servers(Servers),
    /// Create, list and revoke API tokens
    #[command(subcommand)]
    Tokens(Tokens),
    /// Have the hub read its configuration again, and show what changed
    Reload,
    /// Save the hub's state and users' files; works without a running hub
    #[command(subcommand)]
    Backup(Backup),
    /// Bring back what was saved; works without a running hub
    #[command(subcommand)]
    Restore(Restore),
    /// Remove containers that are nobody's; works without a running hub
    Gc(Gc),
    /// Show what the hub is, and whom it takes you for
    Info,
}

/// What to do about the configuration of this machine's hub.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every key with its value; of a secret, length and fingerprint
    Show {
        #[command(flatten)]
        files: ConfigFiles,
        /// Show where each value comes from
        #[arg(long)]
        origin: bool,
        /// Only keys that somebody has set
        #[arg(long)]
        set_only: bool,
    },
    /// Read the configuration and tell all that is wrong or weak
    Check {
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Write a file with every key in it, commented out
    Init {
        /// The file; it must not exist
        #[arg(default_value = "hub.toml")]
        file: PathBuf,
    },
}

/// Which script becomes a configuration.
#[derive(Debug, Group)]
pub(crate) struct ImportConfig {
    /// The script; it is read, never run
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The new file; it must not exist. Without it the configuration is printed
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Where the configuration is, as `hub-server` takes it.
#[derive(Clone, Debug, Group)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigFiles {
    /// Configuration file; hub.toml in the working directory if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File of variables; .env beside the configuration file if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Set a key over everything else
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Leave out bad lines of the user list, and tell them
    #[arg(long)]
    pub(crate) lenient: bool,
}

/// What to examine.
#[derive(Debug, Group)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) files: ConfigFiles,
    /// Read the whole database, too
    #[arg(long)]
    pub(crate) deep: bool,
    /// Only list the calls of Docker's API that a filter before its socket has to let through
    #[arg(long)]
    pub(crate) docker_permissions: bool,
}

impl OfHub {
    /// Whether a hub is asked, on somebody's behalf.
    pub(crate) fn needs_token(&self) -> bool {
        !matches!(self, Self::Info) && !self.needs_no_hub()
    }

    /// Whether it works on volumes, containers and the database itself.
    pub(crate) fn needs_no_hub(&self) -> bool {
        matches!(
            self,
            Self::Backup(_)
                | Self::Restore(_)
                | Self::Gc(_)
                | Self::Users(
                    Users::Purge { .. } | Users::Identity { .. } | Users::Identities { .. }
                )
        )
    }
}

/// What to do about users.
#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// List users
    List {
        /// Only users whose servers are in this state
        #[arg(long)]
        state: Option<UserState>,
        /// Only users with this text in their names
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
    },
    /// Show one user
    Show {
        /// The user's name
        #[arg(value_parser = segment)]
        name: String,
    },
    /// Add users, so that they may sign in
    Add {
        /// Names of the users
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Make them administrators
        #[arg(long)]
        admin: bool,
    },
    /// Make a user an administrator
    Admin {
        /// The user's name
        #[arg(value_parser = segment)]
        name: String,
        /// Make an administrator an ordinary user again
        #[arg(long)]
        revoke: bool,
    },
    /// Delete a user with all tokens; a running server is stopped, notebooks are kept
    Delete {
        /// The user's name
        #[arg(value_parser = segment)]
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Show or change whose account it is where people sign in; to change it, the hub has to be
    /// stopped
    Identity {
        /// The user's name
        name: UserName,
        /// Let the account be nobody's at this way of signing in; its owner there is signed out
        #[arg(long, value_name = "PROVIDER")]
        forget: Option<String>,
        /// Give the account to this person, such as github:583231
        #[arg(long, value_name = "PROVIDER:ID")]
        bind: Option<Subject>,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Show whose all accounts are where people sign in, or change it for everybody; to change
    /// it, the hub has to be stopped
    Identities {
        /// Only at this way of signing in
        #[arg(long, value_name = "PROVIDER", conflicts_with_all = ["forget", "rename"])]
        provider: Option<String>,
        #[command(flatten)]
        change: IdentityChange,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Remove a user's volumes with all files in them; works without a running hub
    Purge {
        /// The user's name
        name: UserName,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        located: Located,
    },
}

/// What to do about whose all accounts are.
#[derive(Debug, Group)]
pub(crate) struct IdentityChange {
    /// Let all accounts be nobody's at this way of signing in; their owners there are signed out
    #[arg(long, value_name = "PROVIDER", conflicts_with = "rename")]
    pub(crate) forget: Option<String>,
    /// Let all accounts of the first way of signing in belong to the second: the same provider,
    /// which has another id in the configuration now. Nobody is signed out
    #[arg(long, num_args = 2, value_names = ["OLD_ID", "NEW_ID"])]
    pub(crate) rename: Vec<String>,
    /// Only tell what would change; the hub may run
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short, requires = "forget")]
    pub(crate) yes: bool,
}

/// Which users to list.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum UserState {
    /// With a server that runs, starts or stops
    Active,
    /// With a server that can be used
    Ready,
    /// Without a server
    Inactive,
}

impl UserState {
    /// The word for it in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ready => "ready",
            Self::Inactive => "inactive",
        }
    }
}

/// What to do about servers.
#[derive(Debug, Subcommand)]
pub(crate) enum Servers {
    /// List the servers that run, start or stop
    List,
    /// Start a user's server and show how far it is
    Start {
        /// The user's name
        #[arg(value_parser = segment)]
        user: String,
        /// Do not wait until the server can be used
        #[arg(long)]
        no_wait: bool,
    },
    /// Stop a user's server
    Stop {
        /// The user's name
        #[arg(value_parser = segment)]
        user: String,
        /// Do not wait until the server is gone
        #[arg(long)]
        no_wait: bool,
    },
    /// Print what a user's server wrote last, also after it has ended
    #[command(visible_alias = "logs")]
    Log {
        /// The user's name
        #[arg(value_parser = segment)]
        user: String,
        /// How many lines
        #[arg(long, visible_alias = "tail", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=5000))]
        lines: u64,
        /// Go on with what it writes from now on, until it ends
        #[arg(long, short)]
        follow: bool,
    },
}

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    /// Create a token and print it, once
    Create {
        /// The user whose token it will be
        #[arg(value_parser = segment)]
        user: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// How long it is valid: 90s, 30m, 12h, 30d, 8w; for ever if not given
        #[arg(long, value_name = "TIME", value_parser = life_seconds)]
        expires_in: Option<u64>,
        /// What it allows, separated by commas; all that the user may if not given
        #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
        scopes: Option<Vec<String>>,
    },
    /// List a user's tokens
    List {
        /// The user's name
        #[arg(value_parser = segment)]
        user: String,
    },
    /// Revoke a token
    Revoke {
        /// The user's name
        #[arg(value_parser = segment)]
        user: String,
        /// The token's id, as `hub tokens list` shows it
        #[arg(value_parser = segment)]
        id: String,
    },
}

/// A command line that can be read but cannot work as it stands.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct UsageError {
    pub(crate) message: String,
    /// What would work.
    pub(crate) hint: String,
}

fn hub_url(text: &str) -> Result<Url, String> {
    let example = "write it like https://example.org:8000";
    let mut url: Url = text.parse().map_err(|error| format!("{error}; {example}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("neither an http:// nor an https:// address; {example}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address must not carry a name or password; the token is enough".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("an address ends before ? and #; {example}"));
    }
    // One form for both spellings, to which paths are appended.
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Text that is one segment of a URL's path. URLs swallow empty and dotted
/// segments: the request would be about something else.
fn segment(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must not be empty".to_owned()),
        "." | ".." => Err("cannot be a name".to_owned()),
        _ if text.contains('/') => Err("must not contain a slash".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

fn life_seconds(text: &str) -> Result<u64, String> {
    let shape = || "write a number and one of s, m, h, d, w, like 30d".to_owned();
    let (number, seconds) = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 7 * 86_400)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .ok_or_else(shape)?;
    let number: u64 = number.parse().map_err(|_| shape())?;
    number
        .checked_mul(seconds)
        .filter(|life| (1..=LONGEST_LIFE_SECONDS).contains(life))
        .ok_or_else(|| "must be more than nothing and at most ten years".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn lives_have_units() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("30m", Some(1800)),
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
            ("8w", Some(4_838_400)),
            ("30", None),
            ("d", None),
            ("", None),
            ("1dd", None),
            ("-1d", None),
            ("0d", None),
            ("4000d", None),
            ("99999999999999999999w", None),
            ("9999999999999999w", None),
        ] {
            assert_eq!(life_seconds(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn addresses_may_carry_a_base_url() {
        for (text, expected) in [
            ("https://example.org", Some("https://example.org/")),
            ("http://[::1]:8000/", Some("http://[::1]:8000/")),
            ("https://example.org/jupyter/", Some("https://example.org/jupyter")),
            ("https://example.org/a/b//", Some("https://example.org/a/b")),
            ("example.org", None),
            ("localhost:8000", None),
            ("ftp://example.org", None),
            ("https://ada:secret@example.org", None),
            ("https://example.org/?next=1", None),
        ] {
            let url = hub_url(text).ok().map(String::from);
            assert_eq!(url.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_cannot_lead_to_another_path() {
        for name in ["", ".", "..", "ada/server"] {
            assert!(segment(name).is_err(), "{name:?}");
        }
        assert_eq!(
            segment("ada lovelace+1@example.org").as_deref(),
            Ok("ada lovelace+1@example.org")
        );
    }
}
