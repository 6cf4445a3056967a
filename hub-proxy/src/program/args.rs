//! The command line: configurable-http-proxy's flags, and ours.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::access::Destination;

mod acme;
mod limits;
mod mutual;
mod sockets;
mod timers;
mod tls;

pub(super) use self::{
    acme::AcmeArgs,
    limits::LimitArgs,
    mutual::{ApiTlsArgs, ClientCertArgs, TargetTlsArgs},
    sockets::SocketArgs,
    timers::TimerArgs,
    tls::TlsArgs,
};

/// A proxy whose routes change while it runs.
///
/// Takes the place of configurable-http-proxy: the same flags, environment and
/// REST API.
#[derive(Debug, Parser)]
#[command(
    name = "hub-proxy",
    version,
    args_override_self = true,
    args_conflicts_with_subcommands = true
)]
pub(super) struct CommandLine {
    #[command(flatten)]
    pub(super) run: RunArgs,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What to do instead of running a proxy.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask a running proxy whether it is well: exit code 0 if so, else 1.
    Healthcheck(HealthcheckArgs),
    /// Print what a running proxy reports of itself, as JSON: version, routes,
    /// connections. The token is taken from the environment, as the proxy does.
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The proxy's REST API.
    #[arg(long, value_name = "URL", default_value = "http://localhost:8001")]
    pub(super) api: String,

    /// The REST API's Unix socket, which is asked whatever host and port --api names.
    #[arg(long, value_name = "PATH")]
    pub(super) api_socket: Option<PathBuf>,

    #[command(flatten)]
    pub(super) tls: TargetTlsArgs,
}

#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    /// What to ask. The certificate is not checked: this is for the proxy on
    /// the same host.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000/_chp_healthz")]
    pub(super) url: String,

    /// Unix socket of the proxy, which is asked whatever host and port --url names.
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// How to run a proxy.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Address or host name to serve on; all interfaces without it, or with *.
    #[arg(long, value_name = "HOST")]
    pub(super) ip: Option<String>,

    /// Port to serve on.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub(super) port: u16,

    /// Address or host name of the REST API.
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    pub(super) api_ip: String,

    /// Port of the REST API; the one above --port without it.
    #[arg(long, value_name = "PORT")]
    pub(super) api_port: Option<u16>,

    /// Address or host name to show numbers for Prometheus at; all interfaces
    /// without it, or with *. Nothing is shown without a port.
    #[arg(long, value_name = "HOST")]
    pub(super) metrics_ip: Option<String>,

    /// Port to show numbers for Prometheus at, at /metrics.
    #[arg(long, value_name = "PORT")]
    pub(super) metrics_port: Option<u16>,

    /// Private key of the certificate, PEM; with it, HTTPS is served.
    #[arg(long, value_name = "FILE", requires = "ssl_cert", group = "https")]
    pub(super) ssl_key: Option<PathBuf>,

    /// Certificate chain, PEM, the server's own first. Read again when the
    /// files change, and on SIGHUP.
    #[arg(long, value_name = "FILE", requires = "ssl_key")]
    pub(super) ssl_cert: Option<PathBuf>,

    /// Has no effect: there are no such parameters in TLS as we speak it.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) ssl_dhparam: Option<PathBuf>,

    /// Has no effect: RC4 is never allowed.
    #[arg(long, hide = true)]
    pub(super) ssl_allow_rc4: bool,

    /// Where requests go that no other route takes.
    #[arg(long, value_name = "URL")]
    pub(super) default_target: Option<String>,

    /// Server that renders error pages: GET URL/404?url=/what/was/asked.
    #[arg(long, value_name = "URL", conflicts_with = "error_path")]
    pub(super) error_target: Option<String>,

    /// Directory with error pages: 404.html and so on, or error.html.
    #[arg(long, value_name = "DIR")]
    pub(super) error_path: Option<PathBuf>,

    /// Port on which plain HTTP is sent to HTTPS.
    #[arg(long, value_name = "PORT", requires = "https")]
    pub(super) redirect_port: Option<u16>,

    /// Port that redirects name; that of the public socket without it.
    #[arg(long, value_name = "PORT", requires = "redirect_port")]
    pub(super) redirect_to: Option<u16>,

    /// File for the id of the process that serves.
    #[arg(long, value_name = "FILE")]
    pub(super) pid_file: Option<PathBuf>,

    /// Leave X-Forwarded-* as clients send them.
    #[arg(long)]
    pub(super) no_x_forward: bool,

    /// Leave out the base path of targets.
    #[arg(long)]
    pub(super) no_prepend_path: bool,

    /// Take the prefix of the route out of the path.
    #[arg(long)]
    pub(super) no_include_prefix: bool,

    /// Show targets their own host in Host.
    #[arg(long)]
    pub(super) change_origin: bool,

    /// Let redirects of targets to themselves lead to the host clients asked for.
    #[arg(long)]
    pub(super) auto_rewrite: bool,

    /// Scheme for redirects of targets to themselves: http or https.
    #[arg(long, value_name = "PROTO")]
    pub(super) protocol_rewrite: Option<String>,

    /// Field for each request to a target; may be repeated.
    #[arg(long, value_name = "NAME: VALUE")]
    pub(super) custom_header: Vec<String>,

    /// The first segment of a route's path is the host clients ask for.
    #[arg(long)]
    pub(super) host_routing: bool,

    /// How much to log: debug, info, warn or error.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: String,

    /// Cut clients that are silent for so long while a request is in progress; WebSockets
    /// may be silent.
    #[arg(long, value_name = "MS")]
    pub(super) timeout: Option<u64>,

    /// Give up targets that are silent for so long before or in an answer.
    #[arg(long, value_name = "MS")]
    pub(super) proxy_timeout: Option<u64>,

    /// Close connections that wait for a request for so long.
    #[arg(long, value_name = "MS", default_value_t = 75_000)]
    pub(super) keep_alive_timeout: u64,

    /// Where routes are kept: memory, or snapshot:PATH for a file, too, from which they
    /// are read at the start.
    #[arg(long, value_name = "NAME", default_value = "memory")]
    pub(super) storage_backend: String,

    #[command(flatten)]
    pub(super) sockets: SocketArgs,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    #[command(flatten)]
    pub(super) timers: TimerArgs,

    #[command(flatten)]
    pub(super) ours: OurArgs,

    #[command(flatten)]
    pub(super) client_certs: ClientCertArgs,

    #[command(flatten)]
    pub(super) api_tls: ApiTlsArgs,

    #[command(flatten)]
    pub(super) target_tls: TargetTlsArgs,

    #[command(flatten)]
    pub(super) tls: TlsArgs,

    #[command(flatten)]
    pub(super) acme: AcmeArgs,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people, and for tools that wait for some of them.
    #[default]
    Text,
    /// Objects for collectors (G-06).
    Json,
}

