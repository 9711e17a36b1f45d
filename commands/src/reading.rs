//! Whether the posts of an account can be read with the token of a login.

use domain::Verdict;
use tokio::time::{Instant, timeout_at};

use crate::{
    App, Commands, Error,
    judge::{judge_and_pause, retry_passing},
    login::Login,
};

/// Whether the posts are read with the new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Reads,
    /// An error that passes, a limit, no answer in time.
    Later,
    Refused,
    /// The app may not read this account.
    NoAccess,
    /// Meta refuses the app itself.
    AppRefused,
}

impl Commands {
    /// Reads a post with a login's token. Errors that pass are met with one or two more tries.
    pub(crate) async fn read_with(&self, login: &Login, instagram_id: &str, ends: Instant) -> Result<Reading, Error> {
        let (connection, token) = (login.facts.connection, &login.token);
        let (app, budget) = (self.app(connection)?, self.budget(connection).ok_or(Error::NotOffered)?);
        if budget.wait(Some(instagram_id), true).is_some() {
            return Ok(Reading::Later);
        }
        let read = retry_passing(|| async {
            match app {
                App::Consumer(consumer) => consumer.media(token, instagram_id, 1).await,
                App::Business(business) => business.media(token, instagram_id, 1).await,
            }
        });
        let error = match timeout_at(ends, read).await {
            Ok(Ok(_)) => return Ok(Reading::Reads),
            Ok(Err(error)) => error,
            Err(_) => return Ok(Reading::Later),
        };
        // Such a limit belongs to the person who logs in, not to the account.
        let row = judge_and_pause(budget, None, &error);
        if row.verdict == Verdict::AppRefused {
            tracing::error!(event = "app.misconfigured", %error, row = row.name, "Meta refuses the app at a login");
        } else {
            tracing::info!(%error, row = row.name, "the posts could not be read with the token of a login");
        }
        Ok(match row.verdict {
            Verdict::AppRefused => Reading::AppRefused,
            Verdict::AppOrAccount(_) => Reading::NoAccess,
            verdict if verdict.is_refusal() => Reading::Refused,
            _ => Reading::Later,
        })
    }
}
