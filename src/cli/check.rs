//! `check`: whether everything that a run needs is there, with remedies.
//!
//! Owns the form of the answer: one line for each check. The checks of database, token
//! and permissions belong to those modules and are passed in as [`Checked`].

use super::{Context, Exit};
use crate::config::Config;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What was checked.
    pub what: &'static str,
    /// What was found, or what is wrong together with its remedy.
    pub result: Result<String, String>,
}

impl Checked {
    /// Prints the line and tells whether all is well.
    pub fn tell(&self) -> bool {
        match &self.result {
            Ok(found) => println!("ok    {}: {found}", self.what),
            Err(wrong) => println!("WRONG {}: {wrong}", self.what),
        }
        self.result.is_ok()
    }
}

/// Checks the configuration, which everything else depends on.
pub fn configuration(context: &Context) -> Result<Config, Exit> {
    let config = context.config()?;
    let from = context.sources.file.as_ref();
    let source = from.map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    let found = format!("{source}, credential {}", config.identity.credential.kind());
    Checked { what: "configuration", result: Ok(found) }.tell();
    for warning in &config.warnings {
        println!("note  configuration: {warning}");
    }
    Ok(config)
}

/// Prints all results; one that is wrong fails the command.
pub fn conclude(results: &[Checked]) -> Exit {
    let wrong = results.iter().filter(|checked| !checked.tell()).count();
    if wrong == 0 { Exit::Done } else { Exit::Failed }
}
