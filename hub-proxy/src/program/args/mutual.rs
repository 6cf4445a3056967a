//! configurable-http-proxy's flags about who shows whom a certificate.

use std::path::PathBuf;

use clap::Args;

/// What the log says about `--SIDEssl-request-cert` without anybody who vouches.
fn vain(side: &str, asks: bool, has_ca: bool, required: bool) -> Option<String> {
    (asks && !has_ca && !required).then(|| {
        format!(
            "--{side}ssl-request-cert: nobody checks the certificates that clients show; name who \
             vouches for them with --{side}ssl-ca"
        )
    })
}

/// What browsers have to show.
#[derive(Debug, Args)]
#[command(next_help_heading = "Certificates of clients")]
pub(in crate::program) struct ClientCertArgs {
    /// Certificates of the authorities that vouch for clients, PEM. Read again as
    /// the certificate is.
    #[arg(long, value_name = "FILE", requires = "ssl_cert")]
    pub(in crate::program) ssl_ca: Option<PathBuf>,

    /// Ask clients for a certificate. Without --ssl-ca any will do, or none, unless
    /// --ssl-reject-unauthorized is there, too.
    #[arg(long, requires = "ssl_cert")]
    pub(in crate::program) ssl_request_cert: bool,

    /// Turn clients away that have none. Without --ssl-ca it has to be one by an
    /// authority of this system.
    #[arg(long, requires = "ssl_request_cert")]
    pub(in crate::program) ssl_reject_unauthorized: bool,
}

impl ClientCertArgs {
    /// What is not worth much.
    pub(in crate::program) fn warning(&self) -> Option<String> {
        vain("", self.ssl_request_cert, self.ssl_ca.is_some(), self.ssl_reject_unauthorized)
    }
}

/// HTTPS for the REST API, and what its clients have to show.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTPS for the REST API")]
pub(in crate::program) struct ApiTlsArgs {
    /// Private key of the REST API's certificate, PEM; with it, the API is HTTPS.
    #[arg(long, value_name = "FILE", requires = "api_ssl_cert")]
    pub(in crate::program) api_ssl_key: Option<PathBuf>,

    /// Certificate chain of the REST API, PEM. Read again as that of --ssl-cert.
    #[arg(long, value_name = "FILE", requires = "api_ssl_key")]
    pub(in crate::program) api_ssl_cert: Option<PathBuf>,

    /// Certificates of the authorities that vouch for the API's clients, PEM. Read
    /// again as the certificate is.
    #[arg(long, value_name = "FILE", requires = "api_ssl_cert")]
    pub(in crate::program) api_ssl_ca: Option<PathBuf>,

    /// Ask the API's clients for a certificate. Without --api-ssl-ca any will do, or
    /// none, unless --api-ssl-reject-unauthorized is there, too.
    #[arg(long, requires = "api_ssl_cert")]
    pub(in crate::program) api_ssl_request_cert: bool,

    /// Turn clients of the API away that have none. Without --api-ssl-ca it has to be
    /// one by an authority of this system.
    #[arg(long, requires = "api_ssl_request_cert")]
    pub(in crate::program) api_ssl_reject_unauthorized: bool,
}

impl ApiTlsArgs {
    /// What is not worth much.
    pub(in crate::program) fn warning(&self) -> Option<String> {
        let has_ca = self.api_ssl_ca.is_some();
        vain("api-", self.api_ssl_request_cert, has_ca, self.api_ssl_reject_unauthorized)
    }
}

/// How targets at https are spoken to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Targets at https")]
pub(in crate::program) struct TargetTlsArgs {
    /// Private key of the certificate that targets at https are shown, PEM. This and
    /// what follows is read again when the files change, and on SIGHUP.
    #[arg(long, value_name = "FILE", requires = "client_ssl_cert")]
    pub(in crate::program) client_ssl_key: Option<PathBuf>,

    /// Certificate chain that targets at https are shown, PEM.
    #[arg(long, value_name = "FILE", requires = "client_ssl_key")]
    pub(in crate::program) client_ssl_cert: Option<PathBuf>,

    /// Certificates of the authorities that vouch for targets, PEM; those of this
    /// system without.
    #[arg(long, value_name = "FILE")]
    pub(in crate::program) client_ssl_ca: Option<PathBuf>,

    /// Has no effect: a target's certificate is always asked for.
    #[arg(long, hide = true)]
    pub(in crate::program) client_ssl_request_cert: bool,

    /// Has no effect: that is so, but with --insecure.
    #[arg(long, hide = true)]
    pub(in crate::program) client_ssl_reject_unauthorized: bool,

    /// Take whatever certificate a target shows. Anybody on the way can be the target
    /// then. --client-ssl-ca counts for nothing beside it.
    #[arg(long)]
    pub(in crate::program) insecure: bool,
}
