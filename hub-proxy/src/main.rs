//! The proxy as a program: configurable-http-proxy's flags and REST API.

use std::process::ExitCode;

/// Half of what a request costs outside the kernel is memory that lives as long as the
/// request (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hub_proxy::program::main()
}
