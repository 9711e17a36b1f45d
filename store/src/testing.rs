//! Databases with Relight's schema for tests: one of its own for each, on either engine, gone when the test is over.

use chrono::{DateTime, Utc};
use domain::Actor;
use engine::{Store, testing::Engine};

use crate::{MIGRATIONS, Metadata};

/// A database that exists for one test.
#[derive(Debug)]
pub struct TestDatabase(engine::testing::TestDatabase);

impl TestDatabase {
    /// Makes one with Relight's schema.
    ///
    /// # Panics
    /// When the machine can't: without it no test makes sense.
    pub async fn new(engine: Engine) -> Self {
        Self(engine::testing::TestDatabase::new(engine, &MIGRATIONS).await)
    }

    /// Makes one without a schema, for others to be measured on.
    ///
    /// # Panics
    /// When the machine can't.
    pub async fn empty(engine: Engine) -> Self {
        Self(engine::testing::TestDatabase::empty(engine, &MIGRATIONS).await)
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// Opens it once more, as another node would.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn store(&self) -> Store {
        crate::of(self.0.open().await)
    }
}

/// Who did something at some time, for events in tests.
pub fn metadata(at: DateTime<Utc>) -> Metadata {
    Metadata {
        at,
        actor: Actor::Visitor,
        correlation: "test".to_owned(),
        causation: None,
        request: None,
        program: "relight test",
    }
}
