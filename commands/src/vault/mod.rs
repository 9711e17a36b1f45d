//! Where secrets lie: sealed, each bound to the row that it belongs to.
//!
//! XChaCha20-Poly1305 with random nonces (RFC 8439, draft-irtf-cfrg-xchacha): the ciphertext can't be changed, nor moved
//! to another row, without it being noticed. Several keys may be in the ring: the first seals, all open, so that keys
//! can be changed while the program runs on.
//!
//! [`tables`] lists what is sealed; [`proof`] opens some of each, so that a key that is missing is found before it is
//! needed; [`usage`] counts rows by key; [`reseal`] seals them anew under the first key. `docs/keys.md` is for operators.

pub mod proof;
pub mod reseal;
mod ring;
pub mod tables;
mod tokens;
pub mod usage;

use std::{fmt, sync::Arc};

use chacha20poly1305::{
    AeadCore, XChaCha20Poly1305, XNonce,
    aead::{Aead, OsRng, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;

pub use tokens::Opened;

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

impl Vault {
    /// The ids of its keys; the first one's key seals.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// The id of the key that seals.
    pub fn sealing_key(&self) -> &str {
        self.key_ids().next().unwrap_or_default()
    }

    fn has(&self, key_id: &str) -> bool {
        self.key_ids().any(|id| id == key_id)
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
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

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
}
