//! The OAuth callback: from what Meta's redirect brings to the end of the attempt.
//!
//! Nothing in here signs anybody in. What the person is told is the attempt's [`Outcome`]; a callback that belongs to no
//! attempt of this browser is refused without a trace.

use domain::{AccountId, Actor, Authority, Connection, UserId};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Commands, Context, Error, Outcome,
    attempt::{Attempt, LIFETIME, Phase, Purpose},
    log_in::FailedLogin,
    profiles,
    proof::Trip,
};

/// What the redirect brings.
#[derive(Debug)]
pub struct Callback<'a> {
    /// The login of the path.
    pub connection: Connection,
    /// `state`.
    pub state: &'a str,
    /// How the person ended it.
    pub end: End,
    /// The value of the browser's own cookie, if it sent one.
    pub browser: Option<&'a str>,
    /// Who is signed in.
    pub user: Option<UserId>,
    /// In whose power they act.
    pub by: Option<Authority>,
    /// The HTTP request's id.
    pub request: Option<String>,
}

/// How the person, or Meta, ended the login.
#[derive(Debug)]
pub enum End {
    /// It was granted: the code to exchange.
    Granted(SecretString),
    /// The person cancelled.
    Cancelled,
    /// Meta ended it with an error.
    Failed(Failure),
}

/// Why Meta ended a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Facebook's login is not available: the code of its error.
    Unavailable(i64),
    /// Meta could not answer: `server_error` or `temporarily_unavailable` of RFC 6749.
    Server,
    /// It refuses what the app asked for: `invalid_scope`, `invalid_request`, `unauthorized_client` or
    /// `unsupported_response_type`.
    App,
    /// It doesn't say.
    Unknown,
}

/// Where the browser is sent afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To the attempt's result page, or to its choice of accounts.
    Attempt {
        /// The attempt's reference.
        reference: String,
        /// Other accounts of the same person: who ticks fewer Pages takes them away, so Meta is to be asked about them.
        to_check: Vec<AccountId>,
    },
    /// Nowhere: nothing was changed.
    Refused(Refusal),
}

/// Why a callback was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody set out with this `state`.
    UnknownState,
    /// It came too late.
    Expired,
    /// Another browser set out with it.
    OtherBrowser,
    /// Who set out is no longer signed in.
    SignedOut,
}

impl Refusal {
    /// The code that people see and support knows.
    pub const fn code(self) -> u16 {
        match self {
            Self::UnknownState => 1061,
            Self::Expired => 1063,
            Self::OtherBrowser => 1064,
            Self::SignedOut => 1065,
        }
    }
}

impl Commands {
    /// Works on a callback to its end. The caller should let this run in a task of its own: a browser that goes away must
    /// not stop it.
    ///
    /// # Errors
    /// When the store fails; the attempt then counts as interrupted. If its grant was kept by then, that waits to be tried
    /// again.
    pub async fn callback(&self, callback: Callback<'_>) -> Result<Answer, Error> {
        let Some(attempt) = self.attempt_of_state(callback.state).await? else {
            return Ok(Answer::Refused(Refusal::UnknownState));
        };
        if attempt.connection != callback.connection {
            return Ok(Answer::Refused(Refusal::UnknownState));
        }
        if !callback.browser.is_some_and(|browser| attempt.is_of_browser(browser)) {
            return Ok(Answer::Refused(Refusal::OtherBrowser));
        }
        let mut answer = Answer::Attempt { reference: attempt.reference.clone(), to_check: Vec::new() };
        if attempt.phase != Phase::Started {
            // The same browser coming again sees what came of it the first time.
            return Ok(answer);
        }
        if self.clock.now() - attempt.started_at > LIFETIME {
            return Ok(Answer::Refused(Refusal::Expired));
        }
        if attempt.user.is_some() && attempt.user != callback.user {
            return Ok(Answer::Refused(Refusal::SignedOut));
        }
        if self.claim(&attempt).await?
            && let Some(grantor_id) = self.work_on(&attempt, callback.by, callback.end, callback.request).await?
        {
            let mut to_check = profiles::of_grantor(self.store.database(), &grantor_id).await?;
            // Those that have the login's token now, or are being asked about, need no check.
            let served = match self.attempt_of_reference(&attempt.reference).await?.map(|now| now.phase) {
                Some(Phase::Finished(outcome)) => outcome.accounts().to_vec(),
                _ => self.accounts_of_attempt(attempt.id).await?,
            };
            to_check.retain(|account| !served.contains(account));
            answer = Answer::Attempt { reference: attempt.reference.clone(), to_check };
        }
        Ok(answer)
    }

