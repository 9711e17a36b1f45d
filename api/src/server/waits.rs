//! What the server waits for on one connection, since when, and until when.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::timeouts::{Timeouts, WRITE_BYTES_PER_SECOND};

/// What the server waits for on one connection. Written by its socket and bodies, read by its task and by the table of
/// connections.
#[derive(Debug)]
pub(super) struct Waits {
    timeouts: Timeouts,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    order: Order,
    /// No request is under way.
    between: Option<Between>,
    body: Option<Body>,
    write: Write,
}

/// What the connection's task must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing.
    Serve,
    /// Finish the request that is under way, then close.
    Finish,
    /// Close now.
    Cut,
}

/// No request is under way.
#[derive(Debug, Clone, Copy)]
struct Between {
    since: Instant,
    /// Its first byte has come.
    header: bool,
}

/// A request's body is read.
#[derive(Debug, Clone, Copy)]
struct Body {
    began: Instant,
    /// When the wait for the next piece began, if it does wait.
    since: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    /// When the client stopped to take what is written, if it did.
    since: Option<Instant>,
    /// How long it may still do so.
    left: Duration,
}

impl Waits {
    /// Of a connection that was accepted now: its first request's header is awaited.
    pub(super) fn new(timeouts: Timeouts) -> Self {
        let between = Some(Between { since: Instant::now(), header: true });
        let write = Write { since: None, left: timeouts.write };
        let state = State { order: Order::Serve, between, body: None, write };
        Self { timeouts, state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    pub(super) fn came(&self) {
        if let Some(between) = &mut self.state().between
            && !between.header
        {
            *between = Between { since: Instant::now(), header: true };
        }
    }

    /// A request begins. No more than this can be done for it if the answer is `false`: the connection is being closed.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state();
        state.between = None;
        state.order != Order::Cut
    }

    /// The next piece of a request's body is awaited.
    pub(super) fn body_awaited(&self) {
        let now = Instant::now();
        let body = &mut self.state().body;
        let body = body.get_or_insert(Body { began: now, since: None });
        body.since.get_or_insert(now);
    }

    /// A piece of a request's body came.
    pub(super) fn body_came(&self) {
        if let Some(body) = &mut self.state().body {
            body.since = None;
        }
    }

    /// A request's body is read, or isn't wanted any more.
    pub(super) fn body_ended(&self) {
        self.state().body = None;
    }

    /// An answer was made. Parts of it may not be written yet.
    pub(super) fn answered(&self) {
        self.state().between = Some(Between { since: Instant::now(), header: false });
    }

    /// The client doesn't take what is written.
    pub(super) fn write_blocked(&self) {
        self.state().write.since.get_or_insert_with(Instant::now);
    }

    /// The client took some bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        let mut state = self.state();
        let Some(since) = state.write.since.take() else { return };
        let now = Instant::now();
        let earned = Duration::from_secs(bytes as u64) / WRITE_BYTES_PER_SECOND;
        let left = state.write.left.saturating_sub(now - since) + earned;
        state.write.left = left.min(self.timeouts.write);
        // The client is still busy with an answer: it needn't send the next request yet.
        if let Some(between) = &mut state.between {
            between.since = now;
        }
    }

    /// When the connection's task must look again: no wait runs out before.
    pub(super) fn next_look(&self) -> Instant {
        let latest = Instant::now() + self.timeouts.shortest();
        self.state().ends(&self.timeouts).map_or(latest, |ends| ends.min(latest))
    }

    /// Since when the server waits for the client, if it does.
    pub(super) fn since(&self) -> Option<Instant> {
        self.state().since()
    }

    /// Closes the connection if one of its waits has run out.
    pub(super) fn cut_if_overdue(&self) {
        let mut state = self.state();
        if state.ends(&self.timeouts).is_some_and(|ends| ends <= Instant::now()) {
            state.order = Order::Cut;
        }
    }

    /// Closes the connection if the server waits for the client. Whether it does so.
    pub(super) fn cut_if_waiting(&self) -> bool {
        let mut state = self.state();
        let waiting = state.since().is_some();
        if waiting {
            state.order = Order::Cut;
            self.changed.notify_one();
        }
        waiting
    }

    /// Closes the connection.
    pub(super) fn cut(&self) {
        self.state().order = Order::Cut;
        self.changed.notify_one();
    }

    /// Closes the connection, after the request that is under way if there is one.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        let idle = state.between.is_some() && state.write.since.is_none();
        state.order = if idle || state.order == Order::Cut { Order::Cut } else { Order::Finish };
        self.changed.notify_one();
    }

    /// What the connection's task must do.
    pub(super) fn order(&self) -> Order {
        self.state().order
    }

    /// Whether the connection is closed because its client doesn't take what is written.
    pub(super) fn is_given_up(&self) -> bool {
        let state = self.state();
        state.order == Order::Cut && state.write.since.is_some()
    }

    /// Waits until there is another order. For one task.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl State {
    fn since(&self) -> Option<Instant> {
        let between = self.between.map(|between| between.since);
        let body = self.body.and_then(|body| body.since);
        [between, body, self.write.since].into_iter().flatten().min()
    }

    /// When the first of the waits runs out.
    fn ends(&self, timeouts: &Timeouts) -> Option<Instant> {
        let write = self.write.since.map(|since| since + self.write.left);
        let between = self
            .between
            .filter(|_| write.is_none())
            .map(|between| between.since + if between.header { timeouts.header } else { timeouts.idle });
        let body = self.body.and_then(|Body { began, since }| {
            since.map(|since| (since + timeouts.body_piece).min(began + timeouts.body))
        });
        [between, body, write].into_iter().flatten().min()
    }
}
