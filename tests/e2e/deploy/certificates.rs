//! A deployment's certificates: own, imported, from an authority.
