//! The account's current token, sealed: one row an account.

use chrono::{DateTime, Utc};
use domain::{AccountId, TokenId};
use engine::{Database, Query, sql};
use secrecy::{ExposeSecret, SecretString};

use super::{Sealed, Vault, tables::TOKENS};
use crate::Error;

/// A token that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its id.
    pub id: TokenId,
    /// The string.
    pub token: SecretString,
}

impl Vault {
    /// The write that makes a token the account's current one.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it is too long.
    pub fn keep(
        &self,
        account: AccountId,
        id: TokenId,
        token: &SecretString,
        at: DateTime<Utc>,
    ) -> Result<Query, Error> {
        let sealed = self.seal(token.expose_secret().as_bytes(), &bound_to(account, id))?;
        Ok(sql("INSERT INTO vault (account_id, token_id, key_id, sealed, sealed_at) VALUES ($1, $2, $3, $4, $5) \
                ON CONFLICT (account_id) DO UPDATE SET token_id = excluded.token_id, key_id = excluded.key_id, \
                sealed = excluded.sealed, sealed_at = excluded.sealed_at")
        .bind(account.to_string())
        .bind(id.to_string())
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .bind(at))
    }

    /// The write that puts a renewed token in the place of the one that it came from; refuses the unit if that isn't the
    /// account's current one any more.
    pub(crate) fn replace(
        &self,
        account: AccountId,
        previous: TokenId,
        id: TokenId,
        token: &SecretString,
        at: DateTime<Utc>,
    ) -> Result<Query, Error> {
        let sealed = self.seal(token.expose_secret().as_bytes(), &bound_to(account, id))?;
        let write = sql("UPDATE vault SET token_id = $1, key_id = $2, sealed = $3, sealed_at = $4 \
                         WHERE account_id = $5 AND token_id = $6")
        .bind(id.to_string())
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .bind(at)
        .bind(account.to_string());
        Ok(write.bind(previous.to_string()).guarded())
    }

    /// The write that changes nothing, and refuses the unit unless this is the account's current token.
    pub(crate) fn guard(account: AccountId, token: TokenId) -> Query {
        sql("UPDATE vault SET token_id = token_id WHERE account_id = $1 AND token_id = $2")
            .bind(account.to_string())
            .bind(token.to_string())
            .guarded()
    }

    /// The write that destroys the account's token.
    pub(crate) fn destroy(account: AccountId) -> Query {
        sql("DELETE FROM vault WHERE account_id = $1").bind(account.to_string())
    }

    pub(crate) async fn open_token(&self, database: &Database, account: AccountId) -> Result<Opened, Error> {
        let row: Option<(String, String, Vec<u8>)> =
            sql("SELECT token_id, key_id, sealed FROM vault WHERE account_id = $1")
                .bind(account.to_string())
                .fetch_optional(database)
                .await?;
        let (id, key_id, bytes) = row.ok_or(Error::Missing("token"))?;
        let id: TokenId = id.parse().map_err(|_| Error::Sealed("a token without an id"))?;
        let secret = self.open(&Sealed { key_id, bytes }, &bound_to(account, id))?;
        let token = String::from_utf8(secret).map_err(|_| Error::Sealed("not a text"))?;
        Ok(Opened { id, token: token.into() })
    }
}

fn bound_to(account: AccountId, token: TokenId) -> String {
    TOKENS.bound_to(&[&account.to_string(), &token.to_string()])
}
