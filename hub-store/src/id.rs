//! Row ids, one type per table, so that one cannot pass for another.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The id with this number; whether a row has it is another question.
            pub const fn new(id: i64) -> Self {
                Self(id)
            }

            /// The number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Which account, whatever it is called today.
    ///
    /// Never given to another account, also not after a deletion: what is kept
    /// under it (a volume, a log line) stays the first owner's.
    UserId
}

id! {
    /// Which token. Not secret, and never used again after the token is gone.
    TokenId
}

id! {
    /// Which secret link. Not secret: it does not open anything.
    TicketId
}

id! {
    /// Which group, whatever it is called today.
    GroupId
}

id! {
    /// Which code that shares a server. Not secret: it does not open anything.
    ShareCodeId
}
