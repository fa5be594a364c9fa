//! Logs: where they go, how they look, which there are.
//!
//! Owns the subscriber. Always on standard error: standard output belongs to the
//! answers of commands. Must not filter secrets; they are kept out by their types.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat, LogLevel};

/// The hand on the level while the process runs.
#[derive(Clone, Debug)]
pub struct Telemetry {
    filter: reload::Handle<Targets, Registry>,
}

impl Telemetry {
    /// Starts logging. Fails if somebody else in this process has done so before.
    pub fn start(log: &Log) -> Result<Self, TryInitError> {
        let (filter, handle) = reload::Layer::new(targets(log.level));
        let lines = match log.format {
            LogFormat::Json => fmt::layer()
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .with_writer(io::stderr)
                .boxed(),
            LogFormat::Text => {
                fmt::layer().with_ansi(has_colours()).with_writer(io::stderr).boxed()
            }
        };
        tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
        report_panics();
        Ok(Self { filter: handle })
    }

    /// Changes the level from the next line on.
    pub fn set_level(&self, level: LogLevel) {
        // It fails only when the subscriber is gone, and then nobody reads logs.
        let _ = self.filter.reload(targets(level));
    }
}

/// The level is for our own lines. Libraries log what we promise not to: URLs with
/// delta tokens, and rows.
fn targets(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let others = own.min(LevelFilter::WARN);
    Targets::new().with_default(others).with_target("nexus_dirsync", own)
}

/// Colours are for eyes: in a file, or where they are not wanted (`NO_COLOR`), they are noise.
fn has_colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted
}

/// A panic is one line like any other, so that whoever collects logs sees it whole.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, "a bug in nexus-dirsync: {message}");
    }));
}
