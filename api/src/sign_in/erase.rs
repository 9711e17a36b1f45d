//! Erasing a person who signs in: rights, sessions, invitations and mails go, then the person's row. The journal keeps ids.

use commands::{Commands, Context, Error};
use domain::{AccountId, Authority};
use engine::sql;

use super::{Role, User, Users};
use crate::{app::App, error};

/// What belongs to a member, and the condition of its rows.
const ROWS: &[(&str, &str)] = &[
    ("browser_sessions", "user_id = $1"),
    ("invitations", "email = $2 OR invited_by = $1"),
    ("notices", "user_id = $1"),
    ("mails", "user_id = $1"),
    ("users", "id = $1"),
];

/// The tables that this deletes from: what is left of it in a server's files goes with `relight erase --scrub`.
pub fn tables() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(table, _)| *table)
}

/// Erases the person who signs in with an address.
///
/// # Errors
/// [`error::Error::Rule`] when there is no such person, or it is the only admin; as [`member`].
pub async fn by_address(app: &App, address: &str, context: &Context) -> Result<(), error::Error> {
    let users = Users::new(app.database().clone());
    let rule = |text: &str| error::Error::Rule(text.to_owned());
    let user = users.by_email(address).await?.ok_or_else(|| rule("There is no user with this address."))?;
    if user.role == Role::Admin && users.admins().await?.len() == 1 {
        return Err(rule("This is the only admin. Make another person an admin first."));
    }
    Ok(member(&app.commands, &user, context).await?)
}

/// Erases a member. Accounts stay with those who also see them.
///
/// # Errors
/// When the store fails, or the member is the only owner of an account that others develop: one of them must become an owner first.
pub async fn member(commands: &Commands, user: &User, context: &Context) -> Result<(), Error> {
    let (database, id) = (commands.store.database(), user.id.to_string());
    let accounts: Vec<String> = sql("SELECT account_id FROM account_rights_v1 WHERE user_id = $1 ORDER BY account_id")
        .bind(id.as_str())
        .scalars(database)
        .await?;
    for account in accounts {
        let account: AccountId = account.parse().map_err(|_| Error::Missing("account"))?;
        commands.revoke_access(account, user.id, Authority::Staff, context).await?;
    }
    let mut tx = database.begin().await?;
    for (table, its) in ROWS {
        let delete = sql(format!("DELETE FROM {table} WHERE {its}")).bind(id.as_str());
        let delete = if its.contains("$2") { delete.bind(user.email.as_str()) } else { delete };
        delete.execute(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(database.scrub(&[]).await?)
}
