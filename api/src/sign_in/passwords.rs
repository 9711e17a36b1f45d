//! Password hashes: the only place that makes or verifies one.
//!
//! A hash needs 19 MiB and tens of milliseconds of a core, and anybody may ask for one by trying to sign in. So the whole
//! program runs at most [`HASHES_AT_ONCE`], requests wait for their turn in a short queue, and beyond that the answer is
//! [`PasswordError::TooMany`]. The memory goes back to the system after each hash; see [`blocks`].

use std::{sync::Arc, time::Duration};

use argon2::password_hash::{Output, ParamsString, PasswordHash, SaltString, rand_core::OsRng};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many passwords are hashed at once in the whole program: 38 MiB.
pub const HASHES_AT_ONCE: usize = 2;
/// How many requests may wait for their turn.
pub const QUEUE_LENGTH: usize = 16;
/// How long a request waits for its turn. The queue takes half a second on two idle cores.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest password, in bytes. No stored one is longer, so longer ones are wrong without a hash.
pub const PASSWORD_BYTES: usize = 1024;
/// The most memory that a stored hash may ask for, in KiB. Ours ask for [`Params::DEFAULT_M_COST`], 19 MiB.
const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// More than 32 MiB, in blocks; see [`blocks`].
const MAPPED_BLOCKS: usize = 33 * 1024;

/// What is verified when the address is unknown. It costs as much as a user's hash, and no password has it (the output is
/// 32 zero bytes). Being a constant, its first use costs no more than the others.
const UNKNOWN_USER_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$QHCTsNZDVwKv1kqbSeRn+g$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static PERMITS: Semaphore = Semaphore::const_new(HASHES_AT_ONCE);

/// Why a password was neither hashed nor verified.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The queue is full, or the turn didn't come in time.
    #[error("too many passwords are to be hashed at once")]
    TooMany,
    /// A stored hash that Relight didn't make.
    #[error("a stored password hash can't be read: {0}")]
    Unreadable(argon2::password_hash::Error),
    /// Hashing failed.
    #[error("a password can't be hashed: {0}")]
    Failed(String),
}

/// The way to hash and verify passwords. Clones share their queue.
#[derive(Debug, Clone)]
pub struct Passwords {
    permits: &'static Semaphore,
    /// Without it any number waits, as long as it takes.
    queue: Option<Arc<Queue>>,
}

/// Where requests wait for their turn.
#[derive(Debug)]
struct Queue {
    places: Semaphore,
    timeout: Duration,
}

impl Passwords {
    /// For the command line: waits as long as it takes.
    pub const fn patient() -> Self {
        Self { permits: &PERMITS, queue: None }
    }

    /// For requests: with a queue of [`QUEUE_LENGTH`] and a few seconds.
    pub fn queued() -> Self {
        Self {
            permits: &PERMITS,
            queue: Some(Arc::new(Queue { places: Semaphore::new(QUEUE_LENGTH), timeout: QUEUE_TIMEOUT })),
        }
    }

    /// Hashes a password, as a PHC string with a new salt.
    ///
    /// # Errors
    /// [`PasswordError::TooMany`], or when hashing fails.
    pub async fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        let password = password.clone();
        self.run(move || new_hash(password.expose_secret().as_bytes())).await?
    }

    /// Whether a password is the one of this stored hash. An unknown user's (`None`) takes as long as a wrong one.
    ///
    /// # Errors
    /// [`PasswordError::TooMany`], or when the stored hash isn't one.
    pub async fn verify(&self, password: &SecretString, hash: Option<&str>) -> Result<bool, PasswordError> {
        if password.expose_secret().len() > PASSWORD_BYTES {
            return Ok(false);
        }
        let (password, hash) = (password.clone(), hash.unwrap_or(UNKNOWN_USER_HASH).to_owned());
        self.run(move || is_right(password.expose_secret().as_bytes(), &hash)).await?
    }

    /// Runs a job when its turn comes. The permit stays with the job: a caller that goes away in the middle lets nothing
    /// else start before the job has ended.
    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let permit = self.permit().await?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            job()
        });
        done.await.map_err(|error| PasswordError::Failed(error.to_string()))
    }

    /// Waits for the turn. A caller that goes away gives its place back.
    async fn permit(&self) -> Result<SemaphorePermit<'static>, PasswordError> {
        let closed = |_| PasswordError::Failed("the queue is closed".to_owned());
        let Some(queue) = &self.queue else { return self.permits.acquire().await.map_err(closed) };
        // Waiting ones are served first: a permit that is given back goes to them, not to who comes here.
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let _place = queue.places.try_acquire().map_err(|_| PasswordError::TooMany)?;
        let turn = tokio::time::timeout(queue.timeout, self.permits.acquire()).await;
        turn.map_err(|_| PasswordError::TooMany)?.map_err(closed)
    }
}

