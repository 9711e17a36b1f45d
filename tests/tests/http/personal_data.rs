//! Where personal data may stand: docs/personal-data.md has an entry for every table and column.

use std::collections::BTreeSet;

use engine::{Database, on_both_engines, sql};
use tests::relight::Relight;

/// `table.column` of every entry.
fn listed() -> BTreeSet<String> {
    let text = include_str!("../../../docs/personal-data.md");
    let mut all = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, tables, columns, purpose, kept, _] = cells[..] else { panic!("{line}") };
        assert!(!purpose.is_empty() && !kept.is_empty(), "{line}");
        for table in tables.split(", ") {
            for column in columns.split(", ") {
                all.insert(format!("{}.{}", table.trim_matches('`'), column.trim_matches('*')));
            }
        }
    }
    all
}

on_both_engines! {
    async fn every_column_has_its_purpose_and_its_time(engine: Engine) {
        let relight = Relight::start(engine).await;
        let database = relight.store().database();
        let there: Vec<String> = match database {
            Database::Sqlite(_) => sql(
                "SELECT m.name || '.' || p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p \
                 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '_sqlx%' \
                 AND m.name NOT GLOB 'profiles_search_*'",
            ),
            Database::Postgres(_) => sql(
                "SELECT table_name || '.' || column_name FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_sqlx%'",
            ),
        }
        .scalars(database)
        .await
        .expect("read");
        let (listed, there) = (listed(), there.into_iter().collect::<BTreeSet<_>>());
        let missing: Vec<_> = there.difference(&listed).collect();
        assert!(missing.is_empty(), "without an entry in docs/personal-data.md: {missing:?}");
    }
}
