//! What is mounted into servers: as an operator writes it, and read. Pure.
//!
//! `volumes` and `read_only_volumes` become Docker's `source:target:mode` texts,
//! `mounts` become mounts of their own kind (deployment contract, 2.4).

mod plan;
mod written;

pub(super) use plan::{
    Making, MountPlan, Mounted, check_volumes, read_mounts, read_volumes, table_of,
};
pub use written::{
    DriverConfig, MountConfig, MountKind, Propagation, SharedFolder, SharedMode, VolumeTarget,
};
