//! Report a failure: what a call met, judged by the domain, becomes an event if the token can't be used any more.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, AccountCommand, AccountError, AccountId, Connection, Evidence, Reason, Token, TokenCommand, TokenId,
    Verdict,
    failure::{APP_TOKEN_REFUSED, Call, Row},
};
use engine::{Decision, Unit};
use meta::{MetaError, TokenFacts};

use crate::{
    Commands, Context, Error,
    hold::{self, Suspicion},
    vault::Opened,
};

/// What a failed call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// For the token, the account and the app.
    pub verdict: Verdict,
    /// For how long Meta shuts the account or its business out, if it says so.
    pub shut_out: Option<TimeDelta>,
    /// The name of the row of the domain's table by which it was judged.
    pub row: &'static str,
    /// What Meta said, without what names anybody or gives access.
    pub words: String,
}

impl Commands {
    /// Judges what a call with a token of a connection met. Where that is explicit, the token expires at once; where it isn't
    /// clear, it is held; the verdict says what else the caller should do.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn report_failure(
        &self,
        account: AccountId,
        connection: Connection,
        opened: &Opened,
        call: Call,
        error: &MetaError,
        context: &Context,
    ) -> Result<Failed, Error> {
        let row = self.judge_and_pause(account, connection, error).await?;
        let verdict = row.verdict.met_by(call);
        let suspected = match verdict {
            Verdict::AppRefused if row.name == APP_TOKEN_REFUSED => None,
            // Whatever it is, after a day somebody must do something.
            Verdict::Alarm | Verdict::AppRefused => Some(Suspicion::token(Reason::Unknown).for_a_day()),
            Verdict::AppOrAccount(reason) => Some(Suspicion::token(reason)),
            verdict => verdict.against_the_token().map(Suspicion::token),
        };
        if let Some(suspected) = suspected {
            let permission = match suspected.reason {
                Reason::PermissionMissing => self.missing(connection, opened, error).await,
                _ => None,
            };
            let evidence = Evidence {
                permission,
                for_good: !row.may_return,
                certainty: row.certainty,
                ..evidence(error, row, call, self.clock.now())
            };
            if let Verdict::Expired(_) = verdict {
                let report = Report { account, token: opened.id, reason: suspected.reason, evidence };
                self.store.run(&self.metadata(context), &report).await?;
            } else {
                self.hold((account, connection), opened.id, suspected, &evidence).await?;
            }
        }
        let shut_out = error.answer().and_then(|answer| answer.shut_out);
        Ok(Failed { verdict, shut_out, row: row.name, words: error.to_string() })
    }

    /// Meta says that the token works, but not with a permission that is needed. That may be the app's matter too: held.
    pub(crate) async fn lacks(
        &self,
        account: AccountId,
        connection: Connection,
        token: TokenId,
        permission: String,
    ) -> Result<Failed, Error> {
        let (reason, at) = (Reason::PermissionMissing, self.clock.now());
        let words = format!("the token lacks the permission {permission}");
        let evidence = Evidence { permission: Some(permission), ..Evidence::of(Call::Check, at) };
        self.hold((account, connection), token, Suspicion::token(reason), &evidence).await?;
        Ok(Failed { verdict: Verdict::Unclear(reason), shut_out: None, row: "permission_missing", words })
    }

    /// Which permission is missing, as far as Meta names it: in the error, or among what the token has.
    async fn missing(&self, connection: Connection, opened: &Opened, error: &MetaError) -> Option<String> {
        let said = error.answer().map_or("", |answer| answer.message());
        if let Some(name) = connection.permissions().iter().find(|name| said.contains(**name)) {
            return Some((*name).to_owned());
        }
        match (connection, &self.business) {
            (Connection::Business, Some(business)) => lacking(&business.debug(&opened.token).await.ok()?),
            // Nothing tells what a token of Instagram's has.
            (Connection::Consumer, _) | (Connection::Business, None) => None,
        }
    }
}

/// Evidence of an error that a call met, judged by a row of the table.
pub(crate) fn evidence(error: &MetaError, row: &Row, call: Call, at: DateTime<Utc>) -> Evidence {
    let answer = error.answer();
    Evidence {
        code: answer.and_then(|answer| answer.code),
        subcode: answer.and_then(|answer| answer.subcode),
        trace: answer.and_then(|answer| answer.trace.clone()),
        row: Some(row.name.to_owned()),
        ..Evidence::of(call, at)
    }
}

/// The first permission that a business connection needs and the token hasn't got.
pub(crate) fn lacking(facts: &TokenFacts) -> Option<String> {
    let needed = Connection::Business.permissions().iter();
    needed.map(|name| (*name).to_owned()).find(|name| !facts.scopes.contains(name))
}

/// What is said against a token, for sure.
pub(crate) struct Report {
    pub(crate) account: AccountId,
    pub(crate) token: TokenId,
    pub(crate) reason: Reason,
    pub(crate) evidence: Evidence,
}

impl Decision for Report {
    type Output = ();
    type Error = Error;

    async fn decide(&self, unit: &mut Unit) -> Result<(), Error> {
        let Self { account, token, reason, evidence } = self;
        // Only the current token counts, also for what is said about the account.
        let current = unit.load::<Token>(*account).await?.current().is_some_and(|current| current.id == *token);
        if current && *reason == Reason::PasswordChanged {
            let command = AccountCommand::RecordPasswordChange { token: *token, evidence: evidence.clone() };
            match unit.execute::<Account>(*account, command).await.map_err(Error::from) {
                Ok(()) | Err(Error::Account(AccountError::Missing)) => {}
                Err(error) => return Err(error),
            }
        }
        unit.write(hold::nothing_against(*account, *token));
        let command = TokenCommand::ReportFailure { token: *token, reason: *reason, evidence: evidence.clone() };
        Ok(unit.execute::<Token>(*account, command).await?)
    }
}
