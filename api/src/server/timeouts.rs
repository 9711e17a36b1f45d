//! How long the server waits for a client.

use std::time::Duration;

/// How long the server waits for a client: for each of these it closes the connection.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From a request's first byte (or the connection's start) to the end of its header.
    pub header: Duration,
    /// Between two requests. Longer than proxies keep theirs (nginx: 60 s), so that a proxy closes first.
    pub idle: Duration,
    /// Between two pieces of a request's body.
    pub body_piece: Duration,
    /// For a request's whole body, however small its pieces.
    pub body: Duration,
    /// For a client to take what is written to it. Each byte that it takes gives back its part, at
    /// [`WRITE_BYTES_PER_SECOND`]; what is given back is never more than this.
    pub write: Duration,
    /// How long requests under way are waited for when the server stops. Longer than `commands` goes on asking Meta about a
    /// login.
    pub goodbye: Duration,
}

/// How slowly a client may read for ever. Kestrel's `MinResponseDataRate` is 240.
pub(super) const WRITE_BYTES_PER_SECOND: u32 = 1024;

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            body_piece: Duration::from_secs(15),
            body: Duration::from_mins(1),
            write: Duration::from_mins(1),
            goodbye: Duration::from_secs(5),
        }
    }
}

impl Timeouts {
    /// A wait that begins now runs out no sooner than after this.
    pub(super) fn shortest(&self) -> Duration {
        self.header.min(self.idle).min(self.body_piece).min(self.body).min(self.write)
    }
}
