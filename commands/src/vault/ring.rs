//! The ring as it is configured, and the keys for other purposes that are derived from it.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, aead::OsRng};
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};

use super::{Key, Vault};

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
        self.one_times(purpose).into_iter().next().unwrap_or_default()
    }

    /// The same of each key, to check one that was made with an older key, or on a node where another key is the first.
    pub fn one_times(&self, purpose: &str) -> Vec<String> {
        self.derived(&format!("one time {purpose}")).iter().map(|key| URL_SAFE_NO_PAD.encode(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
