//! What a page shows once after a redirect: a line about what was done, or a form with what was typed and what is wrong.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tower_sessions::{Session, session::Error as SessionError};

use crate::error::Field;

const SAID: &str = "said";
const FORM: &str = "form";
/// Fields that are never kept.
const SECRET: [&str; 2] = ["csrf", "password"];
/// How much of a form is kept: fields, and bytes of each.
const FIELDS: usize = 16;
const FIELD_BYTES: usize = 1024;

/// The fields of the form that a request posted, for the case that it is shown again. Lies in the request's extensions.
#[derive(Debug, Clone, Default)]
pub struct Typed(Arc<Mutex<BTreeMap<String, String>>>);

impl Typed {
    /// Keeps what a form's body says.
    pub fn read(&self, body: &[u8]) {
        let fields = url::form_urlencoded::parse(body)
            .filter(|(name, value)| !SECRET.contains(&name.as_ref()) && name.len() + value.len() <= FIELD_BYTES);
        if let Ok(mut typed) = self.0.lock() {
            typed.extend(fields.take(FIELDS).map(|(name, value)| (name.into_owned(), value.into_owned())));
        }
    }
}

/// A form that is shown again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    name: String,
    text: String,
    typed: BTreeMap<String, String>,
}

impl Form {
    /// The form of a session that is to be shown again, once; an empty one if there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take(session: &Session) -> Result<Self, SessionError> {
        Ok(once(session, FORM).await?.unwrap_or_default())
    }

    /// What is wrong with a field.
    pub fn problem(&self, field: &str) -> Option<&str> {
        Some(self.text.as_str()).filter(|_| self.name == field)
    }

    /// What was typed into a field.
    pub fn typed(&self, field: &str) -> &str {
        self.typed.get(field).map_or("", String::as_str)
    }
}

/// Lets the form's page show it again.
///
/// # Errors
/// When the database fails.
pub async fn keep(session: &Session, field: &Field, typed: Typed) -> Result<(), SessionError> {
    let typed = typed.0.lock().map(|typed| typed.clone()).unwrap_or_default();
    session.insert(FORM, Form { name: field.name.to_owned(), text: field.text.clone(), typed }).await
}

/// Lets the next page say what was done.
///
/// # Errors
/// When the database fails.
pub async fn say(session: &Session, said: &str) -> Result<(), SessionError> {
    session.insert(SAID, said).await
}

/// What the page is to say, once.
///
/// # Errors
/// When the database fails.
pub async fn said(session: &Session) -> Result<Option<String>, SessionError> {
    once(session, SAID).await
}

/// Takes a value out of a session. A session without it stays as it is, and is not written.
///
/// # Errors
/// When the database fails.
pub async fn once<T: DeserializeOwned>(session: &Session, key: &str) -> Result<Option<T>, SessionError> {
    let value = session.get(key).await?;
    if value.is_some() {
        session.remove_value(key).await?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_shown_again_holds_no_secret_and_no_endless_field() {
        let typed = Typed::default();
        let long = format!("csrf=x&password=y&email=ann%40example.com&more={}", "z".repeat(2000));
        typed.read(long.as_bytes());
        let kept = typed.0.lock().expect("a lock").clone();
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), [("email".to_owned(), "ann@example.com".to_owned())]);
    }
}
