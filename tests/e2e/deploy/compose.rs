//! The compose file of a deployment, in use.
