//! A figure, and how figures are printed.

use anyhow::Result;
use serde::Serialize;

/// Something that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What it was measured beside, in the same run and unit.
    pub(crate) beside: Option<f64>,
    /// Value to beside.
    pub(crate) ratio: Option<f64>,
    /// What it must reach, in words.
    pub(crate) goal: &'static str,
}

impl Figure {
    pub(crate) fn alone(name: impl Into<String>, value: f64, unit: &'static str, goal: &'static str) -> Self {
        Self { name: name.into(), value, unit, beside: None, ratio: None, goal }
    }

    pub(crate) fn beside(self, beside: f64) -> Self {
        Self { beside: Some(beside), ratio: Some(self.value / beside), ..self }
    }
}

/// Prints all figures, as a table or as JSON.
pub(crate) fn print(figures: &[Figure], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(figures)?);
        return Ok(());
    }
    let number = |value: f64| if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    let optional = |value: Option<f64>| value.map_or_else(String::new, number);
    println!("{:<58} {:>10} {:<8} {:>10} {:>7}  goal", "figure", "value", "unit", "beside", "ratio");
    for figure in figures {
        println!(
            "{:<58} {:>10} {:<8} {:>10} {:>7}  {}",
            figure.name,
            number(figure.value),
            figure.unit,
            optional(figure.beside),
            optional(figure.ratio),
            figure.goal
        );
    }
    Ok(())
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The largest one.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}
