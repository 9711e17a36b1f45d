//! What stands after the `?`, refused in words when it can't be read.

use axum::{
    extract::{FromRequestParts, Query as Axum},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    error::{Error, JsonError},
};

fn read<T: DeserializeOwned>(parts: &Parts) -> Result<T, Error> {
    let Axum(query) = Axum::try_from_uri(&parts.uri).map_err(|error| Error::Bad(error.body_text()))?;
    Ok(query)
}

/// A page's query.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        read(parts).map(Self)
    }
}

/// The API's query: what is wrong is said in JSON.
pub struct JsonQuery<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for JsonQuery<T> {
    type Rejection = JsonError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, JsonError> {
        Ok(Self(read(parts)?))
    }
}
