//! Streams, which stay open until the client or the server stops: bounded by number, in all and by client address.
//!
//! A handler whose answer is a stream takes a [`StreamPermit`] as an argument and keeps it in the stream; beyond the bounds it
//! isn't called, and the answer is 503 with `Retry-After`.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::bounds::Bounds;
use crate::{
    app::App,
    error::Error,
    limits::{Address, address::network},
};

/// The streams that are open. Clones are the same.
#[derive(Debug, Clone)]
pub struct Streams {
    most: usize,
    most_per_address: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One open stream, until it is dropped.
#[derive(Debug)]
pub struct StreamPermit {
    streams: Streams,
    address: IpAddr,
}

impl Streams {
    /// None yet: half of the connections may be streams, in all and of one address.
    pub fn new(bounds: &Bounds) -> Self {
        Self { most: bounds.streams(), most_per_address: bounds.streams_per_address(), open: Arc::default() }
    }

    /// A place for one more stream of this client address.
    ///
    /// # Errors
    /// [`Error::Busy`] when there are too many.
    pub fn open(&self, address: IpAddr) -> Result<StreamPermit, Error> {
        let mut open = self.lock();
        let theirs = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.most || theirs >= self.most_per_address {
            return Err(Error::Busy);
        }
        open.all += 1;
        open.by_address.insert(address, theirs + 1);
        Ok(StreamPermit { streams: self.clone(), address })
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.all -= 1;
        if let Some(theirs) = open.by_address.get_mut(&self.address) {
            *theirs -= 1;
            if *theirs == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

impl FromRequestParts<App> for StreamPermit {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let Address(address) = Address::from_request_parts(parts, app).await?;
        app.streams.open(network(address))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn streams_are_bounded_in_all_and_by_address_and_given_back() {
        let bounds = Bounds { connections: 6, connections_per_address: 4, proxies: Vec::new() };
        let streams = Streams::new(&bounds);
        let [a, b] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)));
        let first = streams.open(a).expect("a place");
        let _second = streams.open(a).expect("a place");
        assert!(matches!(streams.open(a), Err(Error::Busy)), "the address has its half");
        let _third = streams.open(b).expect("a place");
        assert!(matches!(streams.open(b), Err(Error::Busy)), "there are half of all");
        drop(first);
        assert!(streams.open(a).is_ok());
        assert_eq!(streams.count(), 2);
    }
}