    /// Who granted, where that takes away what the same person granted before.
    async fn work_on(
        &self,
        attempt: &Attempt,
        by: Option<Authority>,
        end: End,
        request: Option<String>,
    ) -> Result<Option<String>, Error> {
        let context = Context::of_attempt(attempt, request);
        let login = match end {
            End::Granted(code) => self.log_in(attempt.connection, &strip(&code)).await,
            End::Cancelled => Err(Outcome::Cancelled.into()),
            End::Failed(why) => Err(ended(attempt, why).into()),
        };
        let grantor_id = match &login {
            Ok(login) => login.facts.grantor_id.clone(),
            Err(failed) => failed.grantor_id.clone(),
        };
        if let Some(id) = &grantor_id {
            self.granted_by(attempt, id).await?;
        }
        let grantor_id = grantor_id.filter(|_| attempt.connection == Connection::Business);
        let login = match login {
            Ok(login) => login,
            Err(FailedLogin { outcome, .. }) => {
                self.finish(attempt, &outcome, &context).await?;
                return Ok(grantor_id);
            }
        };
        if attempt.purpose == Purpose::Connect && login.facts.reached.len() > 1 {
            self.await_choice(attempt, &login).await?;
            return Ok(grantor_id);
        }
        self.keep_grant(attempt, &login).await?;
        self.carry_out(&Trip { attempt, login: &login, by, context: &context }).await?;
        Ok(grantor_id)
    }

    /// Does what the attempt is for, with the login that came of it.
    pub(crate) async fn carry_out(&self, trip: &Trip<'_>) -> Result<(), Error> {
        let work = async {
            match trip.attempt.purpose {
                Purpose::Connect => self.connect(trip, &trip.login.reached()).await,
                Purpose::Account | Purpose::Link | Purpose::TokenPage => self.refresh(trip).await,
                Purpose::Switch => self.switch(trip).await,
            }
        };
        self.or_wait(trip.attempt, work).await
    }

    /// Lets the grant wait to be tried again at once when the work with it failed.
    pub(crate) async fn or_wait(
        &self,
        attempt: &Attempt,
        work: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let done = work.await;
        if done.is_err()
            && let Err(error) = self.await_again(attempt, &Outcome::Interrupted).await
        {
            tracing::warn!(%error, "a login that failed can't be tried again yet");
        }
        done
    }

    /// Ends an attempt that led to nothing.
    pub(crate) async fn finish(&self, attempt: &Attempt, outcome: &Outcome, context: &Context) -> Result<(), Error> {
        let mut unit = self.store.unit(self.metadata(context));
        attempt.finish(outcome, &[], self.clock.now()).into_iter().for_each(|write| unit.write(write));
        match unit.commit().await {
            // It is over already: the first end counts.
            Ok(_) | Err(engine::CommitError::Refused) => Ok(()),
            Err(error) => Err(engine::StoreError::from(error).into()),
        }
    }
}

/// The outcome of a login that Meta ended with an error.
fn ended(attempt: &Attempt, why: Failure) -> Outcome {
    let app = attempt.connection.login();
    // By the browser's word alone: no ERROR line.
    tracing::warn!(app, ?why, "Meta ended a login with an error of its own");
    match why {
        Failure::Unavailable(_) => Outcome::LoginUnavailable,
        Failure::Server => Outcome::MetaUnavailable,
        Failure::App => Outcome::AppMisconfigured,
        Failure::Unknown => Outcome::CodeRefused,
    }
}

impl Context {
    /// On behalf of who set out on an attempt.
    pub(crate) fn of_attempt(attempt: &Attempt, request: Option<String>) -> Self {
        Self {
            actor: attempt.user.map_or(Actor::Visitor, Actor::User),
            correlation: attempt.id.to_string(),
            causation: attempt.link.map(|link| format!("link {link}")),
            request,
        }
    }
}

/// Meta leaves `#_` at the end of the redirect; browsers keep it out of the query, some clients don't.
fn strip(code: &SecretString) -> SecretString {
    let text = code.expose_secret();
    text.strip_suffix("#_").unwrap_or(text).to_owned().into()
}
