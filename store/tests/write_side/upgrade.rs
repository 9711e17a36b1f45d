//! What a database of an earlier program holds, after the migrations of this one.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use engine::{
    Database, Migrations, Options,
    jobs::{self, Of, Waiting},
    on_both_engines, sql,
    sqlx::migrate::Migrator,
};
use store::testing::TestDatabase;

/// The schema as it was after a migration.
fn until(version: i64) -> Migrations {
    let cut = |migrator: &Migrator| Migrator {
        migrations: Cow::Owned(migrator.iter().filter(|migration| migration.version <= version).cloned().collect()),
        ..Migrator::DEFAULT
    };
    Migrations { sqlite: cut(&store::MIGRATIONS.sqlite), postgres: cut(&store::MIGRATIONS.postgres) }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

async fn of(database: &Database, queue: &str) -> Vec<Waiting> {
    jobs::waiting(database, Of::Queue(queue), 10).await.expect("looked at")
}

on_both_engines! {
    async fn what_was_due_is_due_in_its_queue(engine: Engine) {
        let test = TestDatabase::empty(engine).await;
        let database = Database::open(test.url(), Options { connections: 2, ..Options::default() }).await.expect("opens");
        database.migrate(&until(20_261_126_000_902)).await.expect("the schema of yesterday");
        for (kind, priority, cause) in [("pull", 0, 7), ("check", 1, 8), ("expire", 2, 9), ("notify", 3, 10)] {
            sql("INSERT INTO work_v1 (kind, key, account_id, free_widgets, upgraded_widgets, priority, due_at, cause, attempts, \
                 last_error, lease, leased_until) VALUES ($1, 'a', 'a', 2, 1, $2, $3, $4, 3, 'away', 'of a node', $3)")
                .bind(kind).bind(priority).bind(now()).bind(cause).execute(&database).await.expect("inserted");
        }
        for (id, ended_at) in [("waits", None), ("sent", Some(now()))] {
            sql("INSERT INTO mails (id, user_id, kind, due_at, attempts, ended_at, problem) \
                 VALUES ($1, 'u', 'expired', $2, 1, $3, 'greylisted')")
                .bind(id).bind(now()).bind(ended_at).execute(&database).await.expect("inserted");
        }
        sql("INSERT INTO webhook_endpoints (id, url, key_id, secret, since, created_at) \
             VALUES ('e', 'https://hooks.example', 'k1', $1, 0, $2)")
            .bind(vec![1_u8]).bind(now()).execute(&database).await.expect("inserted");
        sql("INSERT INTO webhook_deliveries (id, endpoint_id, message_id, type, account_id, body, created_at, due_at, attempts) \
             VALUES ('d', 'e', 'm', 'account.expired', 'a', '{}', $1, $1, 2)")
            .bind(now()).execute(&database).await.expect("inserted");

        sql("INSERT INTO webhook_cursor (id, position) VALUES (1, 42)").execute(&database).await.expect("inserted");

        database.migrate(&store::MIGRATIONS).await.expect("today's schema");
        let meta = of(&database, "meta").await;
        assert_eq!(meta.iter().map(|job| (job.kind.as_str(), job.priority, job.cause)).collect::<Vec<_>>(), [("pull", 0, 7), ("check", 1, 8)]);
        for job in &meta {
            assert_eq!((job.due_at, job.attempts, job.last_error.as_deref()), (Some(now()), 3, Some("away")));
            assert_eq!(job.leased_until, None, "a lease of a program that is gone");
        }
        assert_eq!(of(&database, "clock").await[0].kind, "expire");
        assert_eq!(of(&database, "notifications").await[0].kind, "notify");
        let told: i64 = sql("SELECT position FROM checkpoints WHERE name = 'web_hooks'").scalar(&database).await.expect("there");
        assert_eq!(told, 42);
        let counts: (i64, i64) = sql("SELECT free_widgets, upgraded_widgets FROM widget_counts_v1 WHERE account_id = 'a'")
            .fetch_one(&database).await.expect("there");
        assert_eq!(counts, (2, 1));
        let mails = of(&database, "mail").await;
        assert_eq!(mails.iter().map(|job| (job.key.as_str(), job.attempts)).collect::<Vec<_>>(), [("waits", 1)]);
        let hooks = of(&database, "hook:e").await;
        assert_eq!(hooks.iter().map(|job| (job.key.as_str(), job.attempts)).collect::<Vec<_>>(), [("d", 2)]);
    }
}
