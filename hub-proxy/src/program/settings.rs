//! What the command line and the environment ask for, understood and checked.
//! Nothing is touched yet but what is read: a token file, certificates for targets.

use std::{num::NonZeroUsize, path::PathBuf, str::FromStr, time::Duration};

use http::{HeaderName, HeaderValue, uri::Scheme};
use tracing::level_filters::LevelFilter;

use super::{
    access::Destination,
    args::{LogFormat, OurArgs, RunArgs, TimerArgs},
    endpoint::{Endpoint, Endpoints, Redirect},
    environment::Environment,
    https::{Https, TlsFiles, target_tls, tls_offer},
    parent,
    snapshot::Snapshot,
    token_file::{self, TokenFile},
};
use crate::{
    ErrorPages, InvalidPrefix, Meters, Network, ProxyConfig, Target, TrustForwarded,
    admin::AdminToken, error::chain,
};

/// How to run.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) public: Endpoint,
    pub(super) api: Endpoint,
    pub(super) redirect: Option<Redirect>,
    pub(super) metrics: Option<Endpoint>,
    pub(super) https: Option<Https>,
    pub(super) api_https: Option<TlsFiles>,
    pub(super) proxy: ProxyConfig,
    pub(super) keep_alive_timeout: Duration,
    pub(super) busy_idle_timeout: Option<Duration>,
    pub(super) timers: TimerArgs,
    pub(super) max_connections_per_address: Option<usize>,
    pub(super) http2: bool,
    pub(super) h2c: bool,
    pub(super) default_target: Option<Target>,
    pub(super) pages: ErrorPages,
    pub(super) token: Option<AdminToken>,
    /// Where it was read, if in a file.
    pub(super) token_file: Option<TokenFile>,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) access_log: Option<Destination>,
    pub(super) log_format: LogFormat,
    /// Where routes are kept beside memory.
    pub(super) snapshot: Option<Snapshot>,
    pub(super) drain: Drain,
    pub(super) upgrade: Upgrade,
    /// To be logged once the log is there.
    pub(super) warnings: Vec<String>,
}

/// How to end.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) delay: Duration,
    pub(super) timeout: Duration,
    /// After a hand-over; `None` for as long as it takes.
    pub(super) upgrade_timeout: Option<Duration>,
    pub(super) compat_exit: bool,
}

/// Who takes over from whom.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) from: Option<PathBuf>,
    pub(super) socket: Option<PathBuf>,
    pub(super) binary: Option<PathBuf>,
    pub(super) stay_as_init: bool,
}

/// A flag or variable with a value that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {problem}")]
pub(super) struct BadSetting {
    name: &'static str,
    problem: String,
}

impl Settings {
    pub(super) fn new(args: RunArgs, environment: Environment) -> Result<Self, BadSetting> {
        let snapshot = storage(&args.storage_backend)?;
        let mut warnings = Vec::new();
        if args.ip.as_deref() == Some("*") {
            warnings.push("--ip: * means all interfaces, as if it were left out".to_owned());
        }
        if args.ssl_dhparam.is_some() || args.ssl_allow_rc4 {
            warnings.push("--ssl-dhparam and --ssl-allow-rc4 have no effect".to_owned());
        }
        if args.target_tls.insecure {
            let vain = args.target_tls.client_ssl_ca.is_some();
            let with = if vain { ", not against --client-ssl-ca either" } else { "" };
            warnings.push(format!("--insecure: certificates of targets are not checked{with}"));
        }
        warnings
            .extend([args.client_certs.warning(), args.api_tls.warning()].into_iter().flatten());
        if args.ours.h2c && (args.ssl_cert.is_some() || !args.acme.acme_domain.is_empty()) {
            warnings.push("--h2c has no effect under TLS, where HTTP/2 is offered".to_owned());
        }
        let (offer, unknown) = tls_offer(&args.tls)?;
        if !unknown.is_empty() {
            let unknown = unknown.join(", ");
            warnings.push(format!("--ssl-ciphers: not known and left out: {unknown}"));
        }
        let (token, mut proxy) = (secret(&environment)?, proxy_config(&args)?);
        let Endpoints { public, api, metrics, redirect } = Endpoints::of(&args)?;
        // Nothing is counted that nobody can ask for.
        proxy.meters = metrics.is_some().then(Meters::default);
        Ok(Self {
            public,
            api,
            metrics,
            redirect,
            https: Https::new(
                TlsFiles::public(
                    args.ssl_cert.zip(args.ssl_key),
                    environment.ssl_key_passphrase,
                    args.tls,
                    offer.clone(),
                    args.client_certs,
                )?,
                args.acme,
                offer.clone(),
                args.redirect_port.is_some(),
            )?,
            api_https: TlsFiles::api(args.api_tls, environment.api_ssl_key_passphrase, offer),
            keep_alive_timeout: Duration::from_millis(args.keep_alive_timeout),
            busy_idle_timeout: args.timeout.map(Duration::from_millis),
            timers: args.timers,
            max_connections_per_address: args
                .limits
                .max_connections_per_address
                .map(NonZeroUsize::get),
            http2: !args.ours.no_http2,
            h2c: args.ours.h2c,
            default_target: parsed("--default-target", args.default_target.as_deref())?,
            pages: match (parsed("--error-target", args.error_target.as_deref())?, args.error_path)
            {
                (Some(target), _) => ErrorPages::from_target(target, &proxy),
                (None, Some(dir)) => ErrorPages::from_directory(dir),
                (None, None) => ErrorPages::built_in(),
            },
            proxy,
            token: token.as_deref().and_then(AdminToken::new),
            token_file: environment.auth_token_file.map(TokenFile::new),
            pid_file: args.pid_file,
            access_log: args.ours.access_log,
            log_format: args.ours.log_format,
            snapshot,
            drain: Drain {
                delay: Duration::from_secs(args.ours.drain_delay),
                timeout: args.ours.drain_timeout.map_or_else(parent::patience, Duration::from_secs),
                upgrade_timeout: args.ours.upgrade_drain_timeout.map(Duration::from_secs),
                compat_exit: args.ours.compat_exit,
            },
            upgrade: Upgrade {
                from: args.ours.upgrade_from,
                socket: args.ours.upgrade_socket,
                binary: args.ours.upgrade_binary,
                stay_as_init: args.ours.stay_as_init || std::process::id() == 1,
            },
            warnings,
        })
    }
}

