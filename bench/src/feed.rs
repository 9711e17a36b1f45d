//! Feeds: a warm `feed.json` of the program beside a bare axum handler that returns the same bytes, in processes alike,
//! by the same load tool, in turns.

use std::{io::Read, net::Ipv4Addr, time::Duration};

use anyhow::Result;
use axum::{Router, http::header, routing::get};
use bytes::Bytes;
use domain::{Connection, account::Plan};
use engine::testing::Engine;
use tests::{browser::Browser, process::Settings};

use crate::{
    bench::Bench,
    beside::Beside,
    figure::{Figure, median},
    load::rate,
    serve::{Place, place},
};

const CONNECTIONS: usize = 32;
const ROUNDS: u32 = 5;
const LASTS: Duration = Duration::from_secs(2);

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let Place { settings, sandbox, .. } = &place(engine).await?;
    let process = settings.start().await;
    let widget = fresh_widget(settings, sandbox).await;
    let host = settings.base.trim_start_matches("http://").to_owned();
    let path = format!("/w/{widget}/feed.json");
    let body = Browser::new(&settings.base).ask(&path).await.bytes().await?;
    let bare = Beside::start("bare", Some(&body))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let lasts = bench.lasts(LASTS);
    for _ in 0..bench.fewer(ROUNDS) {
        theirs.push(rate(&bare.address, "/", CONNECTIONS, lasts).await?);
        ours.push(rate(&host, &path, CONNECTIONS, lasts).await?);
    }
    drop(process);
    let name = "warm feed.json, answers a second, beside a bare axum handler that returns the same bytes";
    bench.figure(Figure::alone(name, median(ours), "/s", "ratio ≥ 0.5").beside(median(theirs)));
    Ok(())
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
