//! Mail: how notices are written, and how they leave through SMTP.

mod letters;
mod write;

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{PoolConfig, response::Severity},
};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

pub use letters::{incident_letter, letter};
pub use write::{Item, Letter};

/// How long a mail server may take for each step.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How many connections to the mail server there are at most.
const CONNECTIONS: u32 = 4;

/// The way to the mail server. Clones are the same.
#[derive(Debug, Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why a mail could not be handed over; without addresses, for it is shown and logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server won't take mails for this address.
    #[error("the mail server refuses the address ({0})")]
    Address(u16),
    /// It may go later.
    #[error("{0}")]
    Passing(String),
}

impl Mailer {
    /// The way to the server that `smtp.url` names, for mails from `mail.from`.
    ///
    /// # Errors
    /// A sentence that names the setting that is wrong.
    pub fn new(url: &SecretString, from: Option<&str>) -> Result<Self, String> {
        let from =
            from.ok_or("mail.from is missing beside smtp.url: an address such as Relight <relight@example.com>.")?;
        let from: Mailbox = from.parse().map_err(|_| "mail.from is wrong: it must be an e-mail address.")?;
        let parsed =
            Url::parse(url.expose_secret()).map_err(|_| "smtp.url is wrong: it must be smtp:// or smtps://.")?;
        let is_encrypted = match parsed.scheme() {
            "smtps" => true,
            "smtp" => parsed.query_pairs().any(|(key, value)| key == "tls" && value == "required"),
            _ => return Err("smtp.url is wrong: it must be smtp:// or smtps://.".to_owned()),
        };
        // Links in mails give access: they travel in the clear to this machine alone.
        if !is_encrypted && !is_loopback(&parsed) {
            return Err("smtp.url would send mails unencrypted: use smtps://…, or smtp://…?tls=required for STARTTLS."
                .to_owned());
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret());
        let builder = builder.map_err(|_| "smtp.url is wrong: see the README for its form.")?;
        let pool = PoolConfig::new().max_size(CONNECTIONS);
        Ok(Self { transport: builder.timeout(Some(TIMEOUT)).pool_config(pool).build(), from })
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// Why it doesn't.
    pub async fn answers(&self) -> Result<(), Failure> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Passing("the mail server does not answer".to_owned())),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Hands a mail over; it is the server's when this returns.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn send(&self, to: &str, letter: &Letter) -> Result<(), Failure> {
        let to: Mailbox = to.parse().map_err(|_| Failure::Address(553))?;
        let message: Message = letter
            .message(self.from.clone(), to)
            .map_err(|error| Failure::Passing(format!("it can't be written: {error}")))?;
        self.transport.send(message).await.map(drop).map_err(|error| failure(&error))
    }
}

/// The server's own words may repeat the address: only its code is kept. Source of the codes: RFC 5321, section 4.2.
fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    match error.status() {
        // No such mailbox, not local, over its limits for good, not allowed as a name.
        Some(code) if matches!(u16::from(code), 550 | 551 | 553) => Failure::Address(code.into()),
        Some(code) if code.severity == Severity::PermanentNegativeCompletion => {
            Failure::Passing(format!("the mail server refuses our mails ({code})"))
        }
        Some(code) => Failure::Passing(format!("the mail server is busy ({code})")),
        None if error.is_timeout() => Failure::Passing("the mail server does not answer in time".to_owned()),
        None if error.is_tls() => Failure::Passing("the mail server's certificate is not accepted".to_owned()),
        None => Failure::Passing("the mail server can't be reached".to_owned()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        // Schemes that the standard doesn't know leave a host as it is written.
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_leave_this_machine_encrypted_only() {
        let made = |url: &str| Mailer::new(&url.to_owned().into(), Some("Relight <relight@example.com>")).map(drop);
        tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
            for url in ["smtps://mail.example.com", "smtp://mail.example.com:587?tls=required", "smtp://127.0.0.1:2525"]
            {
                assert_eq!(made(url), Ok(()), "{url}");
            }
            for url in ["smtp://mail.example.com", "smtp://mail.example.com?tls=opportunistic"] {
                assert!(made(url).is_err_and(|said| said.contains("unencrypted")), "{url}");
            }
            for url in ["mail.example.com", "http://mail.example.com"] {
                assert!(made(url).is_err_and(|said| said.contains("smtp.url is wrong")), "{url}");
            }
            let url = "smtp://ann:secret@mail.example.com".to_owned().into();
            let said =
                Mailer::new(&url, Some("Relight <relight@example.com>")).map(drop).expect_err("it isn't encrypted");
            assert!(!said.contains("secret"), "{said}");
            assert!(
                Mailer::new(&"smtp://127.0.0.1".to_owned().into(), None).is_err_and(|said| said.contains("mail.from"))
            );
        });
    }
}
