//! How many connections and streams there may be.

use std::net::IpAddr;

use ipnet::IpNet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::table::CLOSING;
use crate::{config::Config, limits::address::is_among};

/// How many connections and streams there may be at once.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one client address (IPv6: one /64).
    pub connections_per_address: usize,
    /// Proxies, whose connections are many clients'.
    pub proxies: Vec<IpNet>,
}

/// Files and sockets that are kept for all else but the server and the database: standard streams, timers, calls to Meta,
/// web hooks and mails, files that are read at start.
const RESERVED: u64 = 96;
/// Of each of the database's connections: SQLite has the file, its log and its index open.
const FILES_PER_DATABASE_CONNECTION: u64 = 3;

impl Bounds {
    /// The bounds of a configuration, on a system that lets this process have so many files open: the soft limit is raised
    /// to the hard one.
    pub fn of(config: &Config) -> Self {
        let files = raise_open_files();
        let bounds = Self::within(config, files);
        let wanted = config.http.connections as usize;
        if bounds.connections < wanted {
            let connections = bounds.connections;
            tracing::warn!(files, connections, wanted, "the limit of open files (ulimit -n) leaves fewer connections");
        }
        bounds
    }

    /// Within so many open files. One address has half of the connections at most, so that it can't keep others out.
    fn within(config: &Config, files: u64) -> Self {
        let database = u64::from(config.database.connections) * FILES_PER_DATABASE_CONNECTION;
        let kept = RESERVED + CLOSING as u64 + database;
        let left = usize::try_from(files.saturating_sub(kept).max(files / 4)).unwrap_or(usize::MAX);
        let connections = left.min(config.http.connections as usize).max(2);
        Self {
            connections,
            connections_per_address: (config.http.connections_per_address as usize).min(connections / 2),
            proxies: config.http.trusted_proxies.clone(),
        }
    }

    /// Whether the peer is one of our proxies.
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        is_among(peer, &self.proxies)
    }

    /// Streams in all: the other connections are for requests that end.
    pub(super) fn streams(&self) -> usize {
        self.connections / 2
    }

    /// Streams of one client address.
    pub(super) fn streams_per_address(&self) -> usize {
        (self.connections_per_address / 2).max(1)
    }
}

/// Lets this process open as many files as it may ask for, and says how many.
fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
    files.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        let config = Config::default();
        let plenty = Bounds::within(&config, 1 << 20);
        assert_eq!((plenty.connections, plenty.connections_per_address), (4096, 256));
        let few = Bounds::within(&config, 1024);
        assert_eq!((few.connections, few.connections_per_address), (816, 256));
        let tiny = Bounds::within(&config, 64);
        assert_eq!((tiny.connections, tiny.connections_per_address), (16, 8));
        assert!(Bounds::of(&config).connections >= 2);
    }
}
