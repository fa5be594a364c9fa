//! `registry check`: the registry's file alone, and what it would change in a database.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::once::once;
use super::plans::plain;
use super::{Context, Exit, RegistryCommand, unready, unusable};
use crate::config::{Config, Sources};
use crate::daemon::Shutdown;
use crate::directory::Mode;
use crate::reconcile::plan::{Item, Plan, lines};
use crate::reconcile::report::{FindingKind, Trigger};
use crate::registry::{self, Registry};
use crate::service;
use crate::sync::{Done, Sync};

/// Checks. With a whole configuration the names are resolved against the directory and
/// the changes shown, without writing any.
pub async fn run(context: &Context, command: &RegistryCommand) -> Exit {
    let RegistryCommand::Check { file } = command;
    let config = match Config::load(&context.sources) {
        Err(problems) if wants_comparison(&context.sources) => {
            eprintln!("{problems}");
            return Exit::Usage;
        }
        config => config,
    };
    let configured = config.as_ref().ok().and_then(|config| config.registry.file.clone());
    let Some(path) = file.clone().or(configured) else {
        eprintln!("no registry: name a file, or set registry.file");
        return Exit::Usage;
    };
    let registry = match registry::load(&path) {
        Ok(registry) => registry,
        Err(error) => return unusable(&error),
    };
    tell_file(&path, &registry);
    let config = match config {
        Ok(config) => config,
        Err(problems) => {
            println!(
                "only the file was checked; {} setting(s) are missing to compare it with a database",
                problems.0.len()
            );
            return Exit::Done;
        }
    };
    match compare(&config, registry).await {
        Ok(done) => tell_changes(&done),
        Err(exit) => exit,
    }
}

/// Whether a database was meant: whoever gives settings and makes a mistake in them must
/// not take the check of the file alone for the check of both.
fn wants_comparison(sources: &Sources) -> bool {
    let settings =
        |name: &String| name.starts_with("DIRSYNC__") && name != "DIRSYNC__REGISTRY__FILE";
    sources.file.is_some() || sources.environment.keys().any(settings)
}

fn tell_file(path: &Path, registry: &Registry) {
    let groups: BTreeSet<&String> =
        registry.entries.iter().flat_map(|entry| &entry.groups).collect();
    let owners: BTreeSet<String> = registry
        .entries
        .iter()
        .filter_map(|entry| entry.owner.as_deref())
        .map(crate::directory::person_key)
        .collect();
    println!(
        "{}: {} products, {} groups, {} owners",
        path.display(),
        registry.entries.len(),
        groups.len(),
        owners.len()
    );
}

/// A dry run with this registry: the same reading, the same plan, nothing written.
async fn compare(config: &Config, registry: Registry) -> Result<Done, Exit> {
    let mut settings = service::sync_settings(config).map_err(|error| unusable(&error))?;
    settings.registry = Some(Arc::new(registry.entries));
    let store = service::store(&config.database).map_err(|error| unusable(&error))?;
    store.ready().await.map_err(|error| unready(&error))?;
    let directory = service::directory(config, Arc::new(())).map_err(|error| unusable(&error))?;
    let sync = Sync::new(store, directory, settings);
    // A signal ends the process: nothing is written that could be half done.
    let (_stopper, stop) = Shutdown::channel();
    let stop = stop.within(config.schedule.run_timeout);
    let run = Sync::begin(Mode::Delta, Trigger::Command);
    once(&sync, run, true, &stop).await.map_err(|setback| {
        eprintln!("the file is good, but it could not be compared: {}", setback.reason());
        if setback.is_lasting() { Exit::Usage } else { Exit::Failed }
    })
}

/// The registry's part of the plan, with what is held of it and what a person should look
/// at: a registry that waits for somebody is not carried out.
fn tell_changes(done: &Done) -> Exit {
    let Plan { products, links, members, bindings, raised, withheld, .. } = done.plan.clone();
    let mut findings = done.world.open_findings.clone();
    findings.retain(|key, _| !done.plan.resolved.contains(key));
    findings.extend(raised);
    findings.retain(|(kind, _), _| is_registry(*kind));
    let withheld: BTreeSet<Item> = withheld.into_iter().filter(is_registry_item).collect();
    let held = withheld.len();
    let raised = findings;
    let plan = Plan { products, links, members, bindings, raised, withheld, ..Plan::default() };
    let lines = lines(&plan, &done.world);
    if lines.is_empty() {
        println!("the database holds just what the registry says");
    }
    for line in lines {
        println!("{}", plain(&line));
    }
    if held == 0 {
        return Exit::Done;
    }
    println!("{held} changes (=) are held until somebody approves them; see `plans list`");
    Exit::Held
}

const fn is_registry_item(item: &Item) -> bool {
    matches!(
        item,
        Item::Link(..) | Item::Linking(..) | Item::ProductMember(..) | Item::Rebinding(..)
    )
}

const fn is_registry(kind: FindingKind) -> bool {
    matches!(
        kind,
        FindingKind::RegistryGroupUnresolved
            | FindingKind::RegistryGroupAmbiguous
            | FindingKind::RegistryGroupTaken
            | FindingKind::RegistryOwnerUnresolved
            | FindingKind::RegistryOwnerAmbiguous
    )
}
