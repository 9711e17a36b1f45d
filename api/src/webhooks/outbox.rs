//! What endpoints are told: from the journal, each event once, in its order; and reminders, which are no events.

use chrono::{DateTime, Utc};
use commands::Clock;
use domain::{AccountId, TokenEvent};
use engine::{Decoded, Entry, EventSet, Head, Reaction, StoreError, Tx, jobs, sql};
use serde_json::json;
use store::Event;
use uuid::Uuid;

use super::deliver::{DELIVERY, queue};

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
        at: DateTime<Utc>,
        data: &serde_json::Value,
    ) -> Self {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{kind}:{account}:{position}:{key}").as_bytes());
        let body = json!({"type": kind, "timestamp": at, "data": data}).to_string();
        Self { id: format!("msg_{}", id.simple()), kind, account: account.to_owned(), body, position }
    }

    /// That an account's data access ends soon.
    pub fn expiring(account: AccountId, cause: i64, days: u32, at: DateTime<Utc>) -> Self {
        let account = account.to_string();
        let data = json!({"account_id": account, "days_left": days, "needs_person": true});
        Self::new("account.expiring", &account, cause, &days.to_string(), at, &data)
    }
}

/// Tells the endpoints what the journal says.
#[derive(Debug)]
pub struct WebHooks {
    clock: Clock,
}

impl WebHooks {
    /// With the clock by which deliveries are due.
    pub const fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

/// The events that endpoints may be told of.
#[derive(Debug, Clone)]
pub struct OfToken(TokenEvent);

impl EventSet for OfToken {
    fn decode(head: &Head<'_>, json: &str) -> Decoded<Self> {
        if head.aggregate != "token" {
            return Decoded::NotMine;
        }
        match Event::decode(head, json) {
            Decoded::Event(Event::Token(event)) => Decoded::Event(Self(event)),
            Decoded::Event(Event::Account(_)) | Decoded::NotMine => Decoded::NotMine,
            Decoded::Newer => Decoded::Newer,
            Decoded::Broken(why) => Decoded::Broken(why),
        }
    }
}

impl Reaction for WebHooks {
    const NAME: &'static str = "web_hooks";
    type Event = OfToken;

    async fn react(&self, tx: &mut Tx, entries: &[Entry<OfToken>]) -> Result<(), StoreError> {
        let (endpoints, now) = (endpoints(tx).await?, self.clock.now());
        if endpoints.is_empty() {
            return Ok(());
        }
        for entry in entries {
            for message in messages(tx, entry).await? {
                enqueue(tx, &endpoints, &message, now).await?;
            }
        }
        Ok(())
    }
}

/// An endpoint that is told.
pub struct Told {
    id: String,
    /// Events up to this position were before its time.
    since: i64,
}

/// The endpoints that are told; nobody removes one of them before the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn endpoints(tx: &mut Tx) -> Result<Vec<Told>, StoreError> {
    let kept = tx.dialect().kept();
    let rows: Vec<(String, i64)> =
        sql(format!("SELECT id, since FROM webhook_endpoints WHERE disabled_at IS NULL ORDER BY id{kept}"))
            .fetch_all(tx)
            .await?;
    Ok(rows.into_iter().map(|(id, since)| Told { id, since }).collect())
}

/// Puts a message into the outbox of each endpoint.
///
/// # Errors
/// When the database fails.
pub async fn enqueue(tx: &mut Tx, endpoints: &[Told], message: &Message, now: DateTime<Utc>) -> Result<(), StoreError> {
    // A reminder's cause is the login of long ago.
    let always = message.kind == "account.expiring";
    for Told { id: endpoint, .. } in endpoints.iter().filter(|endpoint| always || endpoint.since < message.position) {
        let id = commands::new_id().to_string();
        let added = sql(
            "INSERT INTO webhook_deliveries (id, endpoint_id, message_id, type, account_id, body, created_at, due_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (endpoint_id, message_id) DO NOTHING",
        )
        .bind(&id)
        .bind(endpoint)
        .bind(&message.id)
        .bind(message.kind)
        .bind(&message.account)
        .bind(&message.body)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if added > 0 {
            jobs::add(&queue(endpoint), DELIVERY, &id, now).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

/// What an event means for the widget service.
async fn messages(tx: &mut Tx, entry: &Entry<OfToken>) -> Result<Vec<Message>, StoreError> {
    let Entry { position, aggregate_id: account, at, event: OfToken(event) } = entry;
    let message = |kind, data: serde_json::Value| Message::new(kind, account, *position, "", *at, &data);
    Ok(match event {
        TokenEvent::Expired { reason, .. } => {
            let data = json!({"account_id": account, "reason": reason, "needs_person": true, "position": position});
            vec![message("account.expired", data)]
        }
        TokenEvent::Renewed { expires_at, .. } | TokenEvent::DeadlinesMoved { expires_at, .. } => {
            let data = json!({"account_id": account, "expires_at": expires_at, "position": position});
            vec![message("token.renewed", data)]
        }
        TokenEvent::Refreshed { generation, grant } => {
            let data = json!({
                "account_id": account, "generation": generation, "expires_at": grant.expires_at,
                "data_access_expires_at": grant.data_access.map(|end| end.ends_at), "position": position,
            });
            let mut all = vec![message("token.refreshed", data.clone())];
            if engine::type_before(tx, ("token", account), *position).await?.as_deref() == Some("Expired") {
                all.push(message("account.recovered", data));
            }
            all
        }
        TokenEvent::Restored { expires_at, data_access, .. } => {
            let data = json!({
                "account_id": account, "expires_at": expires_at,
                "data_access_expires_at": data_access.map(|end| end.ends_at), "position": position,
            });
            vec![message("account.recovered", data)]
        }
        TokenEvent::ReadingRefused { .. } => {
            vec![message("account.reading_refused", json!({"account_id": account, "position": position}))]
        }
        TokenEvent::ReadingResumed { .. } => {
            vec![message("account.reading_resumed", json!({"account_id": account, "position": position}))]
        }
        // Reminders tell it: `account.expiring`.
        TokenEvent::RenewalFailing { .. }
        | TokenEvent::DataAccessMoved { .. }
        | TokenEvent::Issued { .. }
        | TokenEvent::RefreshDeclined { .. }
        | TokenEvent::Revoked { .. } => Vec::new(),
    })
}
