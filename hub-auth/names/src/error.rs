//! Why a text is not a name.

/// The reason a text was refused as a user or server name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// Nothing, where a name is needed.
    #[error("the name is empty")]
    Empty,
    /// More bytes of UTF-8 than allowed.
    #[error("the name has {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A `/`, also a percent-encoded one: it would end the path segment.
    #[error("the name contains `/`")]
    Slash,
    /// White space at either end.
    #[error("the name starts or ends with white space")]
    Padded,
    /// A control or invisible formatting character.
    #[error("the name contains the control character U+{0:04X}")]
    Control(u32),
    /// Only dots, which a URL path swallows.
    #[error("the name consists only of dots")]
    Dots,
    /// A percent escape, so that the name would change when a URL is decoded.
    #[error("the name contains a percent escape")]
    PercentEscape,
}
