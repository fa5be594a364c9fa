//! The documented defaults and the keys that exist are the same set.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use nexus_dirsync::config::{Config, Origin, Sources};

const DEFAULTS: &str = include_str!("../config/default.toml");
const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// The least that must be given.
fn minimal() -> BTreeMap<String, OsString> {
    [("DIRSYNC__IDENTITY__KIND", "azure_cli"), ("DIRSYNC__IDENTITY__TENANT_ID", TENANT)]
        .map(|(name, value)| (name.to_owned(), OsString::from(value)))
        .into()
}

fn documented() -> BTreeMap<String, toml::Value> {
    let sections: toml::Table = toml::from_str(DEFAULTS).expect("TOML");
    let keys = |(section, keys): (String, toml::Value)| {
        let toml::Value::Table(keys) = keys else { panic!("{section} is not a section") };
        keys.into_iter().map(move |(key, value)| (format!("{section}.{key}"), value))
    };
    sections.into_iter().flat_map(keys).collect()
}

#[test]
fn the_defaults_and_a_tenant_are_enough() {
    let config =
        Config::load(&Sources { file: None, environment: minimal() }).expect("good defaults");
    assert!(config.warnings.is_empty());
    assert_eq!(config.identity.tenant_id.to_string(), TENANT);
    assert_eq!(config.graph.page_size, 999);
}

/// A documented key that nobody reads would be refused by the very same rule that
/// refuses an operator's; a key that is read but not documented would panic.
#[test]
fn every_documented_key_can_be_set_by_the_environment_and_is_read() {
    for (key, default) in documented() {
        let variable = format!("DIRSYNC__{}", key.to_uppercase().replace('.', "__"));
        let mut environment = minimal();
        let text = match default {
            toml::Value::String(text) => text,
            toml::Value::Array(_) => String::new(),
            other => other.to_string(),
        };
        environment.entry(variable.clone()).or_insert_with(|| text.clone().into());
        Config::load(&Sources { file: None, environment: environment.clone() })
            .unwrap_or_else(|problems| panic!("{variable}={text}: {problems}"));

        // A value of no sense is refused and blamed on this very variable.
        if text.is_empty() {
            continue;
        }
        environment.insert(variable.clone(), "\u{1}nonsense".into());
        let problems = Config::load(&Sources { file: None, environment })
            .expect_err(&format!("{variable} is not read at all"));
        let blamed: BTreeSet<_> = problems.0.iter().map(|problem| problem.origin.clone()).collect();
        assert!(blamed.contains(&Origin::Variable(variable.clone())), "{variable}: {problems}");
    }
}

/// A remedy that names a key which does not exist sends people looking for it.
#[test]
fn every_key_that_an_error_names_exists() {
    let known = documented();
    let sections: BTreeSet<&str> =
        known.keys().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let mut named = 0;
    for path in error_modules(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let text = fs::read_to_string(&path).expect("a file");
        let is_of_a_key = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        let words = text.split(|c| !is_of_a_key(c)).map(|word| word.trim_matches('.'));
        for word in words {
            let section = word.split_once('.').map(|(section, _)| section);
            if section.is_some_and(|section| sections.contains(section)) {
                assert!(known.contains_key(word), "{} names {word}", path.display());
                named += 1;
            }
        }
    }
    assert!(named > 10, "only {named} keys were found");
}

/// Every `error.rs` below a folder.
fn error_modules(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let found = paths.flat_map(|path| {
        if path.is_dir() {
            error_modules(&path)
        } else {
            Some(path).filter(|path| path.ends_with("error.rs")).into_iter().collect()
        }
    });
    found.collect()
}

/// A comment that does not stand directly above its key documents nothing.
#[test]
fn every_key_has_its_comment() {
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    for pair in lines.windows(2) {
        let is_key =
            |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(['#', ' ']));
        if is_key(pair[1]) {
            let of_a_pair = is_key(pair[0])
                && pair[0].split(['_', ' ']).next() == pair[1].split(['_', ' ']).next();
            assert!(pair[0].starts_with('#') || of_a_pair, "nothing explains {:?}", pair[1]);
        }
    }
}
