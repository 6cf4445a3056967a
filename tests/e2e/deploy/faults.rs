//! What goes wrong while deploying, and the same command that goes on.

mod interrupted;
mod networks;
