//! Cron expressions: the text a person wrote, and when it is due next.
//!
//! Owns their dialect. Must not read a clock.

use std::fmt;

use chrono::{DateTime, MappedLocalTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::JobType;
use croner::parser::{CronParser, Seconds};

use super::layers::Raw;
use super::problem::Fault;

/// No change of clocks moves them further than this.
const CHANGE_MAX: TimeDelta = TimeDelta::hours(3);

/// Seconds, minutes, hours, days, months and days of the week.
const FIELDS_MAX: usize = 6;

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
        // The parser would take a seventh as the year, and a year may be over.
        let fields = text.split_whitespace().count();
        if fields > FIELDS_MAX {
            return Err(CronError::Malformed(format!("it has {fields} fields")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let parsed = parser.parse(text).map_err(|error| CronError::Malformed(error.to_string()))?;
        let cron = Self { text: text.to_owned(), parsed };
        // Any fixed day will do: what is due at all is due after it.
        let some_day = Utc.timestamp_opt(0, 0).single().expect("the epoch is a time");
        cron.next_after(some_day, Tz::UTC).map(|_| cron).ok_or(CronError::Never)
    }

    /// The first time after `time` at which the expression is due on the clocks of
    /// `zone`. A fixed time of day is due once a day: in a gap at its end, in a fold at
    /// its first pass. What recurs within the hour or day goes on through both passes.
    pub fn next_after(&self, time: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        if !is_near_a_change(time, zone) {
            return self.candidate(time.with_timezone(&zone)).map(|next| next.to_utc());
        }
        // The parser's search sees the clock's face only. In the second pass of a fold
        // that yields times of the first one, so its candidates are sorted out here.
        let mut best: Option<DateTime<Utc>> = None;
        let mut candidate = self.candidate((time - CHANGE_MAX).with_timezone(&zone))?;
        while best.is_none_or(|best| best > candidate) {
            let passes = self.passes(candidate).into_iter().filter(|pass| *pass > time);
            best = best.into_iter().chain(passes).min();
            let Some(following) = self.candidate(candidate) else { break };
            candidate = following;
        }
        best
    }

    /// The longest time between two times at which it is due, looking ahead from `time` for a
    /// year, or for as many times as a minute-by-minute schedule has in a week.
    pub fn longest_gap(&self, time: DateTime<Utc>, zone: Tz) -> Option<TimeDelta> {
        const YEAR: TimeDelta = TimeDelta::days(366);
        const TIMES_MAX: usize = 7 * 24 * 60;
        let mut longest = None;
        let mut last = self.next_after(time, zone)?;
        for _ in 0..TIMES_MAX {
            let Some(next) = self.next_after(last, zone) else { break };
            longest = longest.max(Some(next - last));
            last = next;
            if last - time > YEAR {
                break;
            }
        }
        longest
    }

    fn candidate(&self, time: DateTime<Tz>) -> Option<DateTime<Tz>> {
        self.parsed.find_next_occurrence(&time, false).ok()
    }

    /// The moments at which the clock shows the time of `candidate` and it counts.
    fn passes(&self, candidate: DateTime<Tz>) -> Vec<DateTime<Utc>> {
        let face = candidate.timezone().from_local_datetime(&candidate.naive_local());
        match (face, self.parsed.determine_job_type()) {
            (MappedLocalTime::Ambiguous(first, second), JobType::IntervalWildcard) => {
                vec![first.to_utc(), second.to_utc()]
            }
            _ => vec![candidate.to_utc()],
        }
    }
}

/// Whether the clocks of `zone` are changed shortly before or after `time`.
fn is_near_a_change(time: DateTime<Utc>, zone: Tz) -> bool {
    let offset = |time: DateTime<Utc>| zone.offset_from_utc_datetime(&time.naive_utc()).fix();
    offset(time - CHANGE_MAX) != offset(time + CHANGE_MAX)
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
