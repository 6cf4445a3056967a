//! The proxy as a program: configurable-http-proxy's flags and REST API.

use std::process::ExitCode;

fn main() -> ExitCode {
    hub_proxy::program::main()
}
