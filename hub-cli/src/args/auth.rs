//! `hub auth`: who is let in, and why.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

use super::ConfigFiles;

/// What to find out about the rules of admission.
#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Show every rule in its order, what it says about somebody, and which decides
    Explain(Explain),
    /// Tell whom changed rules would lock out; ends with 1 if anybody
    Check {
        #[command(flatten)]
        files: ConfigFiles,
        /// The configuration file as it would be; best beside the present one
        #[arg(long, value_name = "FILE")]
        rules: PathBuf,
    },
}

/// What to do about the keys that seal what is kept of sign-ins.
#[derive(Debug, Subcommand)]
pub(crate) enum Crypt {
    /// Seal everything with the first key, so that the others can be taken away; the hub
    /// has to be stopped
    Rotate {
        #[command(flatten)]
        files: ConfigFiles,
    },
}

/// Who is meant, and what is assumed about them.
#[derive(Debug, Group)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) files: ConfigFiles,
    /// The account, or the login name of somebody who has none yet
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The way of signing in, by its id; the account's own if not given
    #[arg(long, value_name = "ID")]
    pub(crate) provider: Option<String>,
    /// The provider's number for them, as of somebody who took the name
    #[arg(long, value_name = "NUMBER")]
    pub(crate) id: Option<String>,
    /// All groups that they are in, with commas between; at GitHub `org` and `org:team`
    #[arg(long, value_name = "GROUPS")]
    pub(crate) groups: Option<String>,
    /// Scopes that they grant, with commas between
    #[arg(long, value_name = "SCOPES", default_value = "", hide_default_value = true)]
    pub(crate) scopes: String,
    /// What the provider says of them
    #[arg(long = "claim", value_name = "CLAIM=VALUE", value_parser = claim)]
    pub(crate) claims: Vec<(String, String)>,
}

fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((claim, value)) if !claim.trim().is_empty() => {
            Ok((claim.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write CLAIM=VALUE, such as hd=example.org".to_owned()),
    }
}
