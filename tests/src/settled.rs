//! When Relight has done all that there is to do: so tests show that something did not happen.

use chrono::TimeDelta;
use engine::{sql, testing::found};

use crate::relight::Relight;

/// What waits or is under way, by the tables that keep it: jobs, questions after an incident, and
/// readers of the journal that are behind. A lease changes nothing of it, so work of other nodes counts too.
const DUE: &str = "\
    SELECT (SELECT count(*) FROM jobs WHERE due_at <= $1) \
    + (SELECT count(*) FROM verdicts WHERE incident_over_at IS NOT NULL AND asked_at IS NULL) \
    + 3 - (SELECT count(*) FROM checkpoints WHERE name IN ('account_status', 'work', 'web_hooks') \
           AND position >= (SELECT COALESCE(max(position), 0) FROM events))";

/// One of the jobs that are due, to understand a failure.
const JOB: &str = "\
    SELECT max(queue || ' ' || kind || ' ' || key || ', priority ' || priority || ', tried ' || attempts \
    || COALESCE(', ' || last_error, '') || COALESCE(', held by ' || lease, '')) FROM jobs WHERE due_at <= $1";

impl Relight {
    /// How much is due now or under way, the journal's readers that are behind among it.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn due(&self) -> i64 {
        let now = self.clock.now();
        sql(DUE).bind(now).scalar(self.store().database()).await.expect("counted")
    }

    /// Waits until nothing is due or under way, on any node: what has not happened by then does not happen at this time.
    ///
    /// # Panics
    /// When something stays due.
    pub async fn settled(&self) {
        let idle = async || match self.due().await {
            0 => Ok(()),
            due => {
                let job = sql(JOB).bind(self.clock.now()).scalar::<Option<String>>(self.store().database()).await;
                Err(format!("{due} things are due: {:?}", job.expect("looked at")))
            }
        };
        found("a time without work", idle).await;
    }

    /// Time passes, here and at Meta, and what comes due by that is done.
    ///
    /// # Panics
    /// When something stays due.
    pub async fn pass_and_settle(&self, time: TimeDelta) {
        self.pass(time);
        self.settled().await;
    }

    /// Lets such pieces of time pass, and what comes due in each be done, until something is so.
    ///
    /// # Panics
    /// When it isn't after a hundred pieces.
    pub async fn pass_until(&self, what: &str, piece: TimeDelta, mut is_so: impl AsyncFnMut() -> bool) {
        for _ in 0..100 {
            if is_so().await {
                return;
            }
            self.pass_and_settle(piece).await;
        }
        panic!("{what} doesn't come in 100 times {piece}");
    }
}
