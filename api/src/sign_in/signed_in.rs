//! Who is signed in, as handlers ask for it.

use axum::{extract::FromRequestParts, http::request::Parts};
use axum_login::AuthSession;
use commands::Context;
use domain::Actor;

use super::{User, Users};
use crate::{app::App, error::Error, request::RequestId};

/// Somebody who is signed in; without them the browser is sent to sign in.
pub struct SignedIn(pub User);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        current(parts).map(Self).ok_or(Error::SignIn)
    }
}

/// Somebody signed in who asks for something to be done, and in whose name it is done.
pub struct Acting {
    /// Who.
    pub user: User,
    /// For the events that it leads to.
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

/// Somebody who may be signed in.
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
