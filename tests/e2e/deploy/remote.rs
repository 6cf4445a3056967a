//! A deployment on another host's daemon.
