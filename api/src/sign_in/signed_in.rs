//! Who is signed in, as handlers ask for it.

use axum::{extract::FromRequestParts, http::request::Parts};
use axum_login::AuthSession;
use commands::Context;
use domain::Actor;

use super::{User, Users};
use crate::{app::App, error::Error, request::RequestId};

/// The signed-in user; a request without one is sent to the sign-in page.
pub struct SignedIn(pub User);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        current(parts).map(Self).ok_or(Error::SignIn)
    }
}

/// The signed-in user of a request that changes something, with the metadata of the events that it leads to.
pub struct Acting {
    /// The user.
    pub user: User,
    /// The metadata.
    pub context: Context,
}

impl FromRequestParts<App> for Acting {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        let user = current(parts).ok_or(Error::SignIn)?;
        let context = RequestId::of(&parts.extensions).context(Actor::User(user.id));
        Ok(Self { user, context })
    }
}

/// The signed-in user, if the request has one.
pub struct MaybeSignedIn(pub Option<User>);

impl FromRequestParts<App> for MaybeSignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        Ok(Self(current(parts)))
    }
}

fn current(parts: &Parts) -> Option<User> {
    parts.extensions.get::<AuthSession<Users>>().and_then(|session| session.user.clone())
}
