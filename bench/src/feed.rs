//! Feeds: a warm `feed.json` of the program beside a bare axum handler that returns the same bytes, in processes alike,
//! by the same load tool, in turns.

use std::{io::Read, net::Ipv4Addr, time::Duration};

use anyhow::Result;
use axum::{Router, http::header, routing::get};
use bytes::Bytes;
use domain::{Connection, account::Plan};
use store::testing::Engine;
use tests::{browser::Browser, process::Settings};

use crate::{
    beside::Beside,
    figure::{Figure, median},
    load::rate,
    serve::{Place, place},
};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
const LASTS: Duration = Duration::from_secs(2);

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let Place { settings, sandbox, .. } = &place(Engine::Sqlite).await?;
    let process = settings.start().await;
    let widget = fresh_widget(settings, sandbox).await;
    let host = settings.base.trim_start_matches("http://").to_owned();
    let path = format!("/w/{widget}/feed.json");
    let body = Browser::new(&settings.base).ask(&path).await.bytes().await?;
    let bare = Beside::start("bare", Some(&body))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(rate(&bare.address, "/", CONNECTIONS, LASTS).await?);
        ours.push(rate(&host, &path, CONNECTIONS, LASTS).await?);
    }
    drop(process);
    let name = format!("warm feed.json of {} bytes, beside a bare axum handler", body.len());
    Ok(vec![Figure::alone(name, median(ours), "1/s", "ratio ≥ 0.5").beside(median(theirs))])
}

async fn fresh_widget(settings: &Settings, sandbox: &sandbox::Sandbox) -> String {
    let owner = Browser::new(&settings.base);
    owner.sign_in("ann@example.com", tests::relight::PASSWORD).await;
    let holder = sandbox.world().account_id("luma.ceramics").unwrap_or_default();
    let account = owner.connect(Connection::Consumer, holder).await;
    let widget = owner.add_widget(&account, Plan::Upgraded).await;
    owner.until_fresh(&format!("/accounts/{account}"), 1).await;
    widget
}

/// Serves what it reads from standard input until it is killed; prints where.
pub(crate) async fn bare() -> Result<()> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let body = Bytes::from(body);
    let handler = async move || ([(header::CONTENT_TYPE, "application/json")], body);
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, Router::new().route("/", get(handler))).await?)
}
