//! The rules of an account that a command can break.

use crate::Connection;

/// The rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The account was never connected, or is erased.
    #[error("there is no such account")]
    Missing,
    /// The account is disconnected: only a signed-in connect brings it back.
    #[error("the account is disconnected")]
    Disconnected,
    /// Only an owner may.
    #[error("only an owner of the account may do that")]
    NotOwner,
    /// Only somebody with a right on the account may.
    #[error("no right on the account")]
    NoRight,
    /// The grant came through the other login than the account uses.
    #[error("the account uses the {uses} connection")]
    OtherConnection {
        /// The connection that the account uses.
        uses: Connection,
    },
    /// An account with people keeps at least one owner.
    #[error("the last owner can't go while others have access")]
    LastOwner,
    /// The account has no such widget.
    #[error("the account has no such widget")]
    NoWidget,
    /// A widget id is used once.
    #[error("a widget with this id was removed before")]
    WidgetWasRemoved,
    /// A widget belongs to one account.
    #[error("a widget with this id belongs to another account")]
    WidgetOfAnother,
    /// The account has as many widgets as one may have.
    #[error("an account has at most {limit} widgets")]
    TooManyWidgets {
        /// How many that is.
        limit: usize,
    },
}
