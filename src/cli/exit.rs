//! How a command ended, as the shell sees it.

use std::process::ExitCode;

/// The exit codes. Scripts depend on them, so they never change their meaning. Whoever ends
/// by a signal ends with 128 and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed; trying again may help.
    Failed,
    /// 2: the command line or the configuration is wrong; trying again will not help.
    Usage,
    /// 3: done, but the guard withholds removals until somebody approves them.
    Held,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Held => 3,
        })
    }
}
