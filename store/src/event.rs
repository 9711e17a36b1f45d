//! The events of both aggregates, as one set.

use cqrs_es::DomainEvent;
use domain::{AccountEvent, TokenEvent};
use engine::{Decoded, EventSet, Head};

/// The version of all events today. Older ones have come through the upcasters, and another one is newer.
const VERSION: &str = "1";

/// An event of either aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Of an account.
    Account(AccountEvent),
    /// Of a token.
    Token(TokenEvent),
}

impl EventSet for Event {
    fn decode(head: &Head<'_>, json: &str) -> Decoded<Self> {
        match head.aggregate {
            "account" => decoded(head, json, &AccountEvent::TYPES, Self::Account),
            "token" => decoded(head, json, &TokenEvent::TYPES, Self::Token),
            // Of an aggregate that a newer program has, and whose views are its own.
            _ => Decoded::NotMine,
        }
    }
}

fn decoded<T: DomainEvent>(head: &Head<'_>, json: &str, types: &[&str], event: fn(T) -> Event) -> Decoded<Event> {
    if head.version != VERSION || !types.contains(&head.event_type) {
        return Decoded::Newer;
    }
    match serde_json::from_str(json) {
        Ok(decoded) => Decoded::Event(event(decoded)),
        Err(error) => Decoded::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(aggregate: &str, event_type: &str, json: &str) -> Decoded<Event> {
        Event::decode(&Head { aggregate, event_type, version: "1" }, json)
    }

    #[test]
    fn a_newer_event_is_told_from_a_broken_one() {
        assert_eq!(
            decode("account", "Disconnected", "\"Disconnected\""),
            Decoded::Event(Event::Account(AccountEvent::Disconnected))
        );
        assert_eq!(decode("account", "Merged", "{\"Merged\":{\"with\":1}}"), Decoded::Newer);
        let of_version_2 = Head { aggregate: "account", event_type: "Erased", version: "2" };
        assert_eq!(Event::decode(&of_version_2, "\"Erased\""), Decoded::Newer);
        assert_eq!(decode("invoice", "Erased", "\"Erased\""), Decoded::NotMine);
        assert!(matches!(decode("account", "Connected", "{\"Connected\":{}}"), Decoded::Broken(_)));
    }

    #[test]
    fn the_known_types_are_those_that_are_decoded() {
        let expected = |error: serde_json::Error| {
            let error = error.to_string();
            let (_, names) = error.split_once("expected one of ").expect("serde lists them");
            names.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let account = serde_json::from_str::<AccountEvent>("{\"None\":{}}").expect_err("no such type");
        assert_eq!(expected(account), AccountEvent::TYPES);
        let token = serde_json::from_str::<TokenEvent>("{\"None\":{}}").expect_err("no such type");
        assert_eq!(expected(token), TokenEvent::TYPES);
    }
}
