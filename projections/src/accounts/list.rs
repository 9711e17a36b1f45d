//! Lists of accounts, and how many there are: as quick with a million of them as with ten.
//!
//! Each list is a range of an index, whose first table is named first: the engines keep to that (SQLite is told by `CROSS
//! JOIN`) or know better from their statistics (PostgreSQL).

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use domain::ParseError;
use engine::{Database, Dialect, Query, StoreError, Value, sql};

use super::{Account, COLUMNS, Row, Viewer, of_row};

/// Which accounts to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those with this status, the latest first; all of them come by name.
    pub status: Option<String>,
    /// Only those whose name contains this, or begins with it if it is shorter than three characters.
    pub search: Option<String>,
    /// Only those after this one: a cursor that a list in the same order ended with.
    pub after: Option<Cursor>,
}

/// Where a list goes on: after a name or an instant, and an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// In a list by name.
    Name(String, String),
    /// In a list of one status.
    Since(DateTime<Utc>, String),
}

impl Cursor {
    /// Whether a list that a filter leaves can go on here.
    pub fn fits(&self, filter: &Filter) -> bool {
        matches!(self, Self::Since(..)) == filter.status.is_some()
    }

    /// Where a list goes on that ended with this account.
    pub fn of(filter: &Filter, last: &Account) -> Self {
        match filter.status {
            None => Self::Name(last.username.to_lowercase(), last.id.to_string()),
            Some(_) => Self::Since(last.since, last.id.to_string()),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // No instant begins with a tilde, but a name may.
            Self::Name(name, id) if name.starts_with('~') => write!(f, "~{name}~{id}"),
            Self::Name(name, id) => write!(f, "{name}~{id}"),
            Self::Since(since, id) => write!(f, "~{}~{id}", since.to_rfc3339_opts(SecondsFormat::Micros, true)),
        }
    }
}

impl FromStr for Cursor {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (key, id) = text.rsplit_once('~').ok_or(ParseError)?;
        match key.strip_prefix('~') {
            None => Ok(Self::Name(key.to_owned(), id.to_owned())),
            Some(name) if name.starts_with('~') => Ok(Self::Name(name.to_owned(), id.to_owned())),
            Some(since) => {
                let since: DateTime<Utc> = since.parse().map_err(|_| ParseError)?;
                // RFC 3339 can write no other, and no database compares one.
                let is_possible = (1..=9999).contains(&since.year());
                if is_possible { Ok(Self::Since(since, id.to_owned())) } else { Err(ParseError) }
            }
        }
    }
}

/// Names that are found by an index of their parts are sorted afterwards. More than this are rather found by going through
/// all names in their order, for then they stand close.
const FEW: i64 = 2_000;
/// So many of the next names are looked at to know whether enough of them fit.
const NEAR: i64 = 20_000;
/// As many as a page shows.
const ENOUGH: i64 = 51;

/// How names that fit are found.
enum Way {
    /// By going through all of them in the list's order.
    Through,
    /// By an index of their parts: what is read first.
    Parts(String),
}

/// A query while it is put together.
#[derive(Default)]
struct Asked {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Asked {
    /// A condition, in which each `?` is the next of the values.
    fn that(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        let mut condition = condition.to_owned();
        for value in values {
            condition = condition.replacen('?', &self.value(value), 1);
        }
        self.conditions.push(condition);
    }

    /// A value's place in the text.
    fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }
}

/// The accounts that a viewer sees, in the filter's order.
///
/// # Errors
/// When the database fails.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Account>, StoreError> {
    let mut asked = Asked::default();
    asked.that("p.account_id = s.account_id", []);
    let way = by_parts(database, viewer, filter, &mut asked).await?;
    if let Viewer::User(user) = viewer {
        asked.that("r.user_id = ? AND r.account_id = s.account_id", [user.to_string().into()]);
    }
    let from = match (viewer, &filter.status, way) {
        (Viewer::User(_), ..) => "account_rights_v1 r CROSS JOIN account_status_v1 s CROSS JOIN profiles p".to_owned(),
        (Viewer::Staff, _, Way::Parts(parts)) => {
            format!("{parts} CROSS JOIN profiles p CROSS JOIN account_status_v1 s")
        }
        (Viewer::Staff, None, Way::Through) => "profiles p CROSS JOIN account_status_v1 s".to_owned(),
        (Viewer::Staff, Some(_), Way::Through) => "account_status_v1 s CROSS JOIN profiles p".to_owned(),
    };
    if let Some(status) = &filter.status {
        asked.that("s.status = ?", [status.as_str().into()]);
    }
    match filter.after.clone() {
        Some(Cursor::Name(name, id)) => {
            asked.that("(p.username_lower, p.account_id) > (?, ?)", [name.into(), id.into()]);
        }
        Some(Cursor::Since(since, id)) => {
            asked.that("(s.since, s.account_id) < (?, ?)", [since.into(), id.into()]);
        }
        None => {}
    }
    let order = match filter.status {
        None => "p.username_lower, p.account_id",
        Some(_) => "s.since DESC, s.account_id DESC",
    };
    let select = format!(
        "SELECT {COLUMNS} FROM {from} LEFT JOIN checks c ON c.account_id = s.account_id \
         WHERE {} ORDER BY {order} LIMIT {limit}",
        asked.conditions.join(" AND ")
    );
    // Planned anew: the best plan depends on what is asked for, and PostgreSQL would settle on one for all.
    let query = asked.values.into_iter().fold(sql(select).planned_anew(), Query::bind);
    let rows = query.fetch_all::<Row>(database).await?;
    rows.into_iter().map(of_row).collect()
}