fn new_hash(password: &[u8]) -> Result<String, PasswordError> {
    let failed = |error: argon2::password_hash::Error| PasswordError::Failed(error.to_string());
    let salt = SaltString::generate(&mut OsRng);
    let params = Params::default();
    let output =
        output(password, salt.as_salt(), &params, Algorithm::default(), Version::default(), Params::DEFAULT_OUTPUT_LEN);
    let hash = PasswordHash {
        algorithm: Algorithm::default().ident(),
        version: Some(Version::default().into()),
        params: ParamsString::try_from(&params).map_err(failed)?,
        salt: Some(salt.as_salt()),
        hash: Some(output.map_err(failed)?),
    };
    Ok(hash.to_string())
}

fn is_right(password: &[u8], hash: &str) -> Result<bool, PasswordError> {
    use argon2::password_hash::{Error, errors::InvalidValue};
    let read = || {
        let hash = PasswordHash::new(hash)?;
        let algorithm = Algorithm::try_from(hash.algorithm)?;
        let version = hash.version.map_or(Ok(Version::default()), Version::try_from)?;
        let params = Params::try_from(&hash)?;
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Err(Error::Password) };
        if params.m_cost() > MAX_MEMORY_KIB {
            return Err(Error::ParamValueInvalid(InvalidValue::TooLong));
        }
        // `Output` compares in constant time.
        Ok(output(password, salt, &params, algorithm, version, expected.len())? == expected)
    };
    read().map_err(PasswordError::Unreadable)
}

fn output(
    password: &[u8],
    salt: argon2::password_hash::Salt<'_>,
    params: &Params,
    algorithm: Algorithm,
    version: Version,
    length: usize,
) -> argon2::password_hash::Result<Output> {
    let mut buffer = [0; 64];
    let salt = salt.decode_b64(&mut buffer)?;
    let argon2 = Argon2::new(algorithm, version, params.clone());
    let mut memory = blocks(params.block_count());
    Output::init_with(length, |out| {
        Ok(argon2.hash_password_into_with_memory(password, salt, out, memory.as_mut_slice())?)
    })
}

