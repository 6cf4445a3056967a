//! Backups as files: their forms, their content, where they lie. What a command
//! does with them is in `commands/`.

pub(crate) mod attributes;
mod container_file;
pub(crate) mod deployed;
pub(crate) mod form;
pub(crate) mod hub_archive;
mod included;
pub(crate) mod inventory;
pub(crate) mod manifest;
pub(crate) mod operator_directory;
pub(crate) mod passphrase;
pub(crate) mod progress;
pub(crate) mod reader;
mod redact;
pub(crate) mod run_index;
pub(crate) mod runs;
pub(crate) mod schedule;
pub(crate) mod spool;
pub(crate) mod user_file;
pub(crate) mod volume_index;
pub(crate) mod volume_stream;
pub(crate) mod volumes;
pub(crate) mod writer;
