//! README's table, made of the figures in a file.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use anyhow::{Context as _, Result};
use engine::testing::Engine;

use crate::{
    figure::{Figure, number},
    groups::{self, GROUPS},
    report::{Report, Run},
};

const BEGIN: &str = "<!-- bench table -->\n";
const END: &str = "<!-- end of bench table -->\n";
const ENGINES: [Engine; 2] = [Engine::Postgres, Engine::Sqlite];

/// The file that README's table is made of.
pub(crate) const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.json");
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

/// Writes the table into README.
pub(crate) fn write(figures: &Path) -> Result<()> {
    let readme = std::fs::read_to_string(README)?;
    Ok(std::fs::write(README, put(&readme, &table(&Report::read(figures)?)?)?)?)
}

/// A text with the table between its marks.
fn put(readme: &str, table: &str) -> Result<String> {
    let marks = || format!("README has no {} or {}", BEGIN.trim(), END.trim());
    let (before, rest) = readme.split_once(BEGIN).with_context(marks)?;
    let (_, after) = rest.split_once(END).with_context(marks)?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn table(report: &Report) -> Result<String> {
    if report.runs.is_empty() {
        return Ok("No figures are committed yet.\n".to_owned());
    }
    let mut table = machines(report)?;
    table += "\n| figure | PostgreSQL | SQLite | promised |\n|---|---|---|---|\n";
    for group in GROUPS {
        let Some(runs) = report.runs.get(group.name) else { continue };
        let on = ENGINES.map(|engine| runs.get(groups::name(engine)));
        let mut written = BTreeSet::new();
        for figure in on.iter().flatten().flat_map(|run| &run.figures).filter(|figure| figure.in_table) {
            if written.insert(&figure.name) {
                row(&mut table, &figure.name, &on)?;
            }
        }
    }
    Ok(table)
}

/// Where and of what all of it was made: a line for each machine.
fn machines(report: &Report) -> Result<String> {
    let mut text = String::new();
    let all = || report.runs.values().flat_map(|runs| runs.values()).map(|run| &run.machine);
    let names: BTreeSet<String> = all().map(ToString::to_string).collect();
    for name in names {
        let of_it = || all().filter(|machine| machine.to_string() == name);
        let list = |values: BTreeSet<&str>| values.into_iter().collect::<Vec<_>>().join(", ");
        let programs = list(
            of_it().flat_map(|run| [Some(&run.database), run.node.as_ref()]).flatten().map(String::as_str).collect(),
        );
        let dates = list(of_it().map(|run| run.date.as_str()).collect());
        let commits = list(of_it().map(|run| run.commit.as_str()).collect());
        writeln!(text, "Measured on {dates} at {commits} on: {name}, {programs}.")?;
    }
    Ok(text)
}

/// A line: the figure of this name on each engine.
fn row(table: &mut String, name: &str, on: &[Option<&Run>; 2]) -> Result<()> {
    let on = on.map(|run| run.and_then(|run| run.figures.iter().find(|figure| figure.name == name)));
    let goals: BTreeSet<String> =
        on.iter().flatten().map(|figure| goal(figure)).filter(|goal| !goal.is_empty()).collect();
    let goals = goals.into_iter().collect::<Vec<_>>().join(", ");
    let [postgres, sqlite] = on.map(|figure| figure.map_or_else(String::new, cell));
    Ok(writeln!(table, "| {name} | {postgres} | {sqlite} | {goals} |")?)
}

/// The value, and the ratio to what it was measured beside; bold where it misses what is promised.
fn cell(figure: &Figure) -> String {
    let value = with_unit(&number(figure.value), &figure.unit);
    let text = match figure.ratio {
        Some(ratio) => format!("{value}; {} ×", number(ratio)),
        None => value,
    };
    if figure.holds() == Some(false) { format!("**{text}**") } else { text }
}

fn goal(figure: &Figure) -> String {
    match figure.goal.strip_prefix("ratio ") {
        Some(ratio) => format!("{ratio} ×"),
        None if figure.holds().is_some() => with_unit(&figure.goal, &figure.unit),
        None => figure.goal.to_string(),
    }
}

fn with_unit(number: &str, unit: &str) -> String {
    let space = if unit.is_empty() || unit.starts_with('/') { "" } else { " " };
    format!("{number}{space}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_has_the_table_of_the_committed_figures() -> Result<()> {
        let readme = std::fs::read_to_string(README)?;
        let made = put(&readme, &table(&Report::read(Path::new(FIGURES))?)?)?;
        assert!(readme == made, "cargo run --release -p bench -- table");
        Ok(())
    }

    #[test]
    fn a_figure_that_misses_its_goal_is_bold() {
        let figure = Figure::alone("jobs a second", 40_000.0, "/s", "ratio ≥ 1").beside(80_000.0);
        assert_eq!((cell(&figure).as_str(), goal(&figure).as_str()), ("**40,000/s; 0.50 ×**", "≥ 1 ×"));
        let figure = Figure::alone("a page", 8.0, "ms", "≤ 15");
        assert_eq!((cell(&figure).as_str(), goal(&figure).as_str()), ("8.00 ms", "≤ 15 ms"));
    }
}
