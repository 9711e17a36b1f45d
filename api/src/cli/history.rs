//! `relight history`.

use anyhow::{Result, bail};
use domain::AccountId;
use engine::Filter;
use projections::story::{self, Chapter};

use crate::{config::Config, database, input::Instant, json::events::Event};

/// How many events are read at once.
const PAGE: i64 = 1_000;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The account's id.
    account: AccountId,
    /// Only up to this instant, such as `2026-11-23T10:00:00Z`: what was known then.
    #[arg(long, value_name = "TIME")]
    at: Option<Instant>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, options: Options) -> Result<()> {
    let store = store::of(database::existing(&config).await?);
    let to = options.at.map(|Instant(at)| at + chrono::TimeDelta::microseconds(1));
    let mut filter = Filter { aggregate_id: Some(options.account.to_string()), to, ..Filter::default() };
    let mut events = Vec::new();
    loop {
        let page = store.events(&filter, PAGE).await?;
        let Some(last) = page.last() else { break };
        filter.after = last.position;
        events.extend(page);
    }
    store.database().close().await;
    if events.is_empty() {
        bail!("There is no event of this account{}.", if options.at.is_some() { " until then" } else { "" });
    }
    for chapter in story::tell(events) {
        if options.json { print_json(&chapter)? } else { print_words(&chapter) }
    }
    Ok(())
}

fn print_json(chapter: &Chapter) -> Result<()> {
    let mut line = serde_json::to_value(Event::from(chapter.recorded.clone()))?;
    line["words"] = chapter.words.clone().into();
    line["state"] = chapter.state.clone().into();
    line["clocks"] = chapter.clocks.clone().into();
    say!("{line}");
    Ok(())
}

fn print_words(chapter: &Chapter) {
    let recorded = &chapter.recorded;
    say!("{}  {}", recorded.at.format("%Y-%m-%d %H:%M:%S UTC"), chapter.words);
    let known: serde_json::Value = serde_json::from_str(recorded.metadata.get()).unwrap_or_default();
    say!("    by {}, position {}, in {}", recorded.actor, recorded.position, known["correlation"]);
    say!("    then: {}", chapter.state);
    if let Some(clocks) = &chapter.clocks {
        say!("    {clocks}");
    }
}
