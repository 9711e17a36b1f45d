//! Deauthorization: Meta says that a person removed the app. Every account whose current generation that person granted before
//! then can't be read any more, and is marked so at once.

use chrono::{DateTime, Utc};
use domain::{
    Account, AccountCommand, AccountId, Connection, Evidence, Reason, Token, TokenCommand, account::Standing,
    failure::Call,
};
use engine::{Database, Decision, StoreError, Unit, sql};

use crate::{App, Commands, Context, Error};

impl Commands {
    /// Takes in a deauthorize callback; says how many accounts it was about. Repeats, and requests older than the accounts'
    /// logins, change nothing.
    ///
    /// # Errors
    /// [`Error::BadSignature`] if Meta didn't sign it; when the store fails, and then Meta may send it again.
    pub async fn deauthorize(
        &self,
        connection: Connection,
        signed_request: &str,
        context: &Context,
    ) -> Result<usize, Error> {
        let signed = match self.app(connection)? {
            App::Consumer(consumer) => consumer.verify(signed_request),
            App::Business(business) => business.verify(signed_request),
        };
        let signed = signed.ok_or(Error::BadSignature)?;
        let ids = of_person(self.store.database(), connection, &signed.user_id).await?;
        // One unreadable account must not stop the others; after an error Meta may repeat the callback.
        let mut failed = None;
        for account in ids.iter().copied() {
            let removed = Deauthorize { account, connection, issued_at: signed.issued_at };
            if let Err(error) = self.store.run::<Deauthorize>(&self.metadata(context), &removed).await {
                tracing::error!(%account, %error, "a deauthorization could not be recorded for an account");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(ids.len()), Err)
    }
}

/// The accounts of a person, by any id by which Meta may name them: the app's own id of who granted, and for Instagram's login
/// also the account's. Within the app whose secret signed.
pub(crate) async fn of_person(
    database: &Database,
    connection: Connection,
    user_id: &str,
) -> Result<Vec<AccountId>, StoreError> {
    let also = if connection == Connection::Consumer { " OR instagram_id = $1" } else { "" };
    let ids: Vec<String> =
        sql(format!("SELECT account_id FROM profiles WHERE grantor_id = $1{also} ORDER BY account_id"))
            .bind(user_id)
            .scalars(database)
            .await?;
    let parse =
        |id: &String| id.parse().map_err(|_| StoreError::Unreadable("a profile without an account's id".to_owned()));
    ids.iter().map(parse).collect()
}

struct Deauthorize {
    account: AccountId,
    connection: Connection,
    issued_at: DateTime<Utc>,
}

impl Decision for Deauthorize {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let Self { account, connection, issued_at } = *self;
        let at = unit.metadata().at;
        let uses = unit.load::<Account>(account).await?.standing();
        // Also an expired one, which might have come back.
        let token = unit.load::<Token>(account).await?.current().copied();
        let Some(token) = token.filter(|token| token.granted_at < issued_at) else { return Ok(()) };
        if uses != Standing::Connected(connection) {
            return Ok(());
        }
        unit.execute::<Account>(account, AccountCommand::RecordDeauthorization { issued_at }).await?;
        let evidence = Evidence::of(Call::Deauthorization, at);
        let report = TokenCommand::ReportFailure { token: token.id, reason: Reason::AppRemoved, evidence };
        Ok(unit.execute::<Token>(account, report).await?)
    }
}
