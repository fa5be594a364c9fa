//! The product registry's file: parsed and checked alone, without directory or database.
//!
//! Owns its format. What its names mean is decided in `reconcile`, never here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::directory::fold_case;
use crate::file;
use crate::reconcile::world::RegistryEntry;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "product")]
    products: Vec<Product>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    name: String,
    description: String,
    environment: Environment,
    groups: Vec<String>,
    owner: Option<String>,
}

impl Product {
    /// Everything that people read, and that databases and terminals have to bear.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let groups = self.groups.iter().map(|group| ("a group name", group.as_str()));
        [("the name", self.name.as_str()), ("the description", self.description.as_str())]
            .into_iter()
            .chain(groups)
            .chain(self.owner.as_deref().map(|owner| ("the owner", owner)))
    }
}

/// The environments of the client's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Development, integration and test.
    Integration,
    /// Production.
    Production,
}

/// A registry that was read whole and makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Its entries, in the order of the file.
    pub entries: Vec<RegistryEntry>,
    /// How many entries each environment has.
    pub environments: BTreeMap<Environment, usize>,
}

/// Why a registry cannot be used. The one in use stays in use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the registry {} cannot be read; check registry.file and its permissions", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not the format.
    #[error("the registry {} is not understood", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Its content contradicts itself: every problem at once.
    #[error("the registry {} has {} problem(s):\n  {}", path.display(), problems.len(), problems.join("\n  "))]
    Content {
        /// Which file.
        path: PathBuf,
        /// One line each, with the remedy.
        problems: Vec<String>,
    },
}

/// Reads and checks a registry.
pub fn load(path: &Path) -> Result<Registry, Error> {
    let text = file::read_text(path)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Registry, Error> {
    let file: File = toml::from_str(text)
        .map_err(|source| Error::Format { path: path.to_owned(), source: Box::new(source) })?;
    let problems = problems(&file.products);
    if !problems.is_empty() {
        return Err(Error::Content { path: path.to_owned(), problems });
    }
    let mut environments = BTreeMap::new();
    for product in &file.products {
        *environments.entry(product.environment).or_insert(0) += 1;
    }
    let entries = file
        .products
        .into_iter()
        .map(|Product { name, description, groups, owner, environment: _ }| RegistryEntry {
            product: name,
            description,
            groups,
            owner,
        })
        .collect();
    Ok(Registry { entries, environments })
}

fn problems(products: &[Product]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    if products.is_empty() {
        problems.push(
            "no [[product]] at all; an empty registry would take every link away, so it is refused"
                .into(),
        );
    }
    for (at, product) in products.iter().enumerate() {
        let entry = at + 1;
        let name = product.name.as_str();
        // What is complained about may be what a terminal would obey.
        let shown = name.escape_debug();
        if name.trim() != name || name.is_empty() {
            problems.push(format!(
                "entry {entry}: name \"{shown}\" is empty or has blanks around it; trim it"
            ));
        }
        if let Some(first) = seen.insert(name, entry) {
            problems.push(format!(
                "entry {entry}: \"{shown}\" is named already by entry {first}; keep one"
            ));
        }
        if product.groups.iter().any(|group| group.trim().is_empty()) {
            problems.push(format!("entry {entry} (\"{shown}\"): a group name is empty; remove it"));
        }
        let folded: std::collections::BTreeSet<_> =
            product.groups.iter().map(|g| fold_case(g)).collect();
        if folded.len() != product.groups.len() {
            problems.push(format!("entry {entry} (\"{shown}\"): a group is named twice; keep one"));
        }
        if product.owner.as_deref().is_some_and(|owner| owner.trim().is_empty()) {
            problems.push(format!(
                "entry {entry} (\"{shown}\"): the owner is empty; leave the key out"
            ));
        }
        for (what, text) in product.texts() {
            if text.contains(char::is_control) {
                problems.push(format!(
                    "entry {entry} (\"{shown}\"): {what} has a control character in it; remove it"
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Registry, String> {
        parse(text, Path::new("registry.toml"))
            .map_err(|error| crate::chain::Chain(&error).to_string())
    }

    #[test]
    fn the_clients_registry_has_every_row_of_both_environments() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/registry.toml");
        let registry = load(Path::new(path)).expect("the shipped registry is valid");
        assert_eq!(registry.environments[&Environment::Integration], 65);
        assert_eq!(registry.environments[&Environment::Production], 34);
        let hru =
            registry.entries.iter().find(|entry| entry.product == "hru-inte").expect("hru-inte");
        assert_eq!(hru.groups, ["GRPRD_Cegid HR Ultimate_DEV_RHPi_HRU"]);
        assert_eq!(hru.owner.as_deref(), Some("Damien Geranton"));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let twice = r#"
            [[product]]
            name = "a"
            description = "A"
            environment = "production"
            groups = ["G", "g"]
            [[product]]
            name = "a"
            description = "A"
            environment = "production"
            groups = [""]
            owner = " "
        "#;
        let told = check(twice).expect_err("four problems");
        for part in ["named already", "named twice", "group name is empty", "owner is empty"] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn what_no_database_stores_and_a_terminal_obeys_is_refused() {
        let text = r#"
            [[product]]
            name = "sh\u0000op"
            description = "the\u001b[31mshop"
            environment = "production"
            groups = ["Out\u0007er"]
            owner = "Ol\u009bga"
        "#;
        let told = check(text).expect_err("four problems");
        for part in ["the name", "the description", "a group name", "the owner"] {
            assert!(told.contains(&format!("{part} has a control character")), "{part} in {told}");
        }
        assert!(!told.replace('\n', "").contains(char::is_control), "{told:?}");
    }

    #[test]
    fn an_empty_or_misspelt_registry_is_refused() {
        for (text, part) in [
            ("", "no [[product]]"),
            ("[[product]]\nname = \"a\"\ndescripton = \"x\"", "unknown field"),
            (
                "[[product]]\nname = \"a\"\ndescription = \"x\"\nenvironment = \"prod\"\ngroups = []",
                "prod",
            ),
        ] {
            let told = check(text).expect_err(text);
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
