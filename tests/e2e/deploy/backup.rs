//! A host is emptied, and a backup brings everything back.
