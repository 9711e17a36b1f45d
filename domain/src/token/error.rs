//! The rules of a token that a command can break.

/// The rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The grant's session ended before it began.
    #[error("the grant has already run out")]
    GrantRanOut,
    /// The renewed session ended before it began: the token before it may be better.
    #[error("the renewal has already run out")]
    RenewalRanOut,
    /// The decision was about a token that is no longer the current one.
    #[error("another token has become the current one")]
    Changed,
}
