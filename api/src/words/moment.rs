//! Instants in words.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

/// An instant as a `<time>`: relative to read, exact to look up. Displays as HTML, of nothing but digits and our words.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The instant.
    pub at: DateTime<Utc>,
    /// The time now.
    pub now: DateTime<Utc>,
}

impl Moment {
    /// The same in words alone, for a text.
    pub fn plain(&self) -> String {
        relative(self.at - self.now)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let title = self.at.format("%e %B %Y, %H:%M:%S UTC");
        let words = relative(self.at - self.now);
        write!(f, "<time datetime=\"{exact}\" title=\"{title}\">{words}</time>")
    }
}

/// "3 minutes ago", "in 2 days".
fn relative(distance: TimeDelta) -> String {
    let seconds = distance.num_seconds().unsigned_abs();
    let unit_seconds = match seconds {
        0..60 => 1,
        60..3_600 => 60,
        3_600..86_400 => 3_600,
        _ => 86_400,
    };
    // What has passed is counted in whole units; what is to come, in the nearest: 60 days are told as 60 from the start.
    let nearest = if distance < TimeDelta::zero() { 0 } else { unit_seconds / 2 };
    let number = (seconds + nearest) / unit_seconds;
    let unit = match unit_seconds {
        1 if seconds < 10 => return if distance <= TimeDelta::zero() { "just now" } else { "now" }.to_owned(),
        1 => "second",
        60 => "minute",
        3_600 => "hour",
        _ => "day",
    };
    let plural = if number == 1 { "" } else { "s" };
    if distance < TimeDelta::zero() {
        format!("{number} {unit}{plural} ago")
    } else {
        format!("in {number} {unit}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_said_in_the_largest_unit() {
        assert_eq!(relative(TimeDelta::seconds(-4)), "just now");
        assert_eq!(relative(TimeDelta::seconds(-61)), "1 minute ago");
        assert_eq!(relative(TimeDelta::hours(47)), "in 2 days");
        assert_eq!(relative(TimeDelta::seconds(60 * 86_400 - 20)), "in 60 days");
        assert_eq!(relative(TimeDelta::hours(-47)), "1 day ago");
        assert_eq!(relative(TimeDelta::days(-60)), "60 days ago");
    }
}
