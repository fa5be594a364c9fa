//! `check`: whether everything that a run needs is there, with remedies.
//!
//! Owns the form of the answer: one line for each check, and what to do where it fails.

use std::sync::Arc;

use super::{Context, Exit};
use crate::chain::Chain;
use crate::config::Config;
use crate::graph::{self, Directory};
use crate::service;
use crate::store::Store;

/// Tries everything that a run needs, each step against the real thing.
pub async fn run(context: &Context) -> Exit {
    let config = match configuration(context) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mut results = vec![registry(&config), database(&config).await];
    match service::directory(&config, Arc::new(())) {
        Ok(directory) => results.extend(directory_checks(&directory).await),
        Err(error) => results.push(Checked::new("Microsoft Graph", Err(Chain(&error).to_string()))),
    }
    conclude(&results)
}

fn registry(config: &Config) -> Checked {
    let result = match config.registry.file.as_deref() {
        None => Ok("none configured; products are left alone".to_owned()),
        Some(path) => crate::registry::load(path)
            .map(|registry| format!("{} products", registry.entries.len()))
            .map_err(|error| Chain(&error).to_string()),
    };
    Checked::new("registry", result)
}

async fn database(config: &Config) -> Checked {
    let mut note = None;
    let ready = async {
        let store: Store =
            service::store(&config.database).map_err(|error| Chain(&error).to_string())?;
        let tenant_id = config.identity.tenant_id.to_string();
        store.ready_for(&tenant_id).await.map_err(|error| Chain(&error).to_string())?;
        let excess = store.read(|tx| tx.excess_audit_rights()).await;
        let excess = excess.map_err(|error| Chain(&error).to_string())?.join(", ");
        if !excess.is_empty() {
            note = Some(format!(
                "this role may {excess} on audit_logs, so that whoever gets hold of it can rewrite the history; docs/database-roles.sql makes one that may not"
            ));
        }
        Ok("reachable, the schema is current".to_owned())
    };
    let result = ready.await;
    Checked { note, ..Checked::new("database", result) }
}

/// What the application must be allowed to do, and what needs it.
const PERMISSIONS: &[(&[&str], &str)] = &[
    (&["User.Read.All", "Directory.Read.All"], "users and their delta"),
    (
        &["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"],
        "groups, members and their delta",
    ),
];

async fn directory_checks(directory: &Directory) -> Vec<Checked> {
    let roles = match directory.token_roles().await {
        Ok(roles) => roles,
        Err(error) => {
            return vec![Checked::new("token", Err(Chain(&error).to_string()))];
        }
    };
    let mut results = vec![Checked::new("token", Ok("obtained".to_owned()))];
    results.push(Checked::new("permissions", permissions(roles.as_deref())));
    let users = directory.count(graph::Counted::Users).await;
    let groups = directory.count(graph::Counted::Groups).await;
    results.push(counted("users", users));
    results.push(counted("groups", groups));
    let delta = directory.latest().await;
    results.push(Checked::new(
        "delta",
        delta
            .map(|_| "users and groups can be followed".to_owned())
            .map_err(|error| Chain(&error).to_string()),
    ));
    results
}

fn permissions(roles: Option<&[String]>) -> Result<String, String> {
    let Some(roles) = roles else {
        return Ok("the token does not tell; see the checks below".to_owned());
    };
    let granted = |names: &[&str]| names.iter().any(|name| roles.iter().any(|role| role == name));
    let missing: Vec<String> = PERMISSIONS
        .iter()
        .filter(|(names, _)| !granted(names))
        .map(|(names, what)| format!("{} (for {what})", names[0]))
        .collect();
    if missing.is_empty() {
        let hidden = if granted(&["Member.Read.Hidden"]) {
            ""
        } else {
            "; without Member.Read.Hidden, groups with hidden membership look empty"
        };
        Ok(format!("{}{hidden}", roles.join(", ")))
    } else {
        Err(format!(
            "missing {}; in Azure, App registrations, API permissions, add the application permission and grant admin consent",
            missing.join(" and ")
        ))
    }
}

fn counted(what: &'static str, result: Result<u64, graph::Error>) -> Checked {
    let result = match result {
        Ok(0) => Err(
            "Graph shows none at all, which is what a missing permission looks like; check consent"
                .to_owned(),
        ),
        Ok(count) => Ok(format!("{count} in the tenant")),
        Err(error) => Err(Chain(&error).to_string()),
    };
    Checked::new(what, result)
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What was checked.
    pub what: &'static str,
    /// What was found, or what is wrong together with its remedy.
    pub result: Result<String, String>,
    /// What works but should not stay so.
    pub note: Option<String>,
}

impl Checked {
    fn new(what: &'static str, result: Result<String, String>) -> Self {
        Self { what, result, note: None }
    }

    /// Prints the line and tells whether all is well.
    pub fn tell(&self) -> bool {
        match &self.result {
            Ok(found) => println!("ok    {}: {found}", self.what),
            Err(wrong) => println!("WRONG {}: {wrong}", self.what),
        }
        if let Some(note) = &self.note {
            println!("note  {}: {note}", self.what);
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
    Checked::new("configuration", Ok(found)).tell();
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
