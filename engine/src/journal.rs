//! The journal: all committed events in one order, read by position.
//!
//! History and the event log are indexed queries over the events themselves; followers read on from where they are.
//! Positions become visible in their order (see the migrations), so `position > $1` skips nothing.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::{ColumnIndex, Row as _};
use tokio::sync::mpsc;

use crate::{
    Database, Decoded, Dialect, EventSet, Head, On, Query, Recorded, Store, StoreError, Tx, Upcasters, Value,
    recorded::{COLUMNS, Row, recorded, upcast},
    sql,
};

/// An event as followers read it: what they fold, and no more.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<E> {
    /// Its place in the one order of all events.
    pub position: i64,
    /// The id of the aggregate whose stream it is in.
    pub aggregate_id: String,
    /// When it happened, on the program's clock.
    pub at: DateTime<Utc>,
    /// The event itself.
    pub event: E,
}

/// Events that were read at once.
pub(crate) type Batch<E> = Result<Vec<Entry<Decoded<E>>>, StoreError>;

/// Which events of the journal to read.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those after this position.
    pub after: i64,
    /// Only those of the aggregates with this id.
    pub aggregate_id: Option<String>,
    /// Only those of this type.
    pub event_type: Option<String>,
    /// Only those at this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those before this instant.
    pub to: Option<DateTime<Utc>>,
}

impl Store {
    /// The events after a position, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_after(&self, position: i64, limit: i64) -> Result<Vec<Recorded>, StoreError> {
        self.events(&Filter { after: position, ..Filter::default() }, limit).await
    }

    /// The events after a position, in order, decoded and without what followers don't need; read in a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn entries_within<E: EventSet>(
        &self,
        tx: &mut Tx,
        position: i64,
        limit: i64,
    ) -> Result<Vec<Entry<Decoded<E>>>, StoreError> {
        self.entries_of(tx, None, position, limit).await
    }

    /// The same, of one aggregate or all.
    pub(crate) async fn entries_of<E: EventSet>(
        &self,
        tx: &mut Tx,
        aggregate_id: Option<&str>,
        position: i64,
        limit: i64,
    ) -> Result<Vec<Entry<Decoded<E>>>, StoreError> {
        let (upcasters, range) = (self.upcasters, (aggregate_id, position, limit));
        match tx {
            Tx::Sqlite(tx) => Ok(entries(&mut **tx, Dialect::Sqlite, range, upcasters).await?),
            Tx::Postgres(tx) => Ok(entries(&mut **tx, Dialect::Postgres, range, upcasters).await?),
        }
    }

    /// The same, read and decoded in a task of its own, a few reads ahead of whoever takes them; `None` if there is no
    /// connection to spare, for this is no more than faster.
    pub fn read_ahead<E: EventSet>(
        &self,
        mut position: i64,
        at_once: i64,
        until: i64,
    ) -> Option<mpsc::Receiver<Batch<E>>> {
        let (send, receive) = mpsc::channel(2);
        let (upcasters, dialect) = (self.upcasters, self.database.dialect());
        macro_rules! read {
            ($connection:expr) => {{
                let mut connection = $connection;
                tokio::spawn(async move {
                    while position < until {
                        let read = entries(&mut *connection, dialect, (None, position, at_once), upcasters).await;
                        let last = read.as_ref().ok().and_then(|read| Some((read.last()?.position, read.len())));
                        let _ = send.send(read.map_err(StoreError::from)).await;
                        match last {
                            Some((last, read)) if i64::try_from(read) == Ok(at_once) && !send.is_closed() => {
                                position = last
                            }
                            _ => return,
                        }
                    }
                });
            }};
        }
        match &self.database {
            Database::Sqlite(pools) => read!(pools.read.try_acquire()?),
            Database::Postgres(pool) => read!(pool.try_acquire()?),
        }
        Some(receive)
    }

    /// The events that a filter leaves, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, filter: &Filter, limit: i64) -> Result<Vec<Recorded>, StoreError> {
        // Only the conditions that are asked for stand in the text: a condition such as `$2 IS NULL OR …` would keep the
        // planner from the index.
        let asked: [(&str, Option<Value>); 4] = [
            ("aggregate_id =", filter.aggregate_id.as_deref().map(Value::from)),
            ("event_type =", filter.event_type.as_deref().map(Value::from)),
            ("at >=", filter.from.map(Value::from)),
            ("at <", filter.to.map(Value::from)),
        ];
        let (mut conditions, mut values) = (vec!["position > $1".to_owned()], vec![Value::from(filter.after)]);
        for (condition, value) in asked {
            let Some(value) = value else { continue };
            values.push(value);
            conditions.push(format!("{condition} ${}", values.len()));
        }
        let select = format!("{COLUMNS} WHERE {} ORDER BY position LIMIT {limit}", conditions.join(" AND "));
        let rows: Vec<Row> = values.into_iter().fold(sql(select), Query::bind).fetch_all(&self.database).await?;
        let upcasters = (self.upcasters)();
        Ok(rows.into_iter().map(|row| recorded(row, &upcasters)).collect())
    }

    /// Whether something happened in an aggregate's stream after a position, apart from events of some types.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn happened_after(
        &self,
        (aggregate, id): (&str, &str),
        position: i64,
        except: &[&str],
    ) -> Result<bool, StoreError> {
        let mut happened = "SELECT EXISTS (SELECT 1 FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 \
                            AND position > $3"
            .to_owned();
        for place in 4..4 + except.len() {
            let _ = write!(happened, " AND event_type <> ${place}");
        }
        let happened = sql(happened + ")");
        let happened = happened.bind(aggregate).bind(id).bind(position);
        Ok(except.iter().fold(happened, |happened, name| happened.bind(*name)).scalar(&self.database).await?)
    }

    /// The position of the last event; 0 in an empty journal.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn head(&self) -> Result<i64, StoreError> {
        let head: Option<i64> = sql("SELECT max(position) FROM events").scalar(&self.database).await?;
        Ok(head.unwrap_or(0))
    }
}

