//! Tries that failed are noted with the job that is tried again.

use chrono::{DateTime, TimeDelta, Utc};
use domain::AccountId;
use engine::{
    Store, Target,
    jobs::{Priority, Room, Scheduled, Worker, set},
    on_both_engines,
};
use projections::jobs::{Job, META, Retry, forget_tries, retry, tries};
use store::testing::TestDatabase;
use uuid::Uuid;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

async fn claim(store: &Store) -> Job {
    let claimed = Worker::new(store.database(), "node").claim(META, now(), Room::of(1)).await.expect("claims");
    claimed.into_iter().next().expect("it is due").try_into().expect("an account's")
}

on_both_engines! {
    async fn the_latest_tries_of_an_account_are_kept(engine: Engine) {
        let database = TestDatabase::new(engine).await;
        let store = database.store().await;
        let id = AccountId::new(Uuid::now_v7());
        let (key, due_at) = (id.to_string(), Some(now()));
        let job = Scheduled { queue: META, kind: "pull", key: &key, priority: Priority::Urgent, due_at, cause: 1 };
        let mut tx = store.database().begin().await.expect("begins");
        set(&mut tx, Target::Serving, &[job]).await.expect("scheduled");
        tx.commit().await.expect("commits");
        let mut job = claim(&store).await;
        let failed = Retry { at: now(), due_at: now(), error: "Meta could not answer", in_line: false };
        retry(store.database(), &job, failed).await.expect("noted");
        retry(store.database(), &job, failed).await.expect("no error");
        let noted = tries(store.database(), id).await.expect("read");
        assert_eq!(noted.len(), 1, "whoever doesn't hold it notes nothing");
        assert_eq!((noted[0].kind.as_str(), noted[0].problem.as_str()), ("pull", "Meta could not answer"));
        job = claim(&store).await;
        // With Meta away for days, the latest are kept.
        for minute in 0..30 {
            let at = now() + TimeDelta::minutes(minute);
            retry(store.database(), &job, Retry { at, ..failed }).await.expect("noted");
            job = claim(&store).await;
        }
        let noted = tries(store.database(), id).await.expect("read");
        assert_eq!((noted.len(), noted[0].at), (20, now() + TimeDelta::minutes(29)));
        forget_tries(store.database(), now() + TimeDelta::minutes(20)).await.expect("forgotten");
        assert_eq!(tries(store.database(), id).await.expect("read").len(), 10);
        forget_tries(store.database(), now() + TimeDelta::hours(1)).await.expect("forgotten");
        assert_eq!(tries(store.database(), id).await.expect("read").len(), 0);
    }
}
