//! The load tool: connections that each send the same request again as soon as it is answered. Small, so that on the same
//! cores it takes little from what it measures.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many answers a second a path gives.
pub(crate) async fn rate(host: &str, path: &str, connections: usize, lasts: Duration) -> Result<f64> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let begun = Instant::now();
    let ends = begun + lasts;
    let workers = (0..connections).map(|_| tokio::spawn(one(host.to_owned(), request.clone(), ends)));
    let mut answers = 0;
    for worker in workers.collect::<Vec<_>>() {
        answers += worker.await??;
    }
    Ok(f64::from(answers) / begun.elapsed().as_secs_f64())
}

async fn one(host: String, request: String, ends: Instant) -> Result<u32> {
    let mut connection = TcpStream::connect(&host).await?;
    connection.set_nodelay(true)?;
    let (mut answers, mut buffer) = (0, vec![0; 256 * 1024]);
    while Instant::now() < ends {
        connection.write_all(request.as_bytes()).await?;
        let mut have = 0;
        let whole = loop {
            let read = connection.read(&mut buffer[have..]).await?;
            if read == 0 {
                bail!("the connection was closed");
            }
            have += read;
            if let Some(whole) = length(&buffer[..have])? {
                break whole;
            }
        };
        while have < whole {
            have += connection.read(&mut buffer[have..]).await?;
        }
        answers += 1;
    }
    Ok(answers)
}

/// The length of an answer, once its head is there.
fn length(answer: &[u8]) -> Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&answer[..head])?;
    if !text.starts_with("HTTP/1.1 200") {
        bail!("answered {}", text.lines().next().unwrap_or_default());
    }
    let length = text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let length: usize = length.context("an answer without its length")?;
    Ok(Some(head + 4 + length))
}
