//! Whether the process lives, and whether it serves: for orchestrators.

use std::time::Duration;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use commands::clock::Standing;
use engine::{Kind, State as Reached, Writes};

use crate::app::App;

/// How long the database may take.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);

/// `GET /healthz`: the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the database answers, the views follow, and the vault's keys open what is sealed. A clock that can't be
/// trusted keeps this node from no request: it is said beside.
pub async fn ready(State(app): State<App>) -> Response {
    match not_ready(&app).await {
        None => match app.commands.clock.standing() {
            Standing::Trusted => "ready\n".into_response(),
            standing => format!("ready, but degraded: {standing}\n").into_response(),
        },
        Some(sentence) => (StatusCode::SERVICE_UNAVAILABLE, format!("{sentence}\n")).into_response(),
    }
}

/// Why this node should get no requests.
async fn not_ready(app: &App) -> Option<String> {
    let asked = async {
        let writes = app.store().writes().await?;
        Ok::<_, commands::Error>((writes, app.registry.states(app.store()).await?, app.proof.ask(app).await?))
    };
    let Ok(Ok((writes, states, proof))) = tokio::time::timeout(DATABASE_TIMEOUT, asked).await else {
        return Some("the database does not answer".to_owned());
    };
    match writes {
        Writes::Taken => {}
        Writes::ReadOnly => {
            return Some("the database takes no writes: it is a standby, or set to read-only".to_owned());
        }
        Writes::NoRoom => return Some("the database takes no writes: its disk is full".to_owned()),
    }
    // A rebuild that stopped leaves the rows that serve as they are.
    let serves = |state: &&Reached| matches!(state.kind, Kind::View | Kind::Reaction);
    if states.iter().filter(serves).any(|state| state.failure.is_some()) {
        return Some("a projection has stopped".to_owned());
    }
    // Which keys and how many rows stand in the log, on Operations and in `relight doctor`: this page is anybody's.
    proof.map(|_| "the vault's keys do not open what is sealed".to_owned())
}
