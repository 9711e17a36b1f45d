//! Whether the posts of an account can be read with the token of a login.

use std::time::Duration;

use domain::Verdict;
use tokio::time::{Instant, timeout_at};

use crate::{
    App, Commands, Error,
    login::{Login, verdict},
};

/// Whether the posts are read with the new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Reads,
    /// An error that passes, a limit, no answer in time.
    Later,
    Refused,
}

impl Commands {
    /// Reads a post with a login's token. Errors that pass are met with one or two more tries.
    pub(crate) async fn read_with(&self, login: &Login, instagram_id: &str, ends: Instant) -> Result<Reading, Error> {
        let (connection, token) = (login.facts.connection, &login.token);
        let budget = self.budget(connection).ok_or(Error::NotOffered)?;
        let mut pause = Duration::from_millis(250);
        loop {
            if budget.wait(Some(instagram_id), true).is_some() {
                return Ok(Reading::Later);
            }
            let asked = match self.app(connection)? {
                App::Consumer(consumer) => timeout_at(ends, consumer.media(token, instagram_id, 1)).await,
                App::Business(business) => timeout_at(ends, business.media(token, instagram_id, 1)).await,
            };
            let error = match asked {
                Ok(Ok(_)) => return Ok(Reading::Reads),
                Ok(Err(error)) => error,
                Err(_) => return Ok(Reading::Later),
            };
            let verdict = verdict(&error);
            if verdict == Verdict::Passing && pause < Duration::from_secs(2) {
                tokio::time::sleep(pause).await;
                pause *= 3;
                continue;
            }
            tracing::info!(%error, ?verdict, "the posts could not be read with the token of a login");
            if verdict == Verdict::AppThrottled {
                budget.pause();
            }
            return Ok(match verdict {
                Verdict::Expired(_) | Verdict::Unclear(_) | Verdict::BadRequest | Verdict::AppOrAccount(_) => {
                    Reading::Refused
                }
                _ => Reading::Later,
            });
        }
    }
}
