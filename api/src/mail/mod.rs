//! Mail: how notices are written, and how they leave through SMTP.

mod letters;
mod write;

use std::{error::Error, time::Duration};

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
/// How long it may take for all of it: less than the lease of a mail. (The steps' limit holds for connecting only.)
const ALL_STEPS: Duration = Duration::from_mins(2);

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
    /// The server may have taken it; it goes again later, as the same mail.
    #[error("{0}")]
    Unsure(String),
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
        // Each mail has a connection of its own: one that was cut off in the middle must not be used again.
        let pool = PoolConfig::new().max_size(0);
        Ok(Self { transport: builder.timeout(Some(TIMEOUT)).pool_config(pool).build(), from })
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// Why it doesn't.
    pub async fn answers(&self) -> Result<(), Failure> {
        match tokio::time::timeout(TIMEOUT, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Failure::Passing("the mail server does not answer".to_owned())),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(Failure::Passing(TOO_LATE.to_owned())),
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
        match tokio::time::timeout(ALL_STEPS, self.transport.send(message)).await {
            Ok(sent) => sent.map(drop).map_err(|error| failure(&error)),
            Err(_) => Err(Failure::Unsure(TOO_LATE.to_owned())),
        }
    }
}

const TOO_LATE: &str = "the mail server does not answer in time";

/// Enhanced codes that speak of the recipient's address (RFC 3463, section 3.2, and RFC 7505). Others of 5.1 speak of ours.
const OF_ADDRESS: [&str; 5] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"];

/// Whether a refusal is about the address, and not about us: by the enhanced code where there is one, else by the code (no
/// such mailbox, not local, not allowed as a name).
fn is_of_address(code: u16, said: &str) -> bool {
    let enhanced = said.split_whitespace().find(|word| word.starts_with("5.") && word.matches('.').count() == 2);
    match enhanced {
        Some(enhanced) => OF_ADDRESS.contains(&enhanced),
        None => matches!(code, 550 | 551 | 553),
    }
}

/// The server's own words may repeat the address: only its code is kept. Source of the codes: RFC 5321, section 4.2.
fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    match error.status() {
        Some(code) if is_of_address(code.into(), &words(error)) => Failure::Address(code.into()),
        Some(code) if code.severity == Severity::PermanentNegativeCompletion => {
            Failure::Passing(format!("the mail server refuses our mails ({code})"))
        }
        Some(code) => Failure::Passing(format!("the mail server is busy ({code})")),
        // Until there is a connection, nothing was handed over. The library tells the two apart by its words alone.
        None if !error.to_string().starts_with("Connection error") && !is_of_tls(error) && !error.is_client() => {
            Failure::Unsure("the connection to the mail server broke".to_owned())
        }
        None if error.is_timeout() => Failure::Passing(TOO_LATE.to_owned()),
        None if is_of_tls(error) => Failure::Passing("the mail server's certificate is not accepted".to_owned()),
        None if error.is_client() => {
            Failure::Passing("the mail server offers no STARTTLS, or no way to sign in that we know".to_owned())
        }
        None => Failure::Passing("the mail server can't be reached".to_owned()),
    }
}

/// Whether no encrypted connection came about. A handshake that fails may be hidden in an error of the connection.
fn is_of_tls(error: &lettre::transport::smtp::Error) -> bool {
    let mut cause = error.source();
    while let Some(at) = cause {
        let inner = at.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
            return true;
        }
        cause = at.source();
    }
    error.is_tls()
}

/// What the server said.
fn words(error: &lettre::transport::smtp::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
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
    fn a_refusal_of_us_is_not_one_of_the_address() {
        assert!(is_of_address(550, "5.1.1 nobody of that name"));
        assert!(is_of_address(550, "no such user"));
        assert!(is_of_address(556, "5.1.10 takes no mail"));
        assert!(!is_of_address(550, "5.1.8 bad outbound sender"));
        assert!(!is_of_address(550, "5.7.23 SPF says no"));
        assert!(!is_of_address(550, "5.7.1 relaying denied"));
        assert!(!is_of_address(535, "5.7.8 who are you"));
    }

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
