//! Accepting connections until the server stops.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{bounds::Bounds, connection, table::Table, timeouts::Timeouts};
use crate::limits::address::network;

/// How long it waits after the system had no socket for a connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// How often at most it logs that connections are refused or can't be accepted.
const LOG_INTERVAL: Duration = Duration::from_secs(30);
/// What a client reads whose connection isn't served.
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves the router on a listener until `stop`; then requests under way are finished, for [`Timeouts::goodbye`] at most.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, timeouts: Timeouts, stop: CancellationToken) {
    let table = Table::new(bounds.clone(), timeouts);
    let connections = TaskTracker::new();
    let mut log = Log::default();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => match admit(&table, &bounds, peer) {
                Some(place) => drop(connections.spawn(connection::serve(stream, peer, place, router.clone()))),
                None => {
                    refuse(&stream);
                    log.refused();
                }
            },
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                log.failed(&error);
                table.relieve();
                let _ = stop.run_until_cancelled(tokio::time::sleep(ACCEPT_BACKOFF)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    table.finish();
    if tokio::time::timeout(timeouts.goodbye, connections.wait()).await.is_err() {
        table.cut();
        connections.wait().await;
    }
}

fn admit(table: &Arc<Table>, bounds: &Bounds, peer: SocketAddr) -> Option<super::table::Place> {
    table.admit(network(peer.ip()), bounds.is_proxy(peer.ip()))
}

/// Says so if that can be done at once.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(REFUSAL);
}

/// The connection ended before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// A line now and then instead of one a connection.
#[derive(Default)]
struct Log {
    last: Option<Instant>,
    refused: u64,
    failed: u64,
}

impl Log {
    fn refused(&mut self) {
        self.refused += 1;
        self.say(None);
    }

    fn failed(&mut self, error: &io::Error) {
        self.failed += 1;
        self.say(Some(error));
    }

    fn say(&mut self, error: Option<&io::Error>) {
        if self.last.is_some_and(|last| last.elapsed() < LOG_INTERVAL) {
            return;
        }
        let (refused, failed) = (self.refused, self.failed);
        let error = error.map(tracing::field::display);
        tracing::warn!(refused, failed, error, "connections are refused or can't be accepted");
        *self = Self { last: Some(Instant::now()), refused: 0, failed: 0 };
    }
}