/// The levels configurable-http-proxy knows, in any case of letters.
pub(super) fn log_level(text: &str) -> Result<LevelFilter, BadSetting> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(LevelFilter::DEBUG),
        "info" => Ok(LevelFilter::INFO),
        "warn" => Ok(LevelFilter::WARN),
        "error" => Ok(LevelFilter::ERROR),
        _ => Err(bad("--log-level", format!("{text:?} is none of debug, info, warn, error"))),
    }
}

/// `memory` or `snapshot:PATH`.
fn storage(text: &str) -> Result<Option<Snapshot>, BadSetting> {
    match text.split_once(':') {
        None if text == "memory" => Ok(None),
        Some(("snapshot", path)) if !path.is_empty() => Ok(Some(Snapshot::at(path))),
        _ => Err(bad(
            "--storage-backend",
            format!("there is no backend {text:?}, only memory and snapshot:PATH"),
        )),
    }
}

fn proxy_config(args: &RunArgs) -> Result<ProxyConfig, BadSetting> {
    let OurArgs { guard_origin, origin_owner, reserved_cookie, trusted_proxies, .. } = &args.ours;
    let mut config = ProxyConfig::default();
    config.response_header_timeout = args.proxy_timeout.map(Duration::from_millis);
    config.response_idle_timeout = config.response_header_timeout;
    args.timers.set_targets(&mut config);
    config.trusted_proxies = trusted(trusted_proxies)?;
    config.reserved_cookies.clone_from(reserved_cookie);
    config.guard_origin = *guard_origin;
    let owner = origin_owner
        .parse()
        .map_err(|error: InvalidPrefix| bad("--origin-owner", error.to_string()))?;
    config.origin_owner = Some(owner);
    config.x_forward = !args.no_x_forward;
    config.prepend_path = !args.no_prepend_path;
    config.include_prefix = !args.no_include_prefix;
    config.change_origin = args.change_origin;
    config.host_routing = args.host_routing;
    config.auto_rewrite = args.auto_rewrite;
    config.protocol_rewrite = match args.protocol_rewrite.as_deref() {
        None => None,
        Some("http") => Some(Scheme::HTTP),
        Some("https") => Some(Scheme::HTTPS),
        Some(other) => {
            return Err(bad("--protocol-rewrite", format!("{other:?} is neither http nor https")));
        }
    };
    config.target_tls = target_tls(&args.target_tls)?;
    for field in &args.custom_header {
        config.custom_headers.push(custom_header(field)?);
    }
    Ok(config)
}

/// `Name: value`, split at the first colon.
fn custom_header(field: &str) -> Result<(HeaderName, HeaderValue), BadSetting> {
    let bad = |problem: String| bad("--custom-header", problem);
    let (name, value) = field
        .split_once(':')
        .map(|(name, value)| (name.trim(), value.trim()))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| bad(format!("a colon was expected behind the name in {field:?}")))?;
    let name = name.parse().map_err(|_| bad(format!("{name:?} is no name of a field")))?;
    let value = value.parse().map_err(|_| bad(format!("the value of {name} cannot be sent")))?;
    Ok((name, value))
}

fn trusted(text: &str) -> Result<TrustForwarded, BadSetting> {
    match text {
        "all" => Ok(TrustForwarded::Everyone),
        "none" => Ok(TrustForwarded::Nobody),
        list => list
            .split(',')
            .map(|network| Network::from_str(network.trim()))
            .collect::<Result<_, _>>()
            .map(TrustForwarded::Networks)
            .map_err(|error| bad("--trusted-proxies", format!("{error}; or say all or none"))),
    }
}

fn parsed(flag: &'static str, text: Option<&str>) -> Result<Option<Target>, BadSetting> {
    let parse = |text: &str| {
        text.parse().map_err(|error| {
            bad(flag, format!("{text:?}: {}", chain(&error as &crate::InvalidTarget)))
        })
    };
    text.map(parse).transpose()
}

/// What clients of the REST API have to show, if anything.
pub(super) fn secret(environment: &Environment) -> Result<Option<String>, BadSetting> {
    let secret = match (&environment.auth_token, &environment.auth_token_file) {
        (Some(_), Some(_)) => {
            return Err(bad(
                token_file::NAME,
                "CONFIGPROXY_AUTH_TOKEN is set as well; keep one of them",
            ));
        }
        (Some(secret), None) => secret.clone(),
        (None, Some(path)) => token_file::read(path)?,
        (None, None) => return Ok(None),
    };
    Ok(Some(secret))
}

pub(super) fn bad(name: &'static str, problem: impl Into<String>) -> BadSetting {
    BadSetting { name, problem: problem.into() }
}

#[cfg(test)]
mod tests;
