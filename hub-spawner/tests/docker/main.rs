//! The Docker spawner and its connection, against a real daemon.
//!
//! Needs a daemon at the default socket and a static busybox at `/bin/busybox`
//! (Debian: `busybox-static`), from which the image of the servers is made. Those
//! of remote daemons start a second `dockerd` and an `sshd` as root.

mod archives;
mod bench;
mod containers;
mod engine;
mod faults;
mod gate;
mod halted;
mod inspected;
mod isolation;
mod joined;
mod kept;
mod late;
mod mounts;
mod options;
mod pull;
mod registry;
mod remote;
mod spawner;
mod ssh;
mod system_users;
mod volumes;
mod walls;
