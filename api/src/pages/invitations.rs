//! Giving access to an account: by an invitation that the other person accepts.

use axum::{
    extract::{Path, State},
    response::Response,
};
use axum_login::AuthnBackend;
use domain::Right;
use projections::accounts::{self, Account, Viewer};
use serde::Deserialize;
use tower_sessions::Session;

use super::{account_actions::acted_on, see_other};
use crate::{
    app::App,
    error::Error,
    sign_in::{
        Nothing, Posted, User, Users, flash,
        invitations::{Invitation, Invitations},
        signed_in::{Acting, SignedIn},
        user::normal_email,
    },
};

/// An invitation as the invited person's list of accounts shows it.
pub(super) struct Offer {
    pub(super) id: String,
    pub(super) username: String,
    pub(super) right: &'static str,
}

fn invitations(app: &App) -> Invitations {
    Invitations::new(app.database().clone())
}

/// What a right is called.
pub(super) const fn right_words(right: Right) -> &'static str {
    match right {
        Right::Owner => "Owner",
        Right::Developer => "Developer",
    }
}

/// The invitations to a person.
pub(super) async fn offers(app: &App, user: &User) -> Result<Vec<Offer>, Error> {
    let mut offers = Vec::new();
    for invitation in invitations(app).to(&user.email, app.commands.clock.now()).await? {
        let account = accounts::account_for(app.database(), invitation.account()?, Viewer::Staff).await?;
        let Some(Account { username, .. }) = account else { continue };
        offers.push(Offer { id: invitation.id.clone(), username, right: right_words(invitation.right()?) });
    }
    Ok(offers)
}

/// The address and the right that are offered.
#[derive(Debug, Deserialize)]
pub struct GrantForm {
    email: String,
    right: String,
}

/// `POST /accounts/{id}/access`: changes the right of somebody who has one; invites anybody else.
pub async fn grant(
    State(app): State<App>,
    Acting { user, context }: Acting,
    session: Session,
    Path(id): Path<String>,
    Posted(form): Posted<GrantForm>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    let page = format!("/accounts/{id}");
    let people = format!("{page}#people");
    let right: Right = form.right.parse().map_err(|_| Error::Bad("The right is owner or developer.".to_owned()))?;
    let by = user.role.authority(user.id);
    // Rights first: nobody else learns anything.
    app.commands.may_share(account, by).await?;
    let email = normal_email(&form.email);
    let email = email.ok_or_else(|| Error::Bad("That is not an e-mail address.".to_owned()).at("email", &page))?;
    let users = Users::new(app.database().clone());
    for (other, _) in app.commands.rights(account).await? {
        if users.email(other).await?.is_some_and(|known| known == email) {
            let granted = app.commands.grant_access(account, other, right, by, &context).await;
            let committed = granted.map_err(|error| match Error::from(error) {
                rule @ Error::Rule(_) => rule.at("email", &page),
                other => other,
            })?;
            app.until_shown(committed).await;
            flash::say(&session, &format!("{email} is {} now.", right_words(right).to_lowercase())).await?;
            return Ok(see_other(&people));
        }
    }
    let offered = invitations(&app).offer(account, &email, right, user.id, app.commands.clock.now()).await;
    offered.map_err(|error| error.at("email", &page))?;
    let said = format!(
        "{email} is invited. No mail is sent: tell them to sign in here with this address. The invitation waits on their list of accounts for a week."
    );
    flash::say(&session, &said).await?;
    Ok(see_other(&people))
}

/// `POST /accounts/{id}/invitations/{invitation}/withdraw`.
pub async fn withdraw(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    session: Session,
    Path((id, invitation)): Path<(String, String)>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    let account = acted_on(&app, &user, &id).await?;
    app.commands.may_share(account, user.role.authority(user.id)).await?;
    let waiting = invitations(&app).of_account(account, app.commands.clock.now()).await?;
    if !waiting.iter().any(|waiting| waiting.id == invitation) {
        return Err(Error::Missing);
    }
    if !invitations(&app).remove(&invitation).await? {
        // It was accepted or declined at the same time.
        return Err(Error::Missing);
    }
    flash::say(&session, "The invitation was withdrawn.").await?;
    Ok(see_other(&format!("/accounts/{id}#people")))
}

/// The invitation of this id to this person.
async fn mine(app: &App, user: &User, id: &str) -> Result<Invitation, Error> {
    invitations(app).of(id, &user.email, app.commands.clock.now()).await?.ok_or(Error::Missing)
}

/// `POST /invitations/{id}/accept`. Whether the inviter may still give the right is decided now.
pub async fn accept(
    State(app): State<App>,
    Acting { user, context }: Acting,
    Path(id): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    let invitation = mine(&app, &user, &id).await?;
    let (account, right) = (invitation.account()?, invitation.right()?);
    let users = Users::new(app.database().clone());
    let inviter = users.get_user(&invitation.inviter()?.to_string()).await?.ok_or(Error::Missing)?;
    // It is taken before the right is given: one that is withdrawn at the same time gives none.
    if !invitations(&app).remove(&id).await? {
        return Err(Error::Missing);
    }
    let rights = app.commands.rights(account).await?;
    let has_it = rights.iter().any(|(other, held)| *other == user.id && *held >= right);
    if !has_it {
        let by = inviter.role.authority(inviter.id);
        let granted = app.commands.grant_access(account, user.id, right, by, &context).await;
        let committed = match granted.map_err(Error::from) {
            Ok(committed) => committed,
            Err(Error::Forbidden(_) | Error::Missing) => {
                let text = "The person who invited you can't give access to this account any more.";
                return Err(Error::Rule(text.to_owned()));
            }
            // It passes: the invitation can be accepted later.
            Err(error) => {
                invitations(&app).restore(&invitation).await?;
                return Err(error);
            }
        };
        app.until_shown(committed).await;
    }
    Ok(see_other(&format!("/accounts/{account}")))
}

/// `POST /invitations/{id}/decline`.
pub async fn decline(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Error> {
    let invitation = mine(&app, &user, &id).await?;
    if !invitations(&app).remove(&invitation.id).await? {
        return Err(Error::Missing);
    }
    Ok(see_other("/accounts"))
}
