//! Where tokens lie: sealed, each bound to the account and the token id that it belongs to.
//!
//! XChaCha20-Poly1305 with random nonces (RFC 8439, draft-irtf-cfrg-xchacha): the ciphertext can't be changed, nor moved
//! to another row, without it being noticed. Several keys may be in the ring: the first seals, all open, so that keys
//! can be changed while the program runs on.

use std::{fmt, sync::Arc};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chacha20poly1305::{
    AeadCore, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, OsRng, Payload},
};
use chrono::{DateTime, Utc};
use domain::{AccountId, TokenId};
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use store::{Database, Write, read};

use crate::Error;

const NONCE_BYTES: usize = 24;

/// The ring of keys. Clones share it.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<[Key]>,
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
    /// For keys that are derived from it, each with a label of its own.
    derive: Hkdf<Sha256>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

/// Something sealed: by which key, and the nonce with the ciphertext.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The key's id in the ring.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub bytes: Vec<u8>,
}

/// A token that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its id.
    pub id: TokenId,
    /// The string.
    pub token: SecretString,
}

impl Vault {
    /// Reads a ring of the form `id:base64,id:base64`, each key 32 bytes. The first seals.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it, without showing it.
    pub fn new(keys: &SecretString) -> Result<Self, String> {
        let parse = |part: &str| {
            let (id, encoded) = part.split_once(':').ok_or("each key must have the form id:base64")?;
            if id.is_empty() || id.len() > 32 || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            {
                return Err("a key's id is 1 to 32 letters, digits, - or _".to_owned());
            }
            let bytes = STANDARD.decode(encoded.trim()).map_err(|_| format!("the key {id} is not base64"))?;
            let bytes: [u8; 32] = bytes.try_into().map_err(|_| format!("the key {id} must have 32 bytes"))?;
            if bytes.iter().all(|byte| *byte == bytes[0]) {
                return Err(format!("the key {id} is not random"));
            }
            let derive = Hkdf::new(Some(b"relight"), &bytes);
            Ok(Key { id: id.to_owned(), cipher: XChaCha20Poly1305::new(&bytes.into()), derive })
        };
        let parts = keys.expose_secret().split(',').map(str::trim).filter(|part| !part.is_empty());
        let keys = parts.map(parse).collect::<Result<Vec<_>, String>>()?;
        if keys.is_empty() {
            return Err("there must be at least one key".to_owned());
        }
        let mut ids: Vec<_> = keys.iter().map(|key| &key.id).collect();
        ids.sort();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("two keys have the same id".to_owned());
        }
        Ok(Self { keys: keys.into() })
    }

    /// A new ring with one random key, in the form that [`Vault::new`] reads.
    pub fn generate() -> SecretString {
        let key = XChaCha20Poly1305::generate_key(&mut OsRng);
        format!("k1:{}", STANDARD.encode(key)).into()
    }

    /// Keys for one other purpose, one of each key in the ring: the first is for making, all are for checking.
    ///
    /// Source: RFC 5869; the label separates purposes.
    pub(crate) fn derived(&self, label: &str) -> Vec<[u8; 32]> {
        let derive = |key: &Key| {
            let mut derived = [0; 32];
            // HKDF refuses only more than 255 × 32 bytes.
            let fits = key.derive.expand(label.as_bytes(), &mut derived).is_ok();
            debug_assert!(fits);
            derived
        };
        self.keys.iter().map(derive).collect()
    }

    /// A text that nobody can guess, always the same for a purpose: for a link that works until its purpose is served.
    pub fn one_time(&self, purpose: &str) -> String {
        let keys = self.derived(&format!("one time {purpose}"));
        keys.first().map(|key| URL_SAFE_NO_PAD.encode(key)).unwrap_or_default()
    }

    /// Seals a secret; it opens only together with the same `bound_to`.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it is too long.
    pub fn seal(&self, secret: &[u8], bound_to: &str) -> Result<Sealed, Error> {
        let key = self.keys.first().ok_or(Error::Sealed("the ring is empty"))?;
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload { msg: secret, aad: bound_to.as_bytes() };
        let sealed = key.cipher.encrypt(&nonce, payload).map_err(|_| Error::Sealed("it can't be sealed"))?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(Sealed { key_id: key.id.clone(), bytes })
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it was sealed for something else, by a key that is no longer here, or was changed.
    pub fn open(&self, sealed: &Sealed, bound_to: &str) -> Result<Vec<u8>, Error> {
        let key = self.keys.iter().find(|key| key.id == sealed.key_id).ok_or(Error::Sealed("no such key"))?;
        let (nonce, text) = sealed.bytes.split_at_checked(NONCE_BYTES).ok_or(Error::Sealed("cut off"))?;
        let payload = Payload { msg: text, aad: bound_to.as_bytes() };
        key.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| Error::Sealed("not what was sealed here"))
    }

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
    ) -> Result<Write, Error> {
        let sealed = self.seal(token.expose_secret().as_bytes(), &bound_to(account, id))?;
        Ok(Write::new(
            "INSERT INTO vault (account_id, token_id, key_id, sealed, sealed_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account_id) DO UPDATE SET token_id = excluded.token_id, key_id = excluded.key_id, \
             sealed = excluded.sealed, sealed_at = excluded.sealed_at",
        )
        .bind(account)
        .bind(id)
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
    ) -> Result<Write, Error> {
        let sealed = self.seal(token.expose_secret().as_bytes(), &bound_to(account, id))?;
        let sql = "UPDATE vault SET token_id = $1, key_id = $2, sealed = $3, sealed_at = $4 \
                   WHERE account_id = $5 AND token_id = $6";
        let write = Write::new(sql).bind(id).bind(sealed.key_id).bind(sealed.bytes).bind(at).bind(account);
        Ok(write.bind(previous).guarded())
    }

    /// The write that changes nothing, and refuses the unit unless this is the account's current token.
    pub(crate) fn guard(account: AccountId, token: TokenId) -> Write {
        let sql = "UPDATE vault SET token_id = token_id WHERE account_id = $1 AND token_id = $2";
        Write::new(sql).bind(account).bind(token).guarded()
    }

    /// The write that destroys the account's token.
    pub(crate) fn destroy(account: AccountId) -> Write {
        Write::new("DELETE FROM vault WHERE account_id = $1").bind(account)
    }

    pub(crate) async fn open_token(&self, database: &Database, account: AccountId) -> Result<Opened, Error> {
        let row: Option<(String, String, Vec<u8>)> = read!(database, pool =>
            sqlx::query_as("SELECT token_id, key_id, sealed FROM vault WHERE account_id = $1")
                .bind(account.to_string()).fetch_optional(pool))?;
        let (id, key_id, bytes) = row.ok_or(Error::Missing("token"))?;
        let id: TokenId = id.parse().map_err(|_| Error::Sealed("a token without an id"))?;
        let secret = self.open(&Sealed { key_id, bytes }, &bound_to(account, id))?;
        let token = String::from_utf8(secret).map_err(|_| Error::Sealed("not a text"))?;
        Ok(Opened { id, token: token.into() })
    }
}

