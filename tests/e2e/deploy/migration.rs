//! What the reference deployment left on a host is taken as it is.
