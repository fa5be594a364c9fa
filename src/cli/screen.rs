//! Standard output and standard error of commands.
//!
//! The standard macros panic where nobody reads any more, or nothing fits. The ones of the
//! same names here, which all of `cli` uses instead, never do: a reader that closed the
//! pipe, such as `head`, has seen enough; any other failure ends the command with code 1.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

use super::Exit;

/// Why nothing more can be written to standard output, once that is so.
static BROKEN: Mutex<Option<ErrorKind>> = Mutex::new(None);

macro_rules! print {
    ($($text:tt)*) => { $crate::cli::screen::write(format_args!($($text)*)) };
}
macro_rules! println {
    ($($text:tt)*) => { $crate::cli::screen::write(format_args!("{}\n", format_args!($($text)*))) };
}
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::cli::screen::complain(format_args!($($text)*)) };
}

/// Writes to standard output, unless that has failed already.
pub(super) fn write(text: Arguments<'_>) {
    attempt(|out| out.write_fmt(text));
}

/// Writes a line to standard error. Where that fails there is nobody left to tell.
pub(super) fn complain(text: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes what is still waiting; what the command ends with if what it had to say was lost.
pub(super) fn close(exit: Exit) -> Exit {
    match attempt(Write::flush) {
        None | Some(ErrorKind::BrokenPipe) => exit,
        Some(kind) => {
            complain(format_args!("standard output cannot be written: {kind}"));
            if exit == Exit::Usage { exit } else { Exit::Failed }
        }
    }
}

fn attempt(work: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> Option<ErrorKind> {
    let mut broken = BROKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if broken.is_none() {
        *broken = work(&mut io::stdout().lock()).err().map(|error| error.kind());
    }
    *broken
}
