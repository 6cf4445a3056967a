//! A newer release takes over.
