//! Jobs of tokens whose time has run out while Meta was not heard of them lately.

use chrono::{DateTime, Utc};
use domain::AccountId;
use engine::{
    StoreError, Target, Tx,
    jobs::{self, Priority, Scheduled},
};

use super::Kind;

/// Makes the checks of some accounts due now that are due later, in line with all other calls: their tokens' time has run out,
/// and Meta is asked before they expire. One that failed lately waits for its next try.
///
/// # Errors
/// When the database fails.
pub async fn check_first(tx: &mut Tx, accounts: &[AccountId], now: DateTime<Utc>) -> Result<(), StoreError> {
    let keys: Vec<_> = accounts.iter().map(ToString::to_string).collect();
    Ok(jobs::due_by(tx, Kind::Check.name(), keys.iter().map(String::as_str), now).await?)
}

/// Lets time decide about accounts of whose overdue tokens Meta was asked in vain.
///
/// # Errors
/// When the database fails.
pub async fn decide_now(tx: &mut Tx, accounts: &[AccountId], now: DateTime<Utc>) -> Result<(), StoreError> {
    due(tx, Kind::Expire, accounts, now).await
}

async fn due(tx: &mut Tx, kind: Kind, accounts: &[AccountId], now: DateTime<Utc>) -> Result<(), StoreError> {
    let keys: Vec<_> = accounts.iter().map(ToString::to_string).collect();
    let job = |key| {
        let (queue, kind) = (kind.queue(), kind.name());
        Scheduled { queue, kind, key, priority: Priority::Normal, due_at: Some(now), cause: 0 }
    };
    let due: Vec<_> = keys.iter().map(|key| job(key)).collect();
    Ok(jobs::move_to(tx, Target::Serving, &due).await?)
}

/// Lets an overdue token that works, with no later deadline that Meta tells, be asked about again later.
///
/// # Errors
/// When the database fails.
pub async fn put_off(tx: &mut Tx, account: AccountId, at: DateTime<Utc>) -> Result<(), StoreError> {
    jobs::begin_anew(tx, (Kind::Expire.name(), &account.to_string()), at).await
}

/// Locks an account's jobs, before more than one of them changes.
///
/// # Errors
/// When the database fails.
pub async fn lock(tx: &mut Tx, account: AccountId) -> Result<(), StoreError> {
    Ok(jobs::lock(tx, std::iter::once(&*account.to_string())).await?)
}
