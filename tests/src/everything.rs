//! What stands in a database, for tests of what must not.

use engine::{Database, sql};

/// Every table's rows as one text.
///
/// # Panics
/// When the database fails.
pub async fn everything(database: &Database) -> String {
    let tables: Vec<String> = match database {
        Database::Sqlite(_) => sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"),
        Database::Postgres(_) => sql("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"),
    }
    .scalars(database)
    .await
    .expect("read");
    let mut all = String::new();
    for table in tables {
        let rows: Vec<String> = match database {
            Database::Sqlite(_) => {
                let columns: Vec<String> = sql(format!("SELECT name FROM pragma_table_info('{table}')"))
                    .scalars(database)
                    .await
                    .expect("read");
                let texts: Vec<_> = columns.iter().map(|name| format!("quote(\"{name}\")")).collect();
                sql(format!("SELECT {} FROM \"{table}\"", texts.join(" || ' ' || ")))
                    .scalars(database)
                    .await
                    .expect("read")
            }
            Database::Postgres(_) => {
                sql(format!("SELECT CAST(t AS text) FROM \"{table}\" AS t")).scalars(database).await.expect("read")
            }
        };
        all.extend(rows.iter().map(|row| format!("{table}: {row}\n")));
    }
    if let Database::Postgres(_) = database {
        let samples = sql("SELECT CAST(s AS text) FROM pg_stats AS s WHERE schemaname = current_schema()");
        let samples: Vec<String> = samples.scalars(database).await.expect("read");
        all.extend(samples.iter().map(|row| format!("pg_stats: {row}\n")));
    }
    all
}
