//! The flags about how much clients may take.

use std::num::NonZeroUsize;

use clap::Args;

/// How much one client may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(in crate::program) struct LimitArgs {
    /// Connections of one client address at once, WebSockets included; of one /64
    /// network for IPv6. More get a 503. No limit without it. Proxies that
    /// --trusted-proxies names by their networks are not counted; any other proxy
    /// counts as one client.
    #[arg(long, value_name = "N")]
    pub(in crate::program) max_connections_per_address: Option<NonZeroUsize>,
}
