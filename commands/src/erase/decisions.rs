//! What an erasure writes, each in one commit.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    Account, AccountCommand, AccountId, Connection, Evidence, Reason, Token, TokenCommand, account::Standing,
    failure::Call, token::Revocation,
};
use engine::{Decision, Query, Unit, sql};

use super::rows::ROWS;
use crate::{Error, hold, link, vault::Vault};

/// Nothing gives access any more, and all work ends.
pub(super) struct Begin {
    pub(super) account: AccountId,
    /// Not where access was granted since.
    pub(super) unless_since: Option<DateTime<Utc>>,
}

impl Decision for Begin {
    /// Whether it begins, or has begun.
    type Output = bool;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<bool, Error> {
        let Self { account, unless_since } = *self;
        let (state, token) = (unit.load::<Account>(account).await?, unit.load::<Token>(account).await?);
        let is_of_the_login = match state.standing() {
            Standing::Connected(uses) | Standing::Disconnected(uses) => uses == Connection::Consumer,
            _ => true,
        };
        let is_newer = |since| token.current().is_some_and(|token| token.granted_at >= since);
        if unless_since.is_some_and(|since| is_newer(since) || !is_of_the_login) {
            return Ok(false);
        }
        unit.execute::<Account>(account, AccountCommand::RequestErasure).await?;
        unit.execute::<Token>(account, TokenCommand::Revoke(Revocation::Erased)).await?;
        unit.write(Vault::destroy(account));
        unit.write(link::all_dead(account));
        unit.write(hold::nothing(account));
        Ok(true)
    }
}

/// The rows go, and the journal says so.
pub(super) struct End {
    pub(super) account: AccountId,
    pub(super) receipt: BTreeMap<String, u64>,
    pub(super) ended: Query,
}

impl Decision for End {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let Self { account, receipt, ended } = self;
        for (table, its) in ROWS {
            unit.write(sql(format!("DELETE FROM {table} WHERE {its}")).bind(account.to_string()));
        }
        unit.write(ended.clone());
        Ok(unit.execute::<Account>(*account, AccountCommand::RecordErasure { receipt: receipt.clone() }).await?)
    }
}

/// A person's grant goes: the token, and who that was. The account and its widgets stay, for another person to refresh.
pub(super) struct EraseGrant {
    pub(super) account: AccountId,
    pub(super) issued_at: DateTime<Utc>,
    /// Its token lies in the vault still.
    pub(super) is_sealed: bool,
    pub(super) ended: Query,
}

impl Decision for EraseGrant {
    /// Whether it was the grant that was asked about.
    type Output = bool;
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<bool, Error> {
        let Self { account, issued_at, is_sealed, ended } = self;
        let (account, at) = (*account, unit.metadata().at);
        let (id, token) = (account.to_string(), unit.load::<Token>(account).await?);
        let of_account = |statement: &'static str| sql(statement).bind(id.as_str());
        if let Some(current) = token.current() {
            if current.granted_at >= *issued_at || current.connection != Connection::Business {
                return Ok(false);
            }
            let evidence = Evidence::of(Call::Deauthorization, at);
            let report = TokenCommand::ReportFailure { token: current.id, reason: Reason::AppRemoved, evidence };
            unit.execute::<Token>(account, report).await?;
            // Refused, and decided anew, if another token has taken its place.
            let of_token = |statement: &'static str| of_account(statement).bind(current.id.to_string());
            let is_there = "UPDATE vault SET token_id = token_id WHERE account_id = $1 AND token_id = $2";
            if *is_sealed {
                unit.write(of_token(is_there).guarded());
            }
            unit.write(of_token("DELETE FROM vault WHERE account_id = $1 AND token_id = $2"));
        }
        // Those of the person alone: others log in for the account as well.
        unit.write(of_account(
            "DELETE FROM attempts WHERE id IN (SELECT attempt_id FROM attempt_accounts WHERE account_id = $1) \
             AND grantor_id = (SELECT grantor_id FROM profiles WHERE account_id = $1)",
        ));
        unit.write(of_account("UPDATE profiles SET grantor_id = NULL WHERE account_id = $1"));
        unit.write(of_account("DELETE FROM token_errors WHERE account_id = $1"));
        unit.write(hold::nothing(account));
        unit.write(ended.clone());
        Ok(true)
    }
}
