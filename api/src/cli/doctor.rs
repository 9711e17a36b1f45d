//! `relight doctor`.

use std::time::Duration;

use anyhow::{Result, bail};
use domain::Connection;
use secrecy::ExposeSecret;

use crate::{config::Config, mail::Mailer, reach, service};

/// Looks at everything that must work, says what does, and fails if something doesn't.
pub(super) async fn run(config: Config) -> Result<()> {
    let mut ill = false;
    let mut say = |well: bool, text: String| {
        println!("{} {text}", if well { "ok   " } else { "WRONG" });
        ill |= !well;
    };
    let url = service::database_url(&config);
    let shown = store::url_without_secrets(url.expose_secret());
    match service::open(&config).await {
        Ok(database) => {
            say(true, format!("{} answers: {shown}", database.engine()));
            let commands = service::commands(&config, database.clone(), commands::Clock::default());
            match commands {
                Ok(_) => say(true, "the vault's keys can be used".to_owned()),
                Err(error) => say(false, format!("{error:#}")),
            }
            database.close().await;
        }
        Err(error) => say(false, format!("{error:#}")),
    }
    for reached in reach::meta(&config, Duration::from_secs(10)).await {
        let (login, url) = (reached.login, reached.url);
        match reached.answer {
            None => println!("      no app with {login} Login is configured: its button is hidden"),
            Some(Ok(())) => say(true, format!("Meta answers at {url}")),
            Some(Err(error)) => say(false, format!("Meta does not answer at {url}: {error}")),
        }
    }
    match config.smtp.url.as_ref().map(|url| Mailer::new(url, config.mail.from.as_deref())) {
        None => println!("      no smtp.url is configured: nobody gets mails"),
        Some(Err(sentence)) => say(false, sentence),
        Some(Ok(mailer)) => match mailer.answers().await {
            Ok(()) => say(true, "the mail server answers".to_owned()),
            Err(failure) => say(false, format!("smtp.url: {failure}")),
        },
    }
    if !config.is_https() {
        println!("WARN  http.public_url is not https: Meta accepts that on your own machine only");
    }
    println!("\nEnter these addresses at Meta, exactly so:");
    for connection in Connection::ALL {
        for (field, address) in config.callbacks(connection) {
            println!("  {:<10} {field:<24} {address}", connection.login());
        }
    }
    if ill {
        bail!("something is wrong: see above");
    }
    Ok(())
}
