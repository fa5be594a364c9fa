//! Reads keys one by one and keeps every problem it meets.
//!
//! Owns the walk over the keys. Must not stop at the first problem: where a value is
//! bad the default stands in, so that reading goes on and all problems show at once.

use std::collections::BTreeSet;

use super::layers::{Layers, Raw};
use super::problem::{Fault, Origin, Problem, Problems};

/// A configuration that is being read.
pub(super) struct Reader {
    layers: Layers,
    asked: BTreeSet<&'static str>,
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(mut layers: Layers) -> Self {
        let problems = std::mem::take(&mut layers.problems);
        Self { layers, asked: BTreeSet::new(), problems }
    }

    /// The value of `key` as `parse` understands it.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Raw) -> Result<T, Fault>,
    ) -> T {
        self.asked.insert(key);
        let placed = self.layers.effective.get(key);
        match placed.map(|placed| parse(&placed.raw)) {
            Some(Ok(value)) => return value,
            Some(Err(fault)) => self.complain(key, fault),
            None => {}
        }
        let default = self.layers.defaults.get(key).and_then(|raw| parse(raw).ok());
        default.expect("default.toml has every key, with a good value; a test holds it")
    }

    /// Whether somebody gave `key` a value other than the empty text.
    pub(super) fn is_given(&self, key: &str) -> bool {
        let empty = Raw::Text(String::new());
        self.layers
            .effective
            .get(key)
            .is_some_and(|placed| placed.origin != Origin::Default && placed.raw != empty)
    }

    /// Whether something was already said about `key`.
    pub(super) fn is_bad(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// Notes that something is wrong with `key`.
    pub(super) fn complain(&mut self, key: &str, fault: Fault) {
        let Fault { what, remedy } = fault;
        let placed = self.layers.effective.get(key);
        let origin = placed.map_or(Origin::Default, |placed| placed.origin.clone());
        self.problems.push(Problem { key: key.to_owned(), origin, what, remedy });
    }

    /// Notes that `key` must be given in this combination.
    pub(super) fn require<T: Default>(&mut self, key: &str, value: Option<T>, why: &str) -> T {
        value.unwrap_or_else(|| {
            if !self.is_bad(key) {
                let variable = super::layers::variable_of(key);
                self.complain(
                    key,
                    Fault::new(format!("is not set, but {why}"), format!("set it, or {variable}")),
                );
            }
            T::default()
        })
    }

    /// Ends the walk, of which one section is wanted: the values of others may be bad.
    pub(super) fn finish_section(mut self, section: &str) -> Result<(), Problems> {
        let elsewhere = |key: &str| key.split('.').next() != Some(section);
        let Self { asked, problems, .. } = &mut self;
        problems.retain(|p| !(asked.contains(p.key.as_str()) && elsewhere(&p.key)));
        self.finish()
    }

    /// Ends the walk: whatever nobody asked for is unknown.
    pub(super) fn finish(mut self) -> Result<(), Problems> {
        let asked = |key: &String| self.asked.contains(key.as_str());
        let unknown: Vec<String> =
            self.layers.effective.keys().filter(|key| !asked(key)).cloned().collect();
        for key in unknown {
            let fault = not_a_key(&key, &self.asked);
            self.complain(&key, fault);
        }
        self.problems.sort_by(|a, b| (&a.key, &a.origin).cmp(&(&b.key, &b.origin)));
        if self.problems.is_empty() { Ok(()) } else { Err(Problems(self.problems)) }
    }
}

fn not_a_key(key: &str, known: &BTreeSet<&'static str>) -> Fault {
    let (section, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let inside = |section: &str| -> Vec<&str> {
        known.iter().filter_map(|known| known.strip_prefix(section)?.strip_prefix('.')).collect()
    };
    if !inside(key).is_empty() {
        return Fault::new(
            "is a section, not a value",
            format!("set one of its keys: {}", inside(key).join(", ")),
        );
    }
    let elsewhere =
        known.iter().find(|known| known.rsplit_once('.').is_some_and(|(_, last)| last == leaf));
    let remedy = match (inside(section), elsewhere) {
        (_, Some(elsewhere)) => format!("did you mean {elsewhere}?"),
        (siblings, None) if siblings.is_empty() => {
            let sections: BTreeSet<&str> =
                known.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
            format!("the sections are {}", sections.into_iter().collect::<Vec<_>>().join(", "))
        }
        (siblings, None) => format!("[{section}] has {}", siblings.join(", ")),
    };
    Fault::new("there is no such key", remedy)
}
