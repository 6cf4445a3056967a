//! Where the certificate comes from, as the command line says.

use std::{fs, path::PathBuf};

use super::{
    ProgramError,
    args::{AcmeArgs, TlsArgs},
    settings::{BadSetting, bad},
};
use crate::{Acme, AcmeChallenge, AcmeConfig, AcmeExternalAccount, Certificate, TlsError, TlsKeys};

/// The source of a certificate.
#[derive(Debug)]
pub(super) enum Https {
    /// `--ssl-cert` and `--ssl-key`.
    Files(TlsFiles),
    /// `--acme-domain`.
    Acme(AcmeConfig),
}

/// A pair that somebody else renews.
#[derive(Debug)]
pub(super) struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
    asked: TlsArgs,
}

impl TlsFiles {
    pub(super) fn of(files: Option<(PathBuf, PathBuf)>, asked: TlsArgs) -> Option<Self> {
        files.map(|(cert, key)| Self { cert, key, asked })
    }

    fn load(&self) -> Result<TlsKeys, TlsError> {
        let hosts = self.asked.ssl_host.clone();
        match self.asked.serve_expired {
            false => TlsKeys::load_for(&self.cert, &self.key, hosts),
            true => TlsKeys::load_even_expired(&self.cert, &self.key, hosts),
        }
    }
}

impl Https {
    /// `None` for plain HTTP. The authority of http-01 needs `redirects`.
    pub(super) fn new(
        files: Option<TlsFiles>,
        acme: AcmeArgs,
        redirects: bool,
    ) -> Result<Option<Self>, BadSetting> {
        if let Some(files) = files {
            return Ok(Some(Self::Files(files)));
        }
        // Clap sees to it that there is one if there are domains.
        let Some(dir) = acme.acme_dir else { return Ok(None) };
        let mut config = AcmeConfig::new(acme.acme_domain, dir);
        config.agree_tos = acme.acme_agree_tos;
        config.email = acme.acme_email;
        config.directory = acme.acme_directory;
        config.directory_ca = acme.acme_directory_ca;
        config.challenge = acme.acme_challenge;
        if let Some((key_id, path)) =
            acme.acme_external_account_id.zip(acme.acme_external_account_key_file)
        {
            let hmac_key = fs::read_to_string(&path).map_err(|error| {
                let problem = format!("{}: cannot be read: {error}", path.display());
                bad("--acme-external-account-key-file", problem)
            })?;
            config.external_account = Some(AcmeExternalAccount { key_id, hmac_key });
        }
        config.check().map_err(|error| bad("--acme-domain", error.to_string()))?;
        if config.challenge == AcmeChallenge::Http01 && !redirects {
            return Err(bad(
                "--redirect-port",
                "the authority asks on port 80, so give 80 or what leads here from there; or use \
                 --acme-challenge tls-alpn-01",
            ));
        }
        Ok(Some(Self::Acme(config)))
    }

    /// Reads the files, or what was obtained earlier.
    pub(super) async fn open(&self) -> Result<Certificate, ProgramError> {
        match self {
            Self::Files(files) => Ok(Certificate::Files(files.load()?)),
            Self::Acme(config) => Ok(Certificate::Acme(Acme::open(config.clone()).await?)),
        }
    }
}
