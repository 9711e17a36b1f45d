//! JSON bodies, read with errors that are JSON too.

use axum::{
    Json,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    error::{Error, JsonError},
};

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = JsonError;

    async fn from_request(request: Request, app: &App) -> Result<Self, JsonError> {
        match Json::<T>::from_request(request, app).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) if rejection.status() == 413 => Err(Error::TooLarge.into()),
            Err(rejection) => Err(Error::Bad(rejection.body_text()).into()),
        }
    }
}
