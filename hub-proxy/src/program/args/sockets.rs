//! The flags about Unix sockets to listen at.

use clap::Args;

/// Where to listen instead of at an address and a port.
#[derive(Debug, Args)]
#[command(next_help_heading = "Unix sockets")]
pub(in crate::program) struct SocketArgs {
    /// Unix socket to serve on, instead of --ip and --port.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["ip", "port"])]
    pub(in crate::program) socket: Option<String>,

    /// Unix socket of the REST API, instead of --api-ip and --api-port.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["api_ip", "api_port"])]
    pub(in crate::program) api_socket: Option<String>,

    /// Unix socket to show numbers for Prometheus at, instead of --metrics-ip and
    /// --metrics-port.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["metrics_ip", "metrics_port"])]
    pub(in crate::program) metrics_socket: Option<String>,
}
