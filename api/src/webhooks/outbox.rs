//! What endpoints are told: from the journal, each event once, in its order; and reminders, which are no events.

use domain::{AccountId, TokenEvent};
use engine::{Recorded, StoreError, Tx, jobs, sql};
use serde_json::json;
use store::Event;
use uuid::Uuid;

use super::deliver::{DELIVERY, queue};
use crate::app::App;

/// How many events are looked through at once.
const AT_ONCE: i64 = 500;

/// Something that endpoints are told.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id, the same whenever it is made.
    id: String,
    kind: &'static str,
    account: String,
    body: String,
    /// The event that it tells of, for endpoints since then.
    position: i64,
}

impl Message {
    /// A message; `key` makes it different from others of its type about this account.
    fn new(
        kind: &'static str,
        account: &str,
        position: i64,
        key: &str,
        at: chrono::DateTime<chrono::Utc>,
        data: &serde_json::Value,
    ) -> Self {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{kind}:{account}:{position}:{key}").as_bytes());
        let body = json!({"type": kind, "timestamp": at, "data": data}).to_string();
        Self { id: format!("msg_{}", id.simple()), kind, account: account.to_owned(), body, position }
    }

    /// That an account's data access ends soon.
    pub fn expiring(account: AccountId, cause: i64, days: u32, at: chrono::DateTime<chrono::Utc>) -> Self {
        let account = account.to_string();
        let data = json!({"account_id": account, "days_left": days, "needs_person": true});
        Self::new("account.expiring", &account, cause, &days.to_string(), at, &data)
    }
}

/// Looks through what is new in the journal. Whether there may be more.
///
/// # Errors
/// When the database fails.
pub async fn advance(app: &App) -> Result<bool, StoreError> {
    let database = app.database();
    // Without a new event, or anybody to tell, nothing is locked.
    let seen: Option<i64> = sql("SELECT position FROM webhook_cursor WHERE id = 1").scalar_optional(database).await?;
    let Some(seen) = seen else { return Ok(false) };
    if seen >= *app.store().wake().listen().borrow() && seen >= *app.status_position.borrow() {
        return Ok(false);
    }
    let events = app.store().events_after(seen, AT_ONCE).await?;
    let Some(last) = events.last().map(|event| event.position) else { return Ok(false) };
    let mut told = Vec::new();
    for event in &events {
        told.extend(messages(app, event).await?);
    }
    // All is read by now: who holds the cursor waits for no second connection.
    let mut tx = database.begin().await?;
    let is_ours: Option<i32> =
        sql(format!("SELECT 1 FROM webhook_cursor WHERE id = 1 AND position = $1{}", database.dialect().skip_locked()))
            .bind(seen)
            .scalar_optional(&mut tx)
            .await?;
    if is_ours.is_none() {
        // Another node was faster, or is at it.
        return Ok(false);
    }
    for message in &told {
        enqueue(app, &mut tx, message).await?;
    }
    sql("UPDATE webhook_cursor SET position = $1 WHERE id = 1").bind(last).execute(&mut tx).await?;
    tx.commit().await?;
    Ok(i64::try_from(events.len()).is_ok_and(|count| count == AT_ONCE))
}

/// Puts a message into the outbox of each endpoint.
///
/// # Errors
/// When the database fails.
pub async fn enqueue(app: &App, tx: &mut Tx, message: &Message) -> Result<(), StoreError> {
    // A reminder's cause is the login of long ago.
    let always = message.kind == "account.expiring";
    let endpoints: Vec<String> =
        sql("SELECT id FROM webhook_endpoints WHERE disabled_at IS NULL AND (since < $1 OR $2)")
            .bind(message.position)
            .bind(always)
            .scalars(&mut *tx)
            .await?;
    let now = app.commands.clock.now();
    for endpoint in endpoints {
        let id = commands::new_id().to_string();
        let added = sql(
            "INSERT INTO webhook_deliveries (id, endpoint_id, message_id, type, account_id, body, created_at, due_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (endpoint_id, message_id) DO NOTHING",
        )
        .bind(&id)
        .bind(&endpoint)
        .bind(&message.id)
        .bind(message.kind)
        .bind(&message.account)
        .bind(&message.body)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if added > 0 {
            jobs::add(&queue(&endpoint), DELIVERY, &id, now).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

/// What an event means for the widget service.
async fn messages(app: &App, recorded: &Recorded) -> Result<Vec<Message>, StoreError> {
    let Event::Token(event) = recorded.event()? else { return Ok(Vec::new()) };
    let account = recorded.aggregate_id.as_str();
    let message =
        |kind, data: serde_json::Value| Message::new(kind, account, recorded.position, "", recorded.at, &data);
    let position = recorded.position;
    Ok(match event {
        TokenEvent::Expired { reason, .. } => {
            let data = json!({"account_id": account, "reason": reason, "needs_person": true, "position": position});
            vec![message("account.expired", data)]
        }
        TokenEvent::Renewed { expires_at, .. } => {
            let data = json!({"account_id": account, "expires_at": expires_at, "position": position});
            vec![message("token.renewed", data)]
        }
        TokenEvent::Refreshed { generation, grant } => {
            let data = json!({
                "account_id": account, "generation": generation, "expires_at": grant.expires_at,
                "data_access_expires_at": grant.data_access.map(|end| end.ends_at), "position": position,
            });
            let mut all = vec![message("token.refreshed", data.clone())];
            if app.store().type_before(recorded).await?.as_deref() == Some("Expired") {
                all.push(message("account.recovered", data));
            }
            all
        }
        TokenEvent::Issued { .. } | TokenEvent::RefreshDeclined { .. } | TokenEvent::Revoked { .. } => Vec::new(),
    })
}