/// What configurable-http-proxy does not have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Beyond configurable-http-proxy")]
pub(super) struct OurArgs {
    /// Drop what targets tell browsers about the whole origin.
    #[arg(long)]
    pub(super) guard_origin: bool,

    /// Redirect with 308, which lets a form stay a form, instead of 301.
    #[arg(long, requires = "redirect_port")]
    pub(super) redirect_keeps_method: bool,

    /// How to write the log: lines as configurable-http-proxy writes them, or one
    /// JSON object a line.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) log_format: LogFormat,

    /// Write a line for each request and each WebSocket that is over: to standard
    /// output, with =stderr to standard error, else to this file, which is opened again
    /// on SIGHUP. As --log-format says. Requests get an id (X-Request-ID).
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "stdout"
    )]
    pub(super) access_log: Option<Destination>,

    /// Offer HTTP/1.1 only.
    #[arg(long)]
    pub(super) no_http2: bool,

    /// Let clients begin with HTTP/2 where there is no TLS (prior knowledge), as proxies
    /// in front may do.
    #[arg(long, conflicts_with = "no_http2")]
    pub(super) h2c: bool,

    /// The route whose target owns the origin: what --guard-origin and
    /// --reserved-cookie keep from all others, it may do.
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub(super) origin_owner: String,

    /// Cookie that only the owner of the origin may set, or the beginning
    /// of names with a * behind it; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(super) reserved_cookie: Vec<String>,

    /// Networks of proxies whose X-Forwarded-* are believed: CIDR,CIDR, or all
    /// (as configurable-http-proxy does), or none.
    #[arg(long, value_name = "NETWORKS", default_value = "all")]
    pub(super) trusted_proxies: String,

    /// How long open requests and WebSockets may go on after SIGTERM; 30 without it, or 0
    /// as the child of a JupyterHub, which does not wait.
    #[arg(long, value_name = "SECONDS")]
    pub(super) drain_timeout: Option<u64>,

    /// How long to accept connections after SIGTERM while the health check
    /// says that this process ends.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(super) drain_delay: u64,

    /// End with code 2 after a signal, as configurable-http-proxy does.
    #[arg(long)]
    pub(super) compat_exit: bool,

    /// How long open requests and WebSockets may go on in this process after
    /// another one took over; until they end without it.
    #[arg(long, value_name = "SECONDS")]
    pub(super) upgrade_drain_timeout: Option<u64>,

    /// Unix socket at which a new process can ask to take over.
    #[arg(long, value_name = "PATH")]
    pub(super) upgrade_socket: Option<PathBuf>,

    /// Program that takes over on SIGUSR2, and that is run instead of this one
    /// from the start if it is there and another.
    #[arg(long, value_name = "PATH")]
    pub(super) upgrade_binary: Option<PathBuf>,

    /// Take over from the process with this --upgrade-socket.
    #[arg(long, value_name = "PATH")]
    pub(super) upgrade_from: Option<PathBuf>,

    /// After another process took over, stay as long as it runs and pass
    /// signals on to it. Always so for process 1.
    #[arg(long)]
    pub(super) stay_as_init: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn flags_are_taken_with_and_without_an_equals_sign() {
        let parse = |args: &[&str]| CommandLine::try_parse_from([&["hub-proxy"], args].concat());
        let line = parse(&["--ip", "", "--port=9000", "--api-port", "9001"]).unwrap();
        assert_eq!((line.run.ip.as_deref(), line.run.port), (Some(""), 9000));
        let line = parse(&["--port=1", "--port=2", "--custom-header=a:1", "--custom-header=b:2"]);
        let run = line.unwrap().run;
        assert_eq!((run.port, run.custom_header.len()), (2, 2), "the last counts, or all");
        let log = |args: &[&str]| parse(args).unwrap().run.ours.access_log;
        assert_eq!(log(&[]), None);
        assert_eq!(log(&["--access-log"]), Some(Destination::Stdout));
        assert_eq!(log(&["--access-log=stderr"]), Some(Destination::Stderr));
        assert_eq!(log(&["--access-log=/a/b"]), Some(Destination::File("/a/b".into())));
        assert!(parse(&["--access-log="]).is_err(), "no name of a file");
        assert!(parse(&["--h2c", "--no-http2"]).is_err(), "with or without");
        assert!(parse(&["--nonsense"]).is_err());
        assert!(parse(&["--max-connections-per-address=0"]).is_err(), "nobody at all");
        assert!(parse(&["--header-timeout=0"]).is_err(), "nobody is as fast");
        assert!(parse(&["--socket", "s", "--api-socket", "a", "--metrics-socket=m"]).is_ok());
        for (socket, address) in [
            ("--socket=s", "--port=8000"),
            ("--socket=s", "--ip="),
            ("--api-socket=s", "--api-ip=localhost"),
            ("--api-socket=s", "--api-port=1"),
            ("--metrics-socket=s", "--metrics-port=1"),
        ] {
            assert!(parse(&[socket, address]).is_err(), "{socket} {address}");
        }
        assert!(parse(&["--error-target", "http://h", "--error-path", "/d"]).is_err());
        assert!(parse(&["--redirect-port", "80"]).is_err(), "without TLS");
        assert!(parse(&["--ssl-key", "k"]).is_err(), "without certificate");
        assert!(parse(&["--insecure", "--client-ssl-ca", "c"]).is_ok(), "as JupyterHub gives them");
        assert!(parse(&["--metrics-ip", "h"]).is_ok(), "no listener");
        assert!(parse(&["--api-ssl-request-cert"]).is_err(), "without authority");
        let files = ["--ssl-key", "k", "--ssl-cert", "c"];
        let acme = ["--acme-domain", "a.example", "--acme-domain", "b.example", "--acme-dir", "d"];
        let line = parse(&acme).unwrap();
        assert_eq!(line.run.acme.acme_domain, ["a.example", "b.example"]);
        assert!(parse(&[&acme[..], &["--redirect-port", "80"]].concat()).is_ok());
        assert!(parse(&[&acme[..], &files].concat()).is_err(), "one or the other");
        assert!(parse(&acme[..2]).is_err(), "without a directory");
        assert!(parse(&["--acme-agree-tos"]).is_err(), "without a domain");
    }
}
