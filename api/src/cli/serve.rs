//! `relight serve`.

use anyhow::Result;
use commands::Clock;

use crate::{config::Config, pages::login::setup_path, service::Service, sign_in::Users};

/// Runs the service until the system says to end.
pub(super) async fn run(config: Config) -> Result<()> {
    let service = Service::start(config, Clock::default()).await?;
    let app = &service.app;
    let engine = app.database().dialect().name();
    tracing::info!(address = %service.address, public_url = app.config.public_url(), engine, "ready");
    if !app.config.is_https() {
        tracing::warn!("http.public_url is not https: good for a test on this machine only");
    }
    if Users::new(app.database().clone()).is_empty().await? {
        // The one thing that is printed and secret: it makes the first admin, works once, and only until then.
        say!("Nobody can sign in yet. Create the first admin here, once:");
        say!("  {}{}", app.config.public_url(), setup_path(app));
    }
    service.run().await
}
