//! An operator's daily commands.
