//! Whether Meta takes an app's id and secret, for `relight doctor`.

use domain::failure::{ExchangeFailure, exchange_failure};
use meta::{Business, Consumer, MetaError};

use crate::judge::facts;

/// Asks about an app with Instagram Login: what is wrong, in Meta's words. `None`: Meta could not say.
pub async fn consumer(consumer: &Consumer, redirect_uri: &str) -> Option<Result<(), String>> {
    match consumer.check_app(redirect_uri).await {
        Ok(()) => Some(Ok(())),
        // That the code is wrong says that the app is right.
        Err(error) => said(&error, Ok(())),
    }
}

/// Asks about an app with Facebook Login: what is wrong, in Meta's words. `None`: Meta could not say.
pub async fn business(business: &Business) -> Option<Result<(), String>> {
    match business.check_app().await {
        Ok(()) => Some(Ok(())),
        Err(error) => said(&error, Err(error.to_string())),
    }
}

fn said(error: &MetaError, otherwise: Result<(), String>) -> Option<Result<(), String>> {
    match exchange_failure(&facts(error)) {
        ExchangeFailure::Meta => None,
        ExchangeFailure::App => Some(Err(error.to_string())),
        ExchangeFailure::Code | ExchangeFailure::ActivityOff | ExchangeFailure::NoAccess => Some(otherwise),
    }
}
