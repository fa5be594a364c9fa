//! The goals, each with what was measured, and the verdict over all.

use std::fmt;

/// What was held against its limit.
#[derive(Debug)]
struct Goal {
    name: String,
    measured: String,
    limit: String,
    met: bool,
    /// Whether missing it fails the benchmark.
    judged: bool,
}

/// All goals of one invocation.
#[derive(Debug)]
pub(crate) struct Goals {
    judges_times: bool,
    goals: Vec<Goal>,
}

impl Goals {
    pub(crate) const fn new(judges_times: bool) -> Self {
        Self { judges_times, goals: Vec::new() }
    }

    /// A ratio of times, which says something in the full shape only.
    pub(crate) fn ratio(&mut self, name: &str, ratio: f64, at_most: f64) {
        self.goals.push(Goal {
            name: name.to_owned(),
            measured: format!("{ratio:.2}"),
            limit: format!("at most {at_most}"),
            met: ratio <= at_most,
            judged: self.judges_times,
        });
    }

    /// A count, which always says something.
    pub(crate) fn count(&mut self, name: &str, count: u64, at_most: u64) {
        self.goals.push(Goal {
            name: name.to_owned(),
            measured: count.to_string(),
            limit: format!("at most {at_most}"),
            met: count <= at_most,
            judged: true,
        });
    }

    /// Two counts that must be about the same: the larger is at most a tenth above the other.
    pub(crate) fn same(&mut self, name: &str, one: u64, other: u64) {
        let (less, more) = (one.min(other), one.max(other));
        self.goals.push(Goal {
            name: name.to_owned(),
            measured: format!("{one} and {other}"),
            limit: "the same".to_owned(),
            met: more * 10 <= less * 11,
            judged: true,
        });
    }

    pub(crate) fn are_met(&self) -> bool {
        self.goals.iter().all(|goal| goal.met || !goal.judged)
    }
}

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Goal { name, measured, limit, met, judged } in &self.goals {
            let verdict = match (met, judged) {
                (true, _) => "PASS",
                (false, true) => "FAIL",
                (false, false) => "----",
            };
            writeln!(f, "{verdict}  {name}: {measured} ({limit})")?;
        }
        Ok(())
    }
}
