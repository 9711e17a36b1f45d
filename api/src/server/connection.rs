//! One connection: hyper serves it until it ends, is overdue, or must be closed.

use std::{convert::Infallible, net::SocketAddr, pin::pin};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpStream;

use super::{
    bodies::{FromClient, ToClient},
    io::Watched,
    table::Place,
    waits::Order,
};

/// The largest header of a request, its first line included. nginx takes four lines of 8 KiB.
const HEADER_BYTES: usize = 32 * 1024;
/// How much hyper keeps of what is read and not parsed, or written and not taken. Many connections keep as much.
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, place: Place, router: Router) {
    let waits = place.waits().clone();
    // Answers are written whole, events one by one: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Watched::new(stream, waits.clone()));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let waits = waits.clone();
        let going_on = waits.begin();
        let mut request = request.map(|body| {
            if body.is_end_stream() { Body::empty() } else { Body::new(FromClient::new(body, waits.clone())) }
        });
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = going_on.then(|| router.call(request));
        async move {
            // Not begun: the connection is closed in a moment, and the client tries again elsewhere.
            let Some(answer) = answer else { return std::future::pending().await };
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| ToClient::new(body, waits)))
        }
    });
    let mut http = http1::Builder::new();
    // Our own timeouts tell a half-open request from an idle connection; hyper's doesn't.
    http.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(HEADER_BYTES).max_buf_size(BUFFER_BYTES);
    let mut connection = pin!(http.serve_connection(io, service));
    loop {
        tokio::select! {
            // What ends it otherwise is the client's matter: it went away, or spoke no HTTP.
            _ = connection.as_mut() => return,
            () = waits.changed() => {}
            () = tokio::time::sleep_until(waits.next_look()) => waits.cut_if_overdue(),
        }
        match waits.order() {
            Order::Serve => {}
            Order::Finish => connection.as_mut().graceful_shutdown(),
            Order::Cut => return,
        }
    }
}
