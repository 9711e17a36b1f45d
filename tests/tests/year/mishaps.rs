//! What goes wrong: for people, and at Meta.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use rand::Rng;
use sandbox::{Action, FaultKind};
use serde_json::json;

use crate::life::{Life, STEP};

impl Life {
    /// For the next hours, Meta answers nobody.
    pub(super) fn outage(&mut self) {
        let kinds = [
            FaultKind::Unavailable,
            FaultKind::BadGateway,
            FaultKind::Html,
            FaultKind::Truncated,
            FaultKind::WrongTypes,
        ];
        let kind = kinds[self.random.random_range(0..kinds.len())];
        self.relight.act(Action::Fail { kind, calls: 1_000_000, holder: None, path: None });
        self.silent_until = self.relight.clock.now() + STEP + TimeDelta::hours(1);
    }

    /// Each person has some bad luck about twice a year.
    pub(super) fn misfortunes(&mut self) {
        let holders: BTreeSet<_> = self.known.iter().map(|known| known.holder.clone()).collect();
        for holder in holders {
            if !self.random.random_bool(0.0015) {
                continue;
            }
            let is_person = holder.starts_with("122");
            let permission = if is_person { "instagram_basic" } else { "instagram_business_basic" }.to_owned();
            let action = match self.random.random_range(0..5) {
                0 => Action::ChangePassword { holder },
                1 => Action::RemoveApp { holder },
                2 => Action::LogOut { holder },
                3 => {
                    let days = self.random.random_range(1..6);
                    self.passed.insert(holder.clone(), self.relight.clock.now() + TimeDelta::days(days));
                    Action::Checkpoint { holder }
                }
                _ => Action::DeclinePermission { holder, permission },
            };
            self.relight.act(action);
        }
        self.note_deaths();
    }

    /// Some pass the check that Meta asks for, and never come here.
    pub(super) fn checkpoints_are_passed(&mut self) {
        let now = self.relight.clock.now();
        let due: Vec<_> = self.passed.iter().filter(|(_, at)| **at <= now).map(|(holder, _)| holder.clone()).collect();
        for holder in due {
            self.passed.remove(&holder);
            self.relight.act(Action::ClearCheckpoint { holder });
        }
        self.note_deaths();
    }

    /// What Meta answers now and then for some hours, and what isn't anybody's fault.
    pub(super) fn oddities(&mut self) {
        let error = |code: i64, message: &str, transient: bool| json!({"error": {"message": message, "type": "OAuthException", "code": code, "is_transient": transient}});
        let unsupported = "Unsupported request - method type: get";
        let (path, body) = match self.random.random_range(0..60) {
            0 => ("/instagram/", error(4, "(#4) Application request limit reached", true)),
            1 => ("/graph/", error(3, "(#3) Application does not have the capability to make this API call.", false)),
            2 => ("/refresh_access_token", error(100, unsupported, false)),
            3 => ("/instagram/", error(100, unsupported, false)),
            4 => return self.rename(),
            _ => return,
        };
        let path = Some(path.to_owned());
        self.relight.act(Action::Answer { status: 400, body, calls: None, holder: None, path });
        self.silent_until = self.relight.clock.now() + STEP + TimeDelta::hours(2);
    }

    /// Somebody calls an account otherwise.
    fn rename(&mut self) {
        let number = self.random.random_range(0..self.known.len());
        let known = &mut self.known[number];
        let username = format!("{}.n{}", known.names[0], known.names.len());
        self.relight.act(Action::Rename { holder: known.name().to_owned(), username: username.clone() });
        known.names.push(username);
    }
}
