//! The layers of a configuration: built-in defaults, a file, the environment.
//!
//! Owns which layer wins and remembers where each value came from. Must not know
//! what a value means. The only module that names the `config` crate, whose own
//! merging is not used: it loses the file's name, and lets one misplaced value
//! replace a whole section.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Map, Source, Value, ValueKind};

use super::problem::{Origin, Problem};
use crate::file;

/// The prefix of every variable that sets a key.
const PREFIX: &str = "DIRSYNC__";
/// What every variable that is meant for the daemon begins with.
const NAME: &str = "DIRSYNC_";
/// Names the configuration file.
const FILE_VARIABLE: &str = "DIRSYNC_CONFIG";
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What others read by themselves, and the daemon warns about.
const OTHERS: [&str; 4] = ["PGHOST", "PGHOSTADDR", "PGSSLMODE", "SSL_CERT_FILE"];

/// What a configuration is made from, so that it can be loaded again.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file to read, if one was named.
    pub file: Option<PathBuf>,
    /// The environment: `DIRSYNC_*`, the `AZURE_*` of workload identity, and what others read
    /// by themselves: `PGHOST`, `PGHOSTADDR` and `PGSSLMODE` libpq, `SSL_CERT_FILE` the client
    /// of Graph.
    pub environment: BTreeMap<String, OsString>,
}

impl Sources {
    /// The environment of this process, and `file` or what `DIRSYNC_CONFIG` names.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| {
                name.starts_with(NAME)
                    || name.starts_with("AZURE_")
                    || OTHERS.contains(&name.as_str())
            })
            .collect();
        let named = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty());
        Self { file: file.or_else(|| named.map(PathBuf::from)), environment }
    }

    /// Variables that seem to be meant for the daemon, but that it does not read: mistyped,
    /// they would leave a default in force without a word.
    pub fn unread(&self) -> Vec<String> {
        let is_unread = |name: &&String| {
            name.strip_prefix(NAME).is_some_and(|rest| {
                !name.starts_with(PREFIX) && *name != FILE_VARIABLE && !is_of_a_service(rest)
            })
        };
        let warning = |name: &String| {
            let meant = meant_by(name).unwrap_or_else(|| format!("{PREFIX}SECTION__KEY"));
            format!("{name} is not read, so it sets nothing; did you mean {meant}?")
        };
        self.environment.keys().filter(is_unread).map(warning).collect()
    }

    /// A variable that is set, is not empty and can be read as text.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name)?.to_str().filter(|value| !value.is_empty())
    }
}

/// A value as written, before anybody asks what it means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    Text(String),
    Whole(i64),
    Fraction(f64),
    Truth(bool),
    List(Vec<Self>),
    /// A table or another shape that no key has.
    Other,
}

/// One value with its origin.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// All values by key path. What the last layer said about a key is what counts.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) defaults: BTreeMap<String, Raw>,
    pub(super) effective: BTreeMap<String, Placed>,
    /// Layers, or parts of them, that could not be read.
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    pub(super) fn collect(sources: &Sources) -> Self {
        let defaults = parse(DEFAULTS).expect("the built-in defaults are TOML; a test loads them");
        let mut layers =
            Self { effective: BTreeMap::new(), defaults: defaults.clone(), problems: Vec::new() };
        layers.lay(defaults, |_| Origin::Default);
        if let Some(path) = &sources.file {
            match read(path) {
                Ok(values) => layers.lay(values, |_| Origin::File(path.clone())),
                Err(problem) => layers.problems.push(problem),
            }
        }
        let values = layers.environment(sources);
        layers.lay(values, |key| Origin::Variable(variable_of(key)));
        layers
    }

    fn lay(&mut self, values: BTreeMap<String, Raw>, origin: impl Fn(&str) -> Origin) {
        for (key, raw) in values {
            let origin = origin(&key);
            self.effective.insert(key, Placed { raw, origin });
        }
    }

    fn environment(&mut self, sources: &Sources) -> BTreeMap<String, Raw> {
        let mut given = Map::new();
        for (name, value) in sources.environment.iter().filter(|(name, _)| name.starts_with(PREFIX))
        {
            match value.to_str() {
                Some(value) => {
                    given.insert(name.clone(), value.to_owned());
                }
                None => self.problems.push(Problem {
                    key: String::new(),
                    origin: Origin::Variable(name.clone()),
                    what: "its value is not UTF-8".to_owned(),
                    remedy: "write it as UTF-8 text".to_owned(),
                }),
            }
        }
        // `try_parsing` stays off: it would turn the secret `0123` into `123`.
        let environment = Environment::with_prefix("DIRSYNC")
            .prefix_separator("__")
            .separator("__")
            .source(Some(given));
        flatten(environment.collect().expect("every value is text already"))
    }
}

/// The variable that sets `key`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The variable of the key that a mistyped name means, by its letters.
fn meant_by(name: &str) -> Option<String> {
    let letters = |name: &str| name.to_ascii_uppercase().replace('_', "");
    let known = parse(DEFAULTS).ok()?;
    let mut variables = known.keys().map(|key| variable_of(key));
    variables.find(|variable| letters(variable) == letters(name))
}

/// Whether Kubernetes sets such a variable, for a service that is called `dirsync` or begins so.
fn is_of_a_service(rest: &str) -> bool {
    rest.contains("SERVICE_HOST")
        || rest.contains("SERVICE_PORT")
        || rest.contains("PORT_")
        || rest.ends_with("PORT")
}

fn read(path: &Path) -> Result<BTreeMap<String, Raw>, Problem> {
    let problem = |what: String, remedy: &str| Problem {
        key: String::new(),
        origin: Origin::File(path.to_owned()),
        what,
        remedy: remedy.to_owned(),
    };
    let text = file::read_text(path).map_err(|error| {
        problem(
            format!("cannot be read: {error}"),
            "check --config or DIRSYNC_CONFIG, and the file's mode",
        )
    })?;
    parse(&text).map_err(|what| problem(what, "write TOML as in config/default.toml"))
}

/// The values of a TOML text, or where it stops being TOML.
///
/// Checked with the TOML parser first: the error of the `config` crate quotes the
/// offending line, and that line may hold a secret.
fn parse(text: &str) -> Result<BTreeMap<String, Raw>, String> {
    if let Err(error) = toml::from_str::<toml::Table>(text) {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        return Err(format!("line {} is not TOML", before.matches('\n').count() + 1));
    }
    let source = File::from_str(text, FileFormat::Toml);
    source.collect().map(flatten).map_err(|_| "is not TOML".to_owned())
}

fn flatten(values: Map<String, Value>) -> BTreeMap<String, Raw> {
    let mut flat = BTreeMap::new();
    for (key, value) in values {
        match value.kind {
            ValueKind::Table(inner) if !inner.is_empty() => {
                flat.extend(
                    flatten(inner).into_iter().map(|(rest, raw)| (format!("{key}.{rest}"), raw)),
                );
            }
            // An empty section says nothing.
            ValueKind::Table(_) => {}
            kind => {
                flat.insert(key, raw(kind));
            }
        }
    }
    flat
}

fn raw(kind: ValueKind) -> Raw {
    match kind {
        ValueKind::String(text) => Raw::Text(text),
        ValueKind::I64(number) => Raw::Whole(number),
        ValueKind::Float(number) => Raw::Fraction(number),
        ValueKind::Boolean(truth) => Raw::Truth(truth),
        ValueKind::Array(items) => {
            Raw::List(items.into_iter().map(|item| raw(item.kind)).collect())
        }
        _ => Raw::Other,
    }
}
