//! The command line of `hub backup` and `hub restore`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};
use hub_store::UserName;

use crate::{backup::schedule::Schedule, configuration::Located};

/// What to save.
#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Save what the hub knows: its store, configuration, list of users, certificate
    ///
    /// The hub may run meanwhile. Secrets are left out unless asked for; the archive is then
    /// encrypted, and its name has to end in .age.
    Hub {
        /// The archive to write: .tar, .tar.gz or .tar.zst, and .age for an encrypted one; - for
        /// standard output
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        secrets: Secrets,
        #[command(flatten)]
        located: Located,
    },
    /// Save a user's files: the content of the user's volume
    User {
        /// The user's name
        user: UserName,
        /// The archive to write: .tar, .tar.gz or .tar.zst; - for standard output
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// Which volume, if the user has several
        #[arg(long, value_name = "NAME")]
        volume: Option<String>,
        #[command(flatten)]
        located: Located,
    },
    /// Save the operator's files that a hub is deployed from: hub.toml, .env, userlist, secrets/
    /// and singleuser/
    ///
    /// Secrets are left out unless asked for; the archive is then encrypted, and its name has to
    /// end in .age.
    Directory {
        /// Where these files are
        #[arg(long, value_name = "DIR", default_value = ".")]
        directory: PathBuf,
        /// The archive to write: .tar, .tar.gz or .tar.zst, and .age for an encrypted one
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        secrets: Sealing,
    },
    /// Save the hub and all users, into a new folder each time
    All {
        /// The directory that the folders are in
        #[arg(long, short, value_name = "DIR")]
        output: PathBuf,
        /// Save the operator's files in this directory as well, which the hub is deployed from
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
        /// Keep the last run of each of so many days, and remove others
        #[arg(long, value_name = "N")]
        keep_daily: Option<u16>,
        /// Keep the last run of each of so many weeks, and remove others
        #[arg(long, value_name = "N")]
        keep_weekly: Option<u16>,
        /// Go on in the foreground, at this time: "daily 03:00", "weekly sun 03:00"
        #[arg(long, value_name = "WHEN")]
        schedule: Option<Schedule>,
        #[command(flatten)]
        secrets: Secrets,
        #[command(flatten)]
        located: Located,
    },
}

/// Whether secrets are saved, and how.
#[derive(Clone, Debug, Group)]
pub(crate) struct Secrets {
    /// Save the cookie secret, keys, passwords and tokens as well, encrypted
    #[arg(long)]
    pub(crate) with_secrets: bool,
    /// File with the passphrase, - for standard input; asked for at the terminal if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// File of variables to save; .env beside the configuration if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// A further file or directory to save; of its files, only certificates are no secrets
    #[arg(long, value_name = "PATH")]
    pub(crate) include: Vec<PathBuf>,
}

/// The same for files that are all known.
#[derive(Clone, Debug, Group)]
pub(crate) struct Sealing {
    /// Save keys, passwords and tokens as well, encrypted
    #[arg(long)]
    pub(crate) with_secrets: bool,
    /// File with the passphrase, - for standard input; asked for at the terminal if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl From<Sealing> for Secrets {
    fn from(sealing: Sealing) -> Self {
        let Sealing { with_secrets, passphrase_file } = sealing;
        Self { with_secrets, passphrase_file, env_file: None, include: Vec::new() }
    }
}

/// What to bring back.
#[derive(Debug, Subcommand)]
pub(crate) enum Restore {
    /// Bring back what a hub knew; it must not run
    Hub {
        /// The archive; - for standard input
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
        #[command(flatten)]
        how: HowHub,
        /// File with the passphrase, - for standard input; asked for at the terminal if not given
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        located: Located,
    },
    /// Bring back the operator's files that a hub is deployed from
    Directory {
        /// The archive, of `hub backup directory` or directory.tar.zst of a run
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
        /// Where to; it is made if it does not exist
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
        /// Replace files that differ; they are kept as NAME.old
        #[arg(long)]
        force: bool,
        /// File with the passphrase, - for standard input; asked for at the terminal if not given
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Bring back a run of `hub backup all`: the hub and all users' files
    ///
    /// Goes on with the others when a user cannot be restored, and fails at the end.
    All {
        /// The folder of the run
        #[arg(long, short, value_name = "DIR")]
        input: PathBuf,
        #[command(flatten)]
        how: HowHub,
        /// Remove what is in users' volumes first
        #[arg(long, conflicts_with = "merge")]
        wipe: bool,
        /// Lay the files over those in users' volumes
        #[arg(long)]
        merge: bool,
        /// File with the passphrase, - for standard input; asked for at the terminal if not given
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        located: Located,
    },
    /// Bring back a user's files
    User {
        /// The user's name
        user: UserName,
        /// The archive, of `hub backup user` or with names that begin with notebooks/; - for standard
        /// input
        #[arg(long, short, value_name = "FILE")]
        input: PathBuf,
        /// Remove what is in the volume first
        #[arg(long, conflicts_with = "merge")]
        wipe: bool,
        /// Lay the files over those in the volume
        #[arg(long)]
        merge: bool,
        /// Stop the user's servers first
        #[arg(long)]
        stop: bool,
        /// Which volume, if the user has several
        #[arg(long, value_name = "NAME")]
        volume: Option<String>,
        /// File with the passphrase, - for standard input; asked for at the terminal if not given
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        located: Located,
    },
}

/// How a hub is brought back.
#[derive(Clone, Copy, Debug, Group)]
pub(crate) struct HowHub {
    /// Replace a store that is not empty, and files that differ; those are kept as NAME.old
    #[arg(long)]
    pub(crate) force: bool,
    /// Bring back only what the hub itself has written, its store and its cookie secret, and
    /// leave configuration files alone; with --deployment it is always so
    #[arg(long)]
    pub(crate) state_only: bool,
    /// Stop servers, and with --deployment the hub, for as long as it takes
    #[arg(long)]
    pub(crate) stop: bool,
}
