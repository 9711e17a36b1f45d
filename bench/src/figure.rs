//! A figure: what was measured, beside what, and what was promised.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Something that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What, and beside what. The same on both engines, so that the table has one line for both.
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: Cow<'static, str>,
    /// What it was measured beside, in the same run and unit.
    pub(crate) beside: Option<f64>,
    /// Value to beside.
    pub(crate) ratio: Option<f64>,
    /// What it must reach: `≤ 100` or `ratio ≥ 5`; other words are not checked.
    pub(crate) goal: Cow<'static, str>,
    /// Whether README's table has it.
    pub(crate) in_table: bool,
}

impl Figure {
    /// A figure; with a goal it stands in README's table.
    pub(crate) fn alone(name: impl Into<String>, value: f64, unit: &'static str, goal: &'static str) -> Self {
        let (unit, goal, in_table) = (Cow::Borrowed(unit), Cow::Borrowed(goal), !goal.is_empty());
        Self { name: name.into(), value, unit, beside: None, ratio: None, goal, in_table }
    }

    /// Beside another value of the same run.
    pub(crate) fn beside(self, beside: f64) -> Self {
        Self { beside: Some(beside), ratio: Some(self.value / beside), ..self }
    }

    /// Stands in README's table without a goal too.
    pub(crate) fn in_table(self) -> Self {
        Self { in_table: true, ..self }
    }

    /// Whether the goal is reached; `None` for one that isn't a number.
    pub(crate) fn holds(&self) -> Option<bool> {
        let (value, goal) = match self.goal.strip_prefix("ratio ") {
            Some(goal) => (self.ratio?, goal),
            None => (self.value, self.goal.as_ref()),
        };
        let (order, limit) = goal.split_once(' ')?;
        let limit: f64 = limit.parse().ok()?;
        match order {
            "≤" => Some(value <= limit),
            "≥" => Some(value >= limit),
            _ => None,
        }
    }

    /// Prints it as a line of what [`heading`] heads.
    pub(crate) fn print(&self) {
        let optional = |value: Option<f64>| value.map_or_else(String::new, number);
        println!(
            "{:<92} {:>9} {:<5} {:>9} {:>6}  {}{}",
            self.name,
            number(self.value),
            self.unit,
            optional(self.beside),
            optional(self.ratio),
            self.goal,
            if self.holds() == Some(false) { "  MISSED" } else { "" },
        );
    }
}

/// Prints what the columns are.
pub(crate) fn heading(group: &str, engine: &str) {
    println!(
        "\n{:<92} {:>9} {:<5} {:>9} {:>6}  goal",
        format!("== {group}, {engine}"),
        "value",
        "unit",
        "beside",
        "ratio"
    );
}

/// Three digits that count, with commas between thousands.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 9.995 {
        return format!("{value:.2}");
    }
    if magnitude < 99.95 {
        return format!("{value:.1}");
    }
    let whole = if magnitude < 999.5 { format!("{value:.0}") } else { format!("{:.0}", round(value)) };
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole.as_str()), |digits| ("-", digits));
    let thousands: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|chunk| std::str::from_utf8(chunk).ok()).collect();
    format!("{sign}{}", thousands.join(","))
}

/// To three digits that count.
fn round(value: f64) -> f64 {
    let step = 10_f64.powf(value.abs().log10().floor() - 2.0);
    (value / step).round() * step
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

/// The one that 99 of 100 are not above.
pub(crate) fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_checked_on_the_value_or_on_the_ratio() {
        let figure = |goal| Figure::alone("", 50.0, "ms", goal).beside(10.0);
        assert_eq!(figure("≤ 50").holds(), Some(true));
        assert_eq!(figure("≤ 49").holds(), Some(false));
        assert_eq!(figure("ratio ≥ 5").holds(), Some(true));
        assert_eq!(figure("ratio ≤ 1").holds(), Some(false));
        assert_eq!(figure("flat").holds(), None);
        assert_eq!(figure("").holds(), None);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!(number(0.538), "0.54");
        assert_eq!(number(76.04), "76.0");
        assert_eq!(number(335.2), "335");
        assert_eq!(number(25_268.0), "25,300");
        assert_eq!(number(-1_234_567.0), "-1,230,000");
    }
}