/// Asks for names by a part of them, and says how they are best looked for. PostgreSQL would guess, from a sample that
/// can be far off: it is asked instead, and told.
async fn by_parts(database: &Database, viewer: Viewer, filter: &Filter, asked: &mut Asked) -> Result<Way, StoreError> {
    let Some(search) = filter.search.as_ref().map(|search| search.to_lowercase()) else { return Ok(Way::Through) };
    if search.chars().count() < 3 {
        let (from, to) = (search.clone(), format!("{search}\u{10ffff}"));
        asked.that("p.username_lower >= ? AND p.username_lower < ?", [from.into(), to.into()]);
        return Ok(Way::Through);
    }
    // What is searched for is a text, not a pattern and not a query.
    let pattern = format!("%{}%", search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
    let phrase = format!("\"{}\"", search.replace('"', "\"\""));
    // A customer's own accounts are gone through, however few of all others would fit.
    let rare = !matches!(viewer, Viewer::User(_)) && is_rare(database, filter, &phrase, &pattern).await?;
    match (database.dialect(), rare) {
        (Dialect::Sqlite, true) => {
            asked.that("profiles_search MATCH ? AND p.number = profiles_search.rowid", [phrase.into()]);
            Ok(Way::Parts("profiles_search".to_owned()))
        }
        (Dialect::Postgres, true) => {
            asked.that("found.account_id = p.account_id", []);
            let pattern = asked.value(pattern.into());
            // OFFSET 0 keeps the planner from mixing this with the rest.
            Ok(Way::Parts(format!(
                "(SELECT account_id FROM profiles WHERE username_lower LIKE {pattern} ESCAPE '\\' OFFSET 0) AS found"
            )))
        }
        // No index and no estimate leads the planners away from the list's order.
        (dialect, false) => {
            asked.that(&format!("{} > 0", dialect.place("p.username_lower", "?")), [search.into()]);
            Ok(Way::Through)
        }
    }
}

/// Whether so few accounts have what is searched for that they are better found first.
async fn is_rare(database: &Database, filter: &Filter, phrase: &str, pattern: &str) -> Result<bool, StoreError> {
    let from = if let Some(Cursor::Name(name, _)) = &filter.after { name } else { "" };
    let (count, searched, few) = match database.dialect() {
        Dialect::Sqlite => {
            let matches = "SELECT 1 FROM profiles_search WHERE profiles_search MATCH $1 AND $2 = $2";
            (format!("SELECT count(*) FROM ({matches} LIMIT {})", FEW + 1), phrase, FEW)
        }
        Dialect::Postgres => {
            let near = format!(
                "SELECT username_lower FROM profiles WHERE username_lower >= $2 ORDER BY username_lower, account_id LIMIT {NEAR}"
            );
            let matches = format!("SELECT 1 FROM ({near}) AS near WHERE username_lower LIKE $1 LIMIT {ENOUGH}");
            (format!("SELECT count(*) FROM ({matches}) AS found"), pattern, ENOUGH - 1)
        }
    };
    Ok(sql(count).bind(searched).bind(from).scalar::<i64>(database).await? <= few)
}

/// How many of the viewer's accounts have each status: active, expired, disconnected.
///
/// # Errors
/// When the database fails.
pub async fn counts(database: &Database, viewer: Viewer) -> Result<[i64; 3], StoreError> {
    let rows: Vec<(String, i64)> = match viewer {
        Viewer::Staff => sql("SELECT status, accounts FROM account_counts_v1").fetch_all(database).await?,
        Viewer::User(user) => {
            sql("SELECT s.status, count(*) FROM account_rights_v1 r \
                 JOIN account_status_v1 s ON s.account_id = r.account_id WHERE r.user_id = $1 GROUP BY s.status")
            .bind(user.to_string())
            .fetch_all(database)
            .await?
        }
    };
    let count = |status: &str| rows.iter().find(|(found, _)| found == status).map_or(0, |(_, count)| *count);
    Ok([count("active"), count("expired"), count("disconnected")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_after_a_name_that_begins_with_a_tilde() {
        for name in ["~luma", "~~", "~2026-11-23T10:00:00.000000Z", "lu~ma", ""] {
            let cursor = Cursor::Name(name.to_owned(), "an-id".to_owned());
            assert_eq!(cursor.to_string().parse(), Ok(cursor), "{name}");
        }
    }

    #[test]
    fn a_cursor_with_an_instant_that_no_database_keeps_is_refused() {
        for since in ["+262142-12-31T23:59:59Z", "-262143-01-01T00:00:00Z", "0000-12-31T23:59:59Z"] {
            assert!(format!("~{since}~an-id").parse::<Cursor>().is_err(), "{since}");
        }
        assert!("~9999-12-31T23:59:59.999999Z~an-id".parse::<Cursor>().is_ok());
    }
}
