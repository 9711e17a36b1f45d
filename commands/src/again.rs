//! Try again: a login whose accounts Meta could not be asked about to the end is carried out once more, without another
//! trip to the login. Its grant waits sealed, as long as one that waits for a choice.

use domain::Authority;

use crate::{
    Commands, Context, Error,
    attempt::{Attempt, Phase, Purpose},
    proof::Trip,
};

impl Commands {
    /// Carries out a login that waits. The caller should let this run in a task of its own.
    ///
    /// # Errors
    /// [`Error::Missing`] when none waits, or there is a choice to be made first.
    pub async fn try_again(
        &self,
        attempt: &Attempt,
        by: Option<Authority>,
        request: Option<String>,
    ) -> Result<(), Error> {
        if !matches!(attempt.phase, Phase::Waiting(_)) {
            return Err(Error::Missing("login that waits"));
        }
        let login = self.waiting_grant(attempt).await?.ok_or(Error::Missing("login that waits"))?;
        if attempt.purpose == Purpose::Connect && login.facts.reached.len() > 1 {
            return Err(Error::Missing("choice"));
        }
        if !self.ask_again(attempt).await? {
            // Another request is asking, or the attempt is over: its page shows which.
            return Ok(());
        }
        let context = Context::of_attempt(attempt, request);
        self.carry_out(&Trip { attempt, login: &login, by, context: &context }).await
    }
}
