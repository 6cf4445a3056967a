//! Flags about a certificate from files, and about TLS.

use clap::Args;

/// What is asked of `--ssl-cert`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Certificates from files")]
pub(in crate::program) struct TlsArgs {
    /// Host that the certificate of --ssl-cert has to be for, a DNS name or an
    /// IP address; may be repeated. Another certificate is refused, at the start
    /// and later.
    #[arg(long, value_name = "NAME", requires = "ssl_cert")]
    pub(in crate::program) ssl_host: Vec<String>,

    /// Another certificate chain and its key, PEM, for clients that ask for a name in it,
    /// wildcards included; may be repeated. That of --ssl-cert is for everybody else.
    #[arg(long, value_name = "CERT,KEY", requires = "ssl_cert")]
    pub(in crate::program) ssl_sni: Vec<String>,

    /// Start with a certificate of --ssl-cert that has expired, and say so in
    /// the log, instead of not starting. A newer file that has expired is
    /// refused all the same.
    #[arg(long, requires = "ssl_cert")]
    pub(in crate::program) serve_expired: bool,

    /// Speak only this version of TLS: TLSv1_2 or TLSv1_3. Both without it.
    #[arg(long, value_name = "VERSION")]
    pub(in crate::program) ssl_protocol: Option<String>,

    /// Ciphers to speak, by OpenSSL's names, separated by colons, the best first. Names
    /// that are not known are told in the log. All that rustls has without it.
    #[arg(long, value_name = "LIST")]
    pub(in crate::program) ssl_ciphers: Option<String>,
}
