//! A list goes on where it ended, and no text breaks the reader of its cursor.

use chrono::{DateTime, Datelike, Utc};
use projections::accounts::Cursor;
use proptest::prelude::*;

use super::{
    json::text,
    running::{FUNCTION, holds},
};

/// The first and the last second that a database keeps: the years 1 to 9999.
const SECONDS: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    let whole = SECONDS.start * 1_000_000..SECONDS.end * 1_000_000;
    whole.prop_map(|micros| DateTime::from_timestamp_micros(micros).expect("an instant"))
}

fn cursor() -> impl Strategy<Value = Cursor> {
    let id = any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string());
    (prop_oneof![text(), "~{0,3}[a-z~]{0,5}"], instant(), id, any::<bool>())
        .prop_map(|(name, since, id, by_name)| if by_name { Cursor::Name(name, id) } else { Cursor::Since(since, id) })
}

#[test]
fn a_cursor_is_read_as_it_was_written() {
    holds(FUNCTION, &cursor(), |cursor| {
        prop_assert_eq!(cursor.to_string().parse::<Cursor>().ok(), Some(cursor));
        Ok(())
    });
}

#[test]
fn no_text_breaks_the_reader_of_cursors_nor_gives_an_instant_that_no_database_keeps() {
    let instant = prop_oneof!["[+-]?[0-9]{4,6}-(0[1-9]|1[0-2])-[0-3][0-9]T[0-2][0-9]:00:00(Z|[+-][0-9]{2}:00)", text()];
    let near = (instant, text()).prop_map(|(instant, id)| format!("~{instant}~{id}"));
    holds(FUNCTION, &prop_oneof![text(), "[~a-z0-9]{0,20}", near], |text| {
        if let Ok(Cursor::Since(since, _)) = text.parse() {
            prop_assert!((1..=9999).contains(&since.year()), "{since}");
        }
        Ok(())
    });
}
