//! What the client of Meta's APIs reports, judged by the domain.

use std::time::Duration;

use domain::{
    AccountId, Connection, Verdict,
    failure::{Answer, Row, judge},
};
use meta::{Budget, MetaError};

use crate::{Commands, Error, profiles};

/// Pauses before each retry of a temporary error, while a person waits for the answer.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(750)];

/// The row of the domain's table by which an error is judged.
pub(crate) fn judged(error: &MetaError) -> &'static Row {
    judge(&facts(error))
}

/// What an error means.
pub(crate) fn verdict(error: &MetaError) -> Verdict {
    judged(error).verdict
}

pub(crate) fn facts(error: &MetaError) -> Answer<'_> {
    let answer = error.answer();
    // Meta calls it invalid and gives no error: as an error that gives no reason.
    let code = if *error == MetaError::Invalid { Some(190) } else { answer.and_then(|answer| answer.code) };
    Answer {
        status: error.status(),
        code,
        subcode: answer.and_then(|answer| answer.subcode),
        transient: answer.is_some_and(|answer| answer.transient),
        by_app: answer.is_some_and(|answer| answer.by_app),
        message: answer.map_or("", |answer| answer.message()),
    }
}

/// Judges an error, and pauses what Meta limits: the app's calls, or those about an account, by its id at Instagram.
pub(crate) fn judge_and_pause(budget: &Budget, instagram_id: Option<&str>, error: &MetaError) -> &'static Row {
    let row = judged(error);
    match (row.verdict, instagram_id) {
        (Verdict::AppThrottled, _) => budget.pause(),
        (Verdict::AccountThrottled | Verdict::UseCaseThrottled, Some(account)) => budget.pause_account(account),
        _ => {}
    }
    row
}

/// Calls Meta, with up to two retries of an error that passes.
pub(crate) async fn retry_passing<T, F>(ask: impl Fn() -> F) -> Result<T, MetaError>
where
    F: Future<Output = Result<T, MetaError>>,
{
    for pause in PAUSES {
        match ask().await {
            Err(error) if verdict(&error) == Verdict::Passing => tokio::time::sleep(pause).await,
            done => return done,
        }
    }
    ask().await
}

impl Commands {
    /// Judges what a call for an account met, and pauses what Meta limits.
    pub(crate) async fn judge_and_pause(
        &self,
        account: AccountId,
        connection: Connection,
        error: &MetaError,
    ) -> Result<&'static Row, Error> {
        let row = judged(error);
        if let (true, Some(budget)) = (row.verdict.is_limit(), self.budget(connection)) {
            let profile = profiles::of(self.store.database(), account).await?;
            judge_and_pause(budget, profile.as_ref().map(|profile| profile.instagram_id.as_str()), error);
        }
        Ok(row)
    }
}
