//! `completions`: what a shell needs to complete our commands.

use std::io::{self, Write};

use clap::CommandFactory;

use super::{Cli, CompletionsArgs, Exit};

/// Prints completions.
pub fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nexus-dirsync", &mut script);
    // A reader that closes the pipe early, such as `head`, is no reason to panic.
    match io::stdout().write_all(&script) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Failed,
    }
}
