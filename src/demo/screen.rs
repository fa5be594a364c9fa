//! Where the demonstration is seen: lines on standard output, and something that moves
//! while there is nothing to tell.
//!
//! Owns the difference between a terminal and a file. Must not know what is told.

use std::io::{self, IsTerminal, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rustix::termios::tcgetwinsize;

use super::wording::{clip, clip_middle};

/// What stands before the lines about a change.
pub(super) const INDENT: &str = "     ";
/// The width of a line where there is no terminal to ask.
const WIDTH: usize = 100;
/// The widths of terminals that lines are cut for; in narrower ones they wrap.
const WIDTHS: RangeInclusive<usize> = 72..=160;

/// Writes lines. An error means that nobody reads any more.
#[derive(Debug)]
pub(super) struct Screen {
    out: io::Stdout,
    width: usize,
}

impl Screen {
    pub(super) fn new() -> Self {
        let out = io::stdout();
        let columns = tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col));
        let width = columns.map_or(WIDTH, |columns| columns.clamp(*WIDTHS.start(), *WIDTHS.end()));
        Self { out, width }
    }

    /// One line, cut where it would wrap.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        self.say_whole(&clip(line, self.width))
    }

    /// An indented line, cut in the middle where it would wrap.
    pub(super) fn say_ends(&mut self, line: &str) -> io::Result<()> {
        let room = self.width.saturating_sub(INDENT.len());
        self.say_whole(&format!("{INDENT}{}", clip_middle(line, room)))
    }

    /// A line that must stay whole, such as one with a path to be copied.
    pub(super) fn say_whole(&mut self, line: &str) -> io::Result<()> {
        let mut out = self.out.lock();
        writeln!(out, "{line}")?;
        out.flush()
    }
}

/// A line that moves on a terminal; elsewhere a line now and then.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn start() -> Self {
        if !(io::stdout().is_terminal() && io::stderr().is_terminal()) {
            return Self { bar: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {elapsed_precise} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar: Some(bar) }
    }

    /// How often there is something new to show.
    pub(super) fn beat(&self) -> Duration {
        Duration::from_millis(if self.bar.is_some() { 100 } else { 1_000 })
    }

    pub(super) fn show(&self, screen: &mut Screen, what: String) -> io::Result<()> {
        match &self.bar {
            Some(bar) => bar.set_message(what),
            None => screen.say(&format!("  {what}"))?,
        }
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
