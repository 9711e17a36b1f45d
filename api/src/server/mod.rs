//! The HTTP server: hyper under the router, with bounds and timeouts.
//!
//! On the way of a request it comes first: it accepts a connection if [`Bounds`] leave a place, reads requests, hands them to
//! the router and writes the answers. Its rule for time: whenever the server waits for the *client*, one of [`Timeouts`]
//! runs; while the client waits for the server, none does. So an answer that is long in the making, such as a stream of
//! server-sent events, is never cut as long as the client takes what is written; how many streams there are is bounded by
//! [`Streams`].
//!
//! HTTP/1.1 only: HTTP/2 is what a proxy in front speaks with browsers.

mod accept;
mod bodies;
mod bounds;
mod connection;
mod io;
mod streams;
mod table;
mod timeouts;
mod waits;

pub use accept::serve;
pub use bounds::Bounds;
pub use streams::{StreamPermit, Streams};
pub use timeouts::Timeouts;
