//! An aggregate for tests of how streams are loaded.

use chrono::DateTime;
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use engine::Metadata;
use serde::{Deserialize, Serialize};

/// What happens to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Change {
    Moved(i64),
    Closed,
}

impl DomainEvent for Change {
    fn event_type(&self) -> String {
        if *self == Self::Closed { "Closed" } else { "Moved" }.to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// Nothing can be taken out that is not in.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("there is not enough")]
pub(super) struct TooLittle;

/// A balance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Purse {
    pub(super) amount: i64,
}

impl Aggregate for Purse {
    const TYPE: &'static str = "purse";
    type Command = i64;
    type Event = Change;
    type Error = TooLittle;
    type Services = ();
    async fn handle(&mut self, amount: i64, (): &(), sink: &EventSink<Self>) -> Result<(), TooLittle> {
        if self.amount + amount < 0 {
            return Err(TooLittle);
        }
        sink.write(Change::Moved(amount), self).await;
        Ok(())
    }
    fn apply(&mut self, change: Change) {
        match change {
            Change::Moved(amount) => self.amount += amount,
            Change::Closed => self.amount = 0,
        }
    }
}

pub(super) fn by() -> Metadata {
    Metadata::new(DateTime::UNIX_EPOCH, &[("by", "a test".to_owned())].into())
}
