//! The sandbox as a program: `cargo run -p sandbox [ADDRESS]`, on `127.0.0.1:4010` unless told otherwise.

use std::{error::Error, net::SocketAddr};

use sandbox::{Config, Sandbox};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:4010").parse()?;
    let sandbox = Sandbox::start(Config { listen, ..Config::default() }).await?;
    println!("A pretend Meta, to look at and to upset: {}", sandbox.url());
    sandbox.wait().await;
    Ok(())
}