fn bound_to(account: AccountId, token: TokenId) -> String {
    format!("token {account} {token}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_where_it_belongs() {
        let vault = Vault::new(&Vault::generate()).expect("a ring");
        let sealed = vault.seal(b"IGAAsecret", "token a 1").expect("sealed");
        assert_eq!(vault.open(&sealed, "token a 1").expect("opens"), b"IGAAsecret");
        assert!(vault.open(&sealed, "token b 1").is_err());
        let mut changed = sealed.clone();
        changed.bytes[NONCE_BYTES] ^= 1;
        assert!(vault.open(&changed, "token a 1").is_err());
        assert!(vault.open(&Sealed { bytes: vec![1, 2], ..sealed }, "token a 1").is_err());
    }

    #[test]
    fn after_a_change_of_keys_the_old_one_still_opens() {
        let old = Vault::generate();
        let sealed = Vault::new(&old).expect("a ring").seal(b"x", "y").expect("sealed");
        let new = Vault::generate().expose_secret().replace("k1:", "k2:");
        let both = Vault::new(&format!("{new}, {}", old.expose_secret()).into()).expect("a ring");
        assert_eq!(both.open(&sealed, "y").expect("opens"), b"x");
        assert_eq!(both.seal(b"x", "y").expect("sealed").key_id, "k2");
        assert!(Vault::new(&new.into()).expect("a ring").open(&sealed, "y").is_err());
    }

    #[test]
    fn a_ring_that_is_not_one_is_refused_without_being_shown() {
        let zeros = format!("k:{}", STANDARD.encode([0; 32]));
        let twice = format!("{0},{0}", Vault::generate().expose_secret());
        for ring in ["", "k1", "k1:!!!", "k1:c2hvcnQ=", ":c2hvcnQ=", &zeros, &twice] {
            let error = Vault::new(&ring.to_owned().into()).expect_err(ring);
            assert!(!error.contains("c2hvcnQ"), "{error}");
        }
    }

    #[test]
    fn derived_keys_differ_by_purpose() {
        let vault = Vault::new(&Vault::generate()).expect("a ring");
        assert_ne!(vault.derived("link"), vault.derived("state"));
        assert_eq!(vault.derived("link"), vault.derived("link"));
    }
}