/// The type of the last event of a stream, named by its aggregate's type and id, before a position.
///
/// # Errors
/// When the database fails.
pub async fn type_before(
    on: impl Into<On<'_>>,
    (aggregate, id): (&str, &str),
    position: i64,
) -> Result<Option<String>, StoreError> {
    Ok(sql("SELECT event_type FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND position < $3 \
            ORDER BY sequence DESC LIMIT 1")
    .bind(aggregate)
    .bind(id)
    .bind(position)
    .scalar_optional(on)
    .await?)
}

/// Reads events, of one aggregate or all, after a position and so many at most, and decodes them.
async fn entries<'c, D, X, E>(
    on: X,
    dialect: Dialect,
    (aggregate_id, position, limit): (Option<&str>, i64, i64),
    upcasters: Upcasters,
) -> Result<Vec<Entry<Decoded<E>>>, sqlx::Error>
where
    E: EventSet,
    D: sqlx::Database,
    X: sqlx::Executor<'c, Database = D>,
    usize: ColumnIndex<D::Row>,
    i64: for<'q> sqlx::Encode<'q, D> + for<'r> sqlx::Decode<'r, D> + sqlx::Type<D>,
    DateTime<Utc>: for<'r> sqlx::Decode<'r, D> + sqlx::Type<D>,
    for<'r> &'r str: sqlx::Decode<'r, D> + sqlx::Type<D>,
    String: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
    for<'q> D::Arguments<'q>: sqlx::IntoArguments<'q, D>,
{
    let select = format!(
        "SELECT position, aggregate_type, aggregate_id, event_type, event_version, {}, at FROM events \
         WHERE position > $1{} ORDER BY position LIMIT $2",
        dialect.text_of_json("payload"),
        if aggregate_id.is_some() { " AND aggregate_id = $3" } else { "" }
    );
    let upcasters = upcasters();
    let query = sqlx::query(&select).bind(position).bind(limit);
    let query = match aggregate_id {
        Some(id) => query.bind(id.to_owned()),
        None => query,
    };
    let mut rows = query.fetch(on);
    let mut entries = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let head = Head { aggregate: row.try_get(1)?, event_type: row.try_get(3)?, version: row.try_get(4)? };
        let payload = row.try_get(5)?;
        let event = match upcast(&head, payload, &upcasters) {
            None => E::decode(&head, payload),
            Some(Err(why)) => Decoded::Broken(why),
            Some(Ok(today)) => {
                let head = Head {
                    aggregate: &today.aggregate_type,
                    event_type: &today.event_type,
                    version: &today.event_version,
                };
                E::decode(&head, &today.payload.to_string())
            }
        };
        let aggregate_id = row.try_get::<&str, _>(2)?.to_owned();
        entries.push(Entry { position: row.try_get(0)?, aggregate_id, at: row.try_get(6)?, event });
    }
    Ok(entries)
}

/// When the journal's last event happened; `None`: it has none.
///
/// # Errors
/// When the database fails.
pub async fn last_at(database: &Database) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sql("SELECT at FROM events ORDER BY position DESC LIMIT 1").scalar_optional(database).await?)
}
