//! What sign-ins cost: memory of the program while very many try at once, half of them with unknown addresses, and after.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use engine::testing::Engine;
use reqwest::StatusCode;
use tests::{browser::Browser, relight::PASSWORD};

use crate::{
    bench::Bench,
    figure::Figure,
    serve::{Place, place},
};

const SIGN_INS: u32 = 1_000;
const AT_ONCE: u32 = 100;
/// How long it is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);
/// How long a client waits that was refused. Less than `Retry-After` asks for, and enough to leave the cores to hashes.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn measure(bench: &Bench, engine: Engine) -> Result<()> {
    let mut place = place(engine).await?;
    let sign_ins = bench.size(SIGN_INS);
    let Place { settings, .. } = &mut place;
    // Each client has an address of its own, so that the limit of one address doesn't answer instead.
    let process = settings.set("HTTP__TRUSTED_PROXIES", "127.0.0.1").start().await;
    tokio::time::sleep(IDLE).await;
    let idle = process.resident_mib();
    let (left, refused) = (Arc::new(AtomicU32::new(sign_ins)), Arc::new(AtomicU32::new(0)));
    let begun = Instant::now();
    let clients = (0..AT_ONCE).map(|_| {
        let (base, left, refused) = (settings.base.clone(), left.clone(), refused.clone());
        tokio::spawn(async move {
            while let Ok(number) = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
                sign_in(&base, number, &refused).await?;
            }
            anyhow::Ok(())
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    let rate = f64::from(sign_ins) / begun.elapsed().as_secs_f64();
    let peak = process.peak_mib();
    tokio::time::sleep(IDLE).await;
    let name = format!("{sign_ins} sign-ins, {AT_ONCE} at once");
    let more = process.resident_mib() - idle;
    bench.figure(Figure::alone(format!("{name}: memory at the peak (VmHWM)"), peak, "MiB", "≤ 256"));
    bench.figure(Figure::alone(format!("{name}: memory (VmRSS) more than before"), more, "MiB", "≤ 20"));
    bench.figure(Figure::alone(format!("{name}: passwords verified"), rate, "1/s", ""));
    bench.figure(Figure::alone(format!("{name}: tries refused with 429"), f64::from(refused.load(Relaxed)), "", ""));
    Ok(())
}

/// Tries until it isn't refused.
async fn sign_in(base: &str, number: u32, refused: &AtomicU32) -> Result<()> {
    let [.., high, low] = number.to_be_bytes();
    let browser = Browser::at(base, Ipv4Addr::new(10, 0, high, low));
    // One account with many failures would be slowed: half of the tries are right, the others each at another address.
    let unknown = format!("nobody{number}@example.com");
    let email = if number.is_multiple_of(2) { "ann@example.com" } else { unknown.as_str() };
    loop {
        let answer = browser.post("/login", &[("email", email), ("password", PASSWORD)]).await;
        match answer.status() {
            StatusCode::SEE_OTHER | StatusCode::OK => return Ok(()),
            status => ensure!(status == StatusCode::TOO_MANY_REQUESTS, "{status}"),
        }
        refused.fetch_add(1, Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}
