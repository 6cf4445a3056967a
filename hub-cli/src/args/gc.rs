//! `hub gc` on the command line.

use std::path::PathBuf;

use clap::Args as Group;

use crate::configuration::Located;

/// What to clear away.
#[derive(Debug, Group)]
pub(crate) struct Gc {
    /// Containers, or services of a swarm, of servers that the hub's database does not know
    #[arg(long)]
    pub(crate) orphans: bool,
    /// Only list them
    #[arg(long, requires = "orphans")]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short, requires = "orphans", conflicts_with = "dry_run")]
    pub(crate) yes: bool,
    /// Write the servers that the database knows to this file, as JSON: what
    /// `--deployment` asks for in the hub's place
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "orphans")]
    pub(crate) known: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) located: Located,
}
