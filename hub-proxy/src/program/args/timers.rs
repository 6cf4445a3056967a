//! The flags about how long clients and targets may take (section 16 of the proxy contract).
//! configurable-http-proxy's own are among its other flags.

use std::time::Duration;

use clap::{Args, value_parser};

use crate::{ListenConfig, ProxyConfig};

/// How long somebody may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deadlines")]
pub(in crate::program) struct TimerArgs {
    /// Cut clients whose request's head takes so long from its first byte.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = value_parser!(u64).range(1..))]
    header_timeout: u64,

    /// Cut clients whose TLS handshake takes so long.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = value_parser!(u64).range(1..))]
    tls_handshake_timeout: u64,

    /// Break uploads off in which a client pauses for so long.
    #[arg(long, value_name = "MS", default_value_t = 60_000, value_parser = value_parser!(u64).range(1..))]
    upload_timeout: u64,

    /// Cut clients that take nothing of an answer for so long. Over HTTP/2 an answer of which
    /// no piece of up to 64 KiB is taken is given up by itself.
    #[arg(long, value_name = "MS", default_value_t = 300_000, value_parser = value_parser!(u64).range(1..))]
    write_timeout: u64,

    /// Give up targets to which a connection takes so long.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = value_parser!(u64).range(1..))]
    connect_timeout: u64,

    /// Try a refused connection to a target again for so long: a server that is just
    /// starting. WebSockets, too; not at all without it.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    connect_retry_ms: u64,

    /// Give up targets that take so long to answer a WebSocket's handshake.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = value_parser!(u64).range(1..))]
    upgrade_timeout: u64,

    /// Close WebSockets without a byte in either direction for so long; a ping of either
    /// side is some. None is closed without it.
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..))]
    ws_idle_timeout: Option<u64>,
}

impl TimerArgs {
    pub(in crate::program) fn set_clients(&self, config: &mut ListenConfig) {
        config.header_read_timeout = Duration::from_millis(self.header_timeout);
        config.tls_handshake_timeout = Duration::from_millis(self.tls_handshake_timeout);
        config.write_stall_timeout = Duration::from_millis(self.write_timeout);
    }

    pub(in crate::program) fn set_targets(&self, config: &mut ProxyConfig) {
        config.request_idle_timeout = Some(Duration::from_millis(self.upload_timeout));
        config.connect_timeout = Duration::from_millis(self.connect_timeout);
        config.connect_retry = Duration::from_millis(self.connect_retry_ms);
        config.upgrade_timeout = Duration::from_millis(self.upgrade_timeout);
        config.tunnel_idle_timeout = self.ws_idle_timeout.map(Duration::from_secs);
    }
}
