//! Reconnect links: signed, for one account, used up by a successful refresh.
//!
//! A link is not stored. It carries the account, the generation that it was made for and its end, under a signature; once
//! the account has been refreshed, its generation is a newer one and the link is dead. Opening it changes nothing.
//!
//! What is stored is until when an account's links need the key that signed them, so that a key that is still needed isn't
//! dropped without notice: one row an account and key, gone with the account's next grant.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{AccountId, LinkId, Token, account::Standing};
use engine::{Database, Query, sql};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    Commands, Error,
    vault::{Vault, tables::LINKS},
};

/// How long a link works.
pub const LIFETIME: TimeDelta = TimeDelta::days(30);
const LABEL: &str = "reconnect link";
const BODY_BYTES: usize = 16 + 16 + 4 + 8;
/// Half of SHA-256's output: as much as a signature in a link that people copy by hand needs.
const SIGNATURE_BYTES: usize = 16;

/// What a link says, once its signature holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its own id.
    pub id: LinkId,
    /// The account that it refreshes.
    pub account: AccountId,
    generation: u32,
    pub(crate) ends_at: DateTime<Utc>,
}

/// Why a link is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    /// It isn't one of ours, or was changed.
    Unknown,
    /// Its time is over.
    Expired,
    /// The account has been refreshed since.
    UsedUp,
    /// The token works again by itself: nothing is to be done.
    WorksAgain,
    /// The account is disconnected or gone.
    Disconnected,
}

impl Commands {
    /// Makes a link for an account, under a new id, and notes until when its key is needed.
    ///
    /// # Errors
    /// [`Error::Missing`] unless the account is connected; when the store fails.
    pub async fn make_link(&self, account: AccountId, id: LinkId) -> Result<String, Error> {
        let generation = self.connected(account).await?.ok_or(Error::Missing("connected account"))?.generation();
        let link = Link { id, account, generation, ends_at: self.clock.now() + LIFETIME };
        self.note_signed(&link).await?;
        Ok(format!("{}/r/{}", self.settings.public_url, link.sign(&self.vault)))
    }

    /// Reads a link and says whether it still works.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read_link(&self, text: &str) -> Result<Result<Link, Dead>, Error> {
        let Some(link) = Link::verify(text, &self.vault) else { return Ok(Err(Dead::Unknown)) };
        let made_at = link.ends_at - LIFETIME;
        Ok(match self.connected(link.account).await? {
            None => Err(Dead::Disconnected),
            Some(token) if token.generation() != link.generation => Err(Dead::UsedUp),
            Some(token) if token.active().is_some() && token.restored_at().is_some_and(|at| at >= made_at) => {
                Err(Dead::WorksAgain)
            }
            Some(_) if link.ends_at <= self.clock.now() => Err(Dead::Expired),
            Some(_) => Ok(link),
        })
    }

    /// Notes that links of the account need the key that signs until this one ends.
    async fn note_signed(&self, link: &Link) -> Result<(), Error> {
        let account = link.account.to_string();
        // Nothing, sealed: that the key is the right one can be seen from it.
        let sealed = self.vault.seal(b"", &LINKS.bound_to(&[&account]))?;
        sql("INSERT INTO reconnect_links (key_id, account_id, sealed, ends_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (key_id, account_id) DO UPDATE SET sealed = excluded.sealed, ends_at = excluded.ends_at \
             WHERE reconnect_links.ends_at < excluded.ends_at")
        .bind(&sealed.key_id)
        .bind(&account)
        .bind(&sealed.bytes)
        .bind(link.ends_at)
        .execute(self.store.database())
        .await?;
        Ok(())
    }

    /// The token of a connected account.
    async fn connected(&self, account: AccountId) -> Result<Option<Token>, Error> {
        let (state, token) = (self.account(account).await?, self.token(account).await?);
        Ok(matches!(state.standing(), Standing::Connected(_)).then_some(token))
    }
}

/// The write that notes that all links of an account are dead: its generation is a newer one, or it is disconnected.
pub(crate) fn all_dead(account: AccountId) -> Query {
    sql("DELETE FROM reconnect_links WHERE account_id = $1").bind(account.to_string())
}

/// Forgets links that ended before an instant.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(database: &Database, at: DateTime<Utc>) -> Result<u64, Error> {
    Ok(sql("DELETE FROM reconnect_links WHERE ends_at < $1").bind(at).execute(database).await?)
}

/// Forgets that links need a key, which then may be dropped: without it they are dead. The answer is for how many accounts.
///
/// # Errors
/// When the database fails.
pub async fn revoke_key(database: &Database, key_id: &str) -> Result<u64, Error> {
    Ok(sql("DELETE FROM reconnect_links WHERE key_id = $1").bind(key_id).execute(database).await?)
}

impl Link {
    fn sign(&self, vault: &Vault) -> String {
        let mut bytes = Vec::with_capacity(BODY_BYTES + SIGNATURE_BYTES);
        bytes.extend(self.id.uuid().as_bytes());
        bytes.extend(self.account.uuid().as_bytes());
        bytes.extend(self.generation.to_be_bytes());
        bytes.extend(self.ends_at.timestamp().to_be_bytes());
        if let Some(key) = vault.derived(LABEL).first() {
            let signature = mac(key, &bytes).finalize().into_bytes();
            bytes.extend(&signature[..SIGNATURE_BYTES]);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn verify(text: &str, vault: &Vault) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != BODY_BYTES + SIGNATURE_BYTES {
            return None;
        }
        let (body, signature) = bytes.split_at(BODY_BYTES);
        vault.derived(LABEL).iter().find(|key| mac(key, body).verify_truncated_left(signature).is_ok())?;
        let uuid = |from: usize| Uuid::from_slice(body.get(from..from + 16)?).ok();
        let ends_at = i64::from_be_bytes(body.get(36..44)?.try_into().ok()?);
        Some(Self {
            id: LinkId::new(uuid(0)?),
            account: AccountId::new(uuid(16)?),
            generation: u32::from_be_bytes(body.get(32..36)?.try_into().ok()?),
            ends_at: DateTime::from_timestamp(ends_at, 0)?,
        })
    }
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> Hmac<Sha256> {
    let Ok(mut mac) = Hmac::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    mac.update(bytes);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::new_id;

    #[test]
    fn a_link_that_was_changed_is_not_read() {
        let vault = Vault::new(&Vault::generate()).expect("a ring");
        let link = Link {
            id: LinkId::new(new_id()),
            account: AccountId::new(new_id()),
            generation: 7,
            ends_at: DateTime::from_timestamp(1_790_000_000, 0).expect("a time"),
        };
        let text = link.sign(&vault);
        assert_eq!(Link::verify(&text, &vault), Some(link));
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("a text");
            assert_eq!(Link::verify(&changed, &vault), None, "{index}");
        }
        assert_eq!(Link::verify("", &vault), None);
        assert_eq!(Link::verify(&text[1..], &vault), None);
        assert_eq!(Link::verify(&text, &Vault::new(&Vault::generate()).expect("a ring")), None);
    }
}
