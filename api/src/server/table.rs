//! All connections, by address, and which is closed when there are too many.
//!
//! A full server doesn't wait until a connection ends: that is how slow clients keep the others out. It closes the one
//! whose client it has been waiting for longest, of the address that has most connections, in favour of the new one. Only if
//! it waits for no client, so that all connections have requests under way, the new one is refused.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::{bounds::Bounds, timeouts::Timeouts, waits::Waits};

/// How many more sockets there may be while closed connections' tasks haven't ended yet.
pub(super) const CLOSING: usize = 64;

/// All connections.
#[derive(Debug)]
pub(super) struct Table {
    bounds: Bounds,
    timeouts: Timeouts,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Those that are served, without those that are being closed.
    served: HashMap<IpAddr, Vec<Arc<Waits>>>,
    serving: usize,
    /// How many sockets there are.
    open: usize,
}

/// A connection's place in the table, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    address: IpAddr,
    waits: Arc<Waits>,
}

impl Table {
    pub(super) fn new(bounds: Bounds, timeouts: Timeouts) -> Arc<Self> {
        Arc::new(Self { bounds, timeouts, inner: Mutex::default() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection of this address (or network, as [`crate::limits`] groups them), if there is one or can be
    /// made. A proxy may have as many as there are.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, is_proxy: bool) -> Option<Place> {
        let mut inner = self.inner();
        if inner.open >= self.bounds.connections + CLOSING {
            return None;
        }
        let theirs = inner.served.get(&address).map_or(0, Vec::len);
        if !is_proxy && theirs >= self.bounds.connections_per_address && !inner.close_one_of(address) {
            return None;
        }
        if inner.serving >= self.bounds.connections && !inner.close_one() {
            return None;
        }
        let waits = Arc::new(Waits::new(self.timeouts));
        inner.served.entry(address).or_default().push(waits.clone());
        inner.serving += 1;
        inner.open += 1;
        Some(Place { table: self.clone(), address, waits })
    }

    /// Closes one connection, because the system has no more sockets.
    pub(super) fn relieve(&self) {
        self.inner().close_one();
    }

    /// Closes all connections, each after the request that is under way.
    pub(super) fn finish(&self) {
        self.inner().served.values().flatten().for_each(|waits| waits.finish());
    }

    /// Closes all connections now.
    pub(super) fn cut(&self) {
        self.inner().served.values().flatten().for_each(|waits| waits.cut());
    }
}

impl Inner {
    /// Closes the connection of an address whose client is waited for longest. Whether there is one.
    fn close_one_of(&mut self, address: IpAddr) -> bool {
        let Some(theirs) = self.served.get(&address) else { return false };
        let longest = theirs.iter().filter_map(|waits| Some((waits.since()?, waits))).min_by_key(|(since, _)| *since);
        // It may just have become busy.
        let Some(waits) = longest.map(|(_, waits)| waits.clone()).filter(|waits| waits.cut_if_waiting()) else {
            return false;
        };
        self.remove(address, &waits);
        true
    }

    /// Closes a connection of the address that has most of those that can be closed.
    fn close_one(&mut self) -> bool {
        let mut best: Option<((usize, Reverse<Instant>), IpAddr)> = None;
        for (address, theirs) in &self.served {
            if best.is_some_and(|((most, _), _)| theirs.len() < most) {
                continue;
            }
            if let Some(since) = theirs.iter().filter_map(|waits| waits.since()).min() {
                let rank = (theirs.len(), Reverse(since));
                if best.is_none_or(|(known, _)| rank > known) {
                    best = Some((rank, *address));
                }
            }
        }
        best.is_some_and(|(_, address)| self.close_one_of(address))
    }

    fn remove(&mut self, address: IpAddr, waits: &Arc<Waits>) {
        let Some(theirs) = self.served.get_mut(&address) else { return };
        if let Some(place) = theirs.iter().position(|other| Arc::ptr_eq(other, waits)) {
            theirs.swap_remove(place);
            self.serving -= 1;
        }
        if theirs.is_empty() {
            self.served.remove(&address);
        }
    }
}

impl Place {
    /// What the server waits for on this connection.
    pub(super) fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.table.inner();
        inner.remove(self.address, &self.waits);
        inner.open -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::server::waits::Order;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn table(connections: usize, connections_per_address: usize) -> Arc<Table> {
        Table::new(Bounds { connections, connections_per_address, ..Bounds::default() }, Timeouts::default())
    }

    fn is_cut(place: &Place) -> bool {
        place.waits().order() == Order::Cut
    }

    #[test]
    fn an_address_at_its_bound_loses_the_connection_that_waits_longest() {
        let table = table(10, 2);
        let other = table.admit(B, false).expect("a place");
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(table.admit(A, false).expect("a place"));
        }
        assert_eq!(places.iter().map(is_cut).collect::<Vec<_>>(), [true, false, false]);
        assert!(!is_cut(&other), "other addresses lose none");
    }

    #[test]
    fn a_request_under_way_is_never_closed_for_a_new_connection() {
        let table = table(10, 2);
        let busy = [table.admit(A, false).expect("a place"), table.admit(A, false).expect("a place")];
        assert!(busy.iter().all(|place| place.waits().begin()));
        assert!(table.admit(A, false).is_none());
        assert!(table.admit(B, false).is_some());
        busy[0].waits().answered();
        assert!(table.admit(A, false).is_some());
        assert!(is_cut(&busy[0]) && !is_cut(&busy[1]));
    }

    #[test]
    fn a_full_server_closes_a_connection_of_the_address_that_has_most() {
        let table = table(4, 3);
        let first = table.admit(B, false).expect("a place");
        let many: Vec<_> = (0..3).map(|_| table.admit(A, false).expect("a place")).collect();
        let second = table.admit(B, false).expect("a place");
        assert_eq!(many.iter().filter(|place| is_cut(place)).count(), 1);
        assert!(!is_cut(&first) && !is_cut(&second));
    }

    #[test]
    fn places_are_given_back() {
        let table = table(2, 2);
        for _ in 0..100 {
            let place = table.admit(A, false).expect("a place");
            assert!(place.waits().begin());
        }
        let inner = table.inner();
        assert!(inner.served.is_empty() && (inner.serving, inner.open) == (0, 0));
    }

    #[test]
    fn a_proxy_has_as_many_connections_as_there_are() {
        let table = table(3, 1);
        let places: Vec<_> = (0..3).map(|_| table.admit(A, true).expect("a place")).collect();
        assert!(!places.iter().any(is_cut));
    }
}
