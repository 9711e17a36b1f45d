//! Jobs: one is added with a unit, claimed under a lease, and ended together with its result. A worker that is late changes
//! nothing.

use chrono::{DateTime, TimeDelta, Utc};
use engine::{
    CommitError, Database, MIGRATIONS, Metadata, Options, Store,
    jobs::{End, Of, Worker, add, waiting},
    sql,
};

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("jobs.db").display());
    let store = Store::new(Database::open(&url, Options::default()).await?, Vec::new);
    let database = store.database();
    database.migrate(&MIGRATIONS).await?;
    sql("CREATE TABLE sent (id TEXT PRIMARY KEY, at TEXT NOT NULL)").execute(database).await?;

    // A job is added with whatever the unit writes besides.
    let mut unit = store.unit(metadata());
    unit.write(add("mail", "welcome", "ann", NOW));
    unit.write(add("mail", "welcome", "ben", NOW + TimeDelta::hours(1)));
    unit.commit().await?;

    // One node claims what is due, and is frozen. Its lease ends, and another node claims the job again.
    let [frozen, other] = ["frozen", "other"].map(|node| Worker::new(database, node));
    let late = frozen.claim_in_order("mail", NOW, 10).await?.remove(0);
    assert!(other.claim_in_order("mail", NOW, 10).await?.is_empty(), "it is held");
    sql("UPDATE jobs SET leased_until = $1 WHERE lease IS NOT NULL").bind(NOW).execute(database).await?;
    let job = other.claim_in_order("mail", NOW, 10).await?.remove(0);
    assert!(job.was_held, "the frozen one may have sent it");

    // Its end and its result are one commit.
    let mut unit = store.unit(metadata());
    unit.write(sql("INSERT INTO sent (id, at) VALUES ($1, $2)").bind(job.held.key()).bind(NOW));
    unit.end(job.held, End::Done);
    unit.commit().await?;

    // The frozen one comes back, and is refused with all that it wanted to write.
    let mut unit = store.unit(metadata());
    unit.write(sql("DELETE FROM sent"));
    unit.end(late.held, End::Done);
    assert!(matches!(unit.commit().await, Err(CommitError::Refused)));

    let sent: Vec<String> = sql("SELECT id FROM sent").scalars(database).await?;
    let left = waiting(database, Of::Queue("mail"), 10).await?;
    assert_eq!((sent, left.len(), left[0].key.as_str()), (vec!["ann".to_owned()], 1, "ben"));
    println!("sent to ann; ben's waits until {}", left[0].due_at.unwrap_or_default());
    Ok(())
}

fn metadata() -> Metadata {
    Metadata::new(NOW, &[("by", "the example".to_owned())].into())
}
