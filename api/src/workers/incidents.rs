//! After an incident: what was held is asked about once more, a few accounts at a time.

use std::time::Duration;

use commands::incident::Close;
use projections::{accounts, jobs};
use tokio_util::sync::CancellationToken;

use crate::app::App;

const EVERY: Duration = Duration::from_secs(1);
/// How many are asked about at a time.
const AT_A_TIME: i64 = 5;

/// Works until the token is cancelled.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let asked = async {
            for incident in app.commands.open_incidents().await? {
                let connection = incident.connection.0;
                // With nobody left to ask, nobody can show that the app works.
                if !app.commands.offers(connection) || !accounts::any_active(app.database(), connection).await? {
                    app.commands.close_incident(&incident.id, Close::NobodyLeft, None).await?;
                }
            }
            for account in app.commands.to_ask_again(AT_A_TIME).await? {
                jobs::ask_again(app.database(), account, app.commands.clock.now()).await?;
            }
            Ok::<_, commands::Error>(())
        };
        if let Err(error) = asked.await {
            tracing::warn!(%error, "accounts could not be asked about after an incident; trying again");
        }
    }
}
