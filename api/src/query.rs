//! What stands after the `?`, refused in words when it can't be read.

use axum::{
    extract::{FromRequestParts, Query as Axum},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::{app::App, error::Error};

fn read<T: DeserializeOwned>(parts: &Parts) -> Result<T, Error> {
    let Axum(query) = Axum::try_from_uri(&parts.uri).map_err(|error| Error::Bad(error.body_text()))?;
    Ok(query)
}

/// The query of a request.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        read(parts).map(Self)
    }
}
