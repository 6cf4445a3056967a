//! The flags about certificates from an authority.

use std::path::PathBuf;

use clap::Args;

use crate::{AcmeChallenge, AcmeDirectory};

/// How to obtain certificates.
#[derive(Debug, Args)]
#[command(next_help_heading = "Certificates from an authority (ACME)")]
pub(in crate::program) struct AcmeArgs {
    /// Domain to obtain a certificate for, instead of --ssl-cert; may be
    /// repeated.
    #[arg(long, value_name = "DOMAIN", group = "https", requires = "acme_dir")]
    pub(in crate::program) acme_domain: Vec<String>,

    /// Directory of account and certificates.
    #[arg(long, value_name = "DIR", requires = "acme_domain")]
    pub(in crate::program) acme_dir: Option<PathBuf>,

    /// Agree to the authority's terms of service; nothing is ordered without.
    #[arg(long, requires = "acme_domain")]
    pub(in crate::program) acme_agree_tos: bool,

    /// Where the authority may write to.
    #[arg(long, value_name = "ADDRESS", requires = "acme_domain")]
    pub(in crate::program) acme_email: Option<String>,

    /// The authority: letsencrypt, letsencrypt-staging or the https URL of its
    /// directory.
    #[arg(long, value_name = "URL", default_value = "letsencrypt")]
    pub(in crate::program) acme_directory: AcmeDirectory,

    /// Authorities that vouch for the directory's https, PEM, beside the
    /// system's.
    #[arg(long, value_name = "FILE", requires = "acme_domain")]
    pub(in crate::program) acme_directory_ca: Option<PathBuf>,

    /// How the authority asks: http-01 on port 80, which needs --redirect-port,
    /// or tls-alpn-01 on port 443.
    #[arg(long, value_name = "NAME", default_value = "http-01")]
    pub(in crate::program) acme_challenge: AcmeChallenge,

    /// Name of the key that ties the account to a customer's.
    #[arg(long, value_name = "ID", requires = "acme_external_account_key_file")]
    pub(in crate::program) acme_external_account_id: Option<String>,

    /// File with that key, base64url.
    #[arg(long, value_name = "FILE", requires = "acme_external_account_id")]
    pub(in crate::program) acme_external_account_key_file: Option<PathBuf>,
}
