//! Connections as badly behaved clients make them, below HTTP.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use engine::testing::fault_after;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// An address that isn't the one that [`crate::browser::Browser`]s have.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A connection to a base URL, from this loopback address.
///
/// # Panics
/// When it isn't accepted.
pub async fn connect(base: &str, from: Ipv4Addr) -> TcpStream {
    let address: SocketAddr = base.trim_start_matches("http://").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    // So that a client that doesn't read is noticed after some kilobytes.
    socket.set_recv_buffer_size(4096).expect("set");
    socket.bind(SocketAddr::from((from, 0))).expect("a loopback address");
    socket.connect(address).await.expect("accepted")
}

/// A connection that has sent a part of a request's header.
///
/// # Panics
/// When it isn't accepted.
pub async fn half_open(base: &str, from: Ipv4Addr) -> TcpStream {
    let mut connection = connect(base, from).await;
    // The server may have closed it already.
    let _ = connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").await;
    connection
}

/// The first piece of what is answered to a request that is sent as it stands: at least its first line, unless the
/// connection is closed.
///
/// # Panics
/// When nothing is answered in time.
pub async fn answer(connection: &mut TcpStream, request: &str) -> String {
    let _ = connection.write_all(request.as_bytes()).await;
    let mut read = vec![0; 4096];
    let length = tokio::time::timeout(PATIENCE, connection.read(&mut read)).await.expect("in time").unwrap_or(0);
    String::from_utf8_lossy(&read[..length]).into_owned()
}

/// The status line that `/healthz` is answered with, from this address, on a new connection.
///
/// # Panics
/// When nothing is answered in time.
pub async fn health(base: &str, from: Ipv4Addr) -> String {
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let said = answer(&mut connect(base, from).await, request).await;
    said.lines().next().unwrap_or_default().to_owned()
}

/// Waits until the server has closed a connection, reading what it still says.
///
/// # Panics
/// When it isn't closed in time.
pub async fn until_closed(connection: &mut TcpStream) {
    let mut read = [0; 4096];
    let closed = async { while connection.read(&mut read).await.is_ok_and(|length| length > 0) {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("the server never closes the connection");
}

/// Sends the same bytes again and again, a pause between, until the server has closed the connection. Reads nothing.
///
/// # Panics
/// When it isn't closed in time.
pub async fn send_until_closed(connection: &mut TcpStream, bytes: &[u8], pause: Duration) {
    let closed = async {
        while connection.write_all(bytes).await.is_ok() {
            fault_after(pause).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("the server never closes the connection");
}