/// The memory of a hash, which the system has back as soon as it is dropped.
///
/// Reserves more than 32 MiB of addresses, and touches only what it needs. glibc raises the size from which it maps memory
/// alone each time it frees such a piece, up to 32 MiB (`DEFAULT_MMAP_THRESHOLD_MAX`, mallopt(3)); smaller pieces come from
/// its heaps from then on, where these aligned ones leave holes that are never given back. Measured, 160 hashes by 8 threads,
/// resident before → at the peak → after: 1 → 1,674 → 1,674 MiB as argon2 allocates; 2 → 154 → 2 MiB with this; 2 → 155 →
/// 3 MiB with jemalloc; 6 → 166 → 15 MiB with mimalloc; all at the same speed.
fn blocks(count: usize) -> Vec<Block> {
    let mut blocks = Vec::with_capacity(count.max(MAPPED_BLOCKS));
    blocks.resize(count, Block::default());
    blocks
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PASSWORD: &str = "correct horse battery";
    /// Made by `password_auth::generate_hash`, which Relight used before.
    const STORED: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$QHCTsNZDVwKv1kqbSeRn+g$DmAKuJo/d375HJHyS3mFCXLF2Jkb+BCX8aLLgz2jV+Q";

    /// One at once, and one that waits.
    fn small(timeout: Duration) -> Passwords {
        let permits = Box::leak(Box::new(Semaphore::new(1)));
        Passwords { permits, queue: Some(Arc::new(Queue { places: Semaphore::new(1), timeout })) }
    }

    fn secret(text: &str) -> SecretString {
        text.to_owned().into()
    }

    /// A job that ends when its channel's other end does.
    fn held() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (hold, held) = mpsc::channel::<()>();
        (hold, move || {
            let _ = held.recv();
        })
    }

    #[tokio::test]
    async fn hashes_that_were_stored_before_still_verify() {
        let passwords = Passwords::patient();
        assert!(passwords.verify(&secret(PASSWORD), Some(STORED)).await.expect("verified"));
        assert!(!passwords.verify(&secret("correct horse batterz"), Some(STORED)).await.expect("verified"));
    }

    #[tokio::test]
    async fn a_new_hash_verifies_and_has_the_parameters_of_the_stored_ones() {
        let passwords = Passwords::patient();
        let hash = passwords.hash(&secret(PASSWORD)).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && hash.len() == STORED.len(), "{hash}");
        assert_ne!(hash, passwords.hash(&secret(PASSWORD)).await.expect("hashed"), "each has its own salt");
        assert!(passwords.verify(&secret(PASSWORD), Some(&hash)).await.expect("verified"));
    }

    #[tokio::test]
    async fn an_unknown_user_has_no_password_and_what_is_too_long_is_wrong() {
        let passwords = Passwords::patient();
        assert!(!passwords.verify(&secret(PASSWORD), None).await.expect("verified"));
        let long = secret(&"x".repeat(PASSWORD_BYTES + 1));
        assert!(!passwords.verify(&long, Some("not even a hash")).await.expect("not looked at"));
    }

    #[tokio::test]
    async fn a_stored_hash_that_asks_for_too_much_memory_is_refused() {
        let greedy = STORED.replace("m=19456", "m=4000000");
        let refused = Passwords::patient().verify(&secret(PASSWORD), Some(&greedy)).await;
        assert!(matches!(refused, Err(PasswordError::Unreadable(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn beyond_the_queue_and_its_time_it_is_too_many() {
        let passwords = small(Duration::from_millis(20));
        let permit = passwords.permit().await.expect("the first hashes");
        let mut waits = std::pin::pin!(passwords.permit());
        assert!(futures::poll!(waits.as_mut()).is_pending());
        assert!(matches!(passwords.permit().await, Err(PasswordError::TooMany)), "the queue is full");
        assert!(matches!(waits.await, Err(PasswordError::TooMany)), "its time passed");
        drop(permit);
        assert!(passwords.permit().await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_while_waiting_gives_its_place_back() {
        let passwords = small(QUEUE_TIMEOUT);
        let permit = passwords.permit().await.expect("the first hashes");
        {
            let mut waits = std::pin::pin!(passwords.permit());
            assert!(futures::poll!(waits.as_mut()).is_pending());
            assert!(matches!(passwords.permit().await, Err(PasswordError::TooMany)));
        }
        let mut waits = std::pin::pin!(passwords.permit());
        assert!(futures::poll!(waits.as_mut()).is_pending(), "there is a place again");
        drop(permit);
        assert!(waits.await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_while_hashing_lets_no_other_start() {
        let passwords = small(QUEUE_TIMEOUT);
        let (hold, job) = held();
        {
            let mut hashes = std::pin::pin!(passwords.run(job));
            assert!(futures::poll!(hashes.as_mut()).is_pending());
        }
        assert_eq!(passwords.permits.available_permits(), 0, "the job goes on");
        drop(hold);
        assert!(passwords.permit().await.is_ok(), "and gives its permit back at its end");
    }
}
