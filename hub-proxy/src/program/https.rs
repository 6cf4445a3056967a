//! Where the certificate comes from, as the command line says.

use std::{fs, path::PathBuf};

use secrecy::SecretString;

use super::{
    ProgramError,
    args::{AcmeArgs, ApiTlsArgs, ClientCertArgs, TargetTlsArgs, TlsArgs},
    settings::{BadSetting, bad},
};
use crate::{
    Acme, AcmeChallenge, AcmeConfig, AcmeExternalAccount, Certificate, ClientAuthorities,
    TargetTls, TargetTlsConfig, TlsError, TlsKeys, TlsOffer, TlsOptions, TlsVersion, error::chain,
};

/// The source of a certificate.
#[derive(Debug)]
pub(super) enum Https {
    /// `--ssl-cert` and `--ssl-key`.
    Files(TlsFiles),
    /// `--acme-domain`.
    Acme(AcmeConfig),
}

/// A pair that somebody else renews.
#[derive(Clone, Debug)]
pub(super) struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
    passphrase: Option<SecretString>,
    hosts: Vec<String>,
    even_expired: bool,
    /// More pairs, for those who ask for a name in them.
    by_name: Vec<(PathBuf, PathBuf)>,
    clients: Option<ClientAuthorities>,
    offer: TlsOffer,
}

/// What `--ssl-protocol` and `--ssl-ciphers` ask for, and the names that are not known.
pub(super) fn tls_offer(asked: &TlsArgs) -> Result<(TlsOffer, Vec<String>), BadSetting> {
    let mut offer = TlsOffer::default();
    let mut unknown = Vec::new();
    if let Some(list) = &asked.ssl_ciphers {
        let chosen = offer.ciphers(list).map_err(|error| bad("--ssl-ciphers", error.to_string()));
        (offer, unknown) = chosen?;
    }
    if let Some(version) = &asked.ssl_protocol {
        offer = offer.only(match version.as_str() {
            "TLSv1_2" | "TLSv1.2" | "TLSv1_2_method" => TlsVersion::Tls12,
            "TLSv1_3" | "TLSv1.3" => TlsVersion::Tls13,
            _ => {
                let problem = format!("{version:?} is not spoken; write TLSv1_2 or TLSv1_3");
                return Err(bad("--ssl-protocol", problem));
            }
        });
    }
    offer.check().map_err(|error| bad("--ssl-ciphers", error.to_string()))?;
    Ok((offer, unknown))
}

impl TlsFiles {
    /// That of browsers.
    pub(super) fn public(
        files: Option<(PathBuf, PathBuf)>,
        passphrase: Option<SecretString>,
        asked: TlsArgs,
        offer: TlsOffer,
        clients: ClientCertArgs,
    ) -> Result<Option<Self>, BadSetting> {
        let by_name = asked.ssl_sni.iter().map(|text| two_files(text)).collect::<Result<_, _>>()?;
        let shown = FromClients {
            asks: clients.ssl_request_cert,
            required: clients.ssl_reject_unauthorized,
            authorities: clients.ssl_ca,
        };
        Ok(files.map(|(cert, key)| Self {
            cert,
            key,
            passphrase,
            hosts: asked.ssl_host,
            even_expired: asked.serve_expired,
            by_name,
            clients: shown.vouching(),
            offer,
        }))
    }

    /// That of the REST API.
    pub(super) fn api(
        args: ApiTlsArgs,
        passphrase: Option<SecretString>,
        offer: TlsOffer,
    ) -> Option<Self> {
        let shown = FromClients {
            asks: args.api_ssl_request_cert,
            required: args.api_ssl_reject_unauthorized,
            authorities: args.api_ssl_ca,
        };
        args.api_ssl_cert.zip(args.api_ssl_key).map(|(cert, key)| Self {
            cert,
            key,
            passphrase,
            hosts: Vec::new(),
            even_expired: false,
            by_name: Vec::new(),
            clients: shown.vouching(),
            offer,
        })
    }

    pub(super) fn load(&self) -> Result<TlsKeys, TlsError> {
        let Self { cert, key, passphrase, hosts, even_expired, by_name, clients, offer } =
            self.clone();
        let others = by_name.into_iter().map(|(cert, key)| {
            let mut options = TlsOptions::new(cert, key);
            options.passphrase.clone_from(&passphrase);
            options.even_expired = even_expired;
            TlsKeys::load_with(options)
        });
        let others = others.collect::<Result<Vec<_>, _>>()?;
        let mut options = TlsOptions::new(cert, key);
        options.passphrase = passphrase;
        options.hosts = hosts;
        options.even_expired = even_expired;
        options.clients = clients;
        options.offer = offer;
        let keys = TlsKeys::load_with(options)?;
        keys.show_by_name(others);
        Ok(keys)
    }
}

/// `CERT,KEY`.
fn two_files(text: &str) -> Result<(PathBuf, PathBuf), BadSetting> {
    match text.split_once(',') {
        Some((cert, key)) if !cert.is_empty() && !key.is_empty() => Ok((cert.into(), key.into())),
        _ => {
            let problem = format!("{text:?} is no pair of files; write CERT,KEY with a comma");
            Err(bad("--ssl-sni", problem))
        }
    }
}

/// What is asked of clients.
struct FromClients {
    asks: bool,
    required: bool,
    authorities: Option<PathBuf>,
}

impl FromClients {
    fn vouching(self) -> Option<ClientAuthorities> {
        self.asks.then(|| match (self.authorities, self.required) {
            (Some(path), true) => ClientAuthorities::required(path),
            (Some(path), false) => ClientAuthorities::optional(path),
            (None, true) => ClientAuthorities::of_system(),
            (None, false) => ClientAuthorities::anybody(),
        })
    }
}

/// How targets at https are spoken to; `None` if nothing was said about it.
pub(super) fn target_tls(args: &TargetTlsArgs) -> Result<Option<TargetTls>, BadSetting> {
    let config = TargetTlsConfig {
        authorities: args.client_ssl_ca.clone(),
        identity: args.client_ssl_cert.clone().zip(args.client_ssl_key.clone()),
        insecure: args.insecure,
        ..TargetTlsConfig::default()
    };
    if config.authorities.is_none() && config.identity.is_none() && !config.insecure {
        return Ok(None);
    }
    let bad = |error: TlsError| bad("--client-ssl-*", chain(&error));
    TargetTls::load(&config).map(Some).map_err(bad)
}

impl Https {
    /// `None` for plain HTTP. The authority of http-01 needs `redirects`.
    pub(super) fn new(
        files: Option<TlsFiles>,
        acme: AcmeArgs,
        offer: TlsOffer,
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
        config.offer = offer;
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
