//! Cron expressions: the text a person wrote, and when it is due next.
//!
//! Owns their dialect. Must not read a clock.

use std::fmt;

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds};

use super::layers::Raw;
use super::problem::Fault;

/// A cron expression that is due again and again.
#[derive(Clone)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
}

/// Why a text is not a usable cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not cron at all.
    #[error("is not a cron expression: {0}")]
    Malformed(String),
    /// Well formed, such as 31 February, but no such day will come.
    #[error("names a date that never comes")]
    Never,
}

impl Cron {
    /// Understands five fields, or six with the seconds first.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let parsed = parser.parse(text).map_err(|error| CronError::Malformed(error.to_string()))?;
        let cron = Self { text: text.to_owned(), parsed };
        // Any fixed day will do: what is due at all is due after it.
        let some_day = Utc.timestamp_opt(0, 0).single().expect("the epoch is a time");
        cron.next_after(some_day, Tz::UTC).map(|_| cron).ok_or(CronError::Never)
    }

    /// The first time after `time` at which the expression is due on the clocks of
    /// `zone`: in a gap the first moment after it, in a fold once.
    pub fn next_after(&self, time: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let next = self.parsed.find_next_occurrence(&time.with_timezone(&zone), false).ok()?;
        Some(next.with_timezone(&Utc))
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// A cron expression, or "off".
pub(super) fn cron(raw: &Raw) -> Result<Option<Cron>, Fault> {
    let remedy = "use five fields such as \"*/5 * * * *\", six with seconds first, or \"off\"";
    match super::values::text(raw)? {
        None => Err(Fault::new("is empty", remedy)),
        Some("off") => Ok(None),
        Some(text) => Cron::parse(text)
            .map(Some)
            .map_err(|error| Fault::new(format!("{text:?} {error}"), remedy)),
    }
}
