//! `completions`: what a shell needs to complete our commands.

use clap::CommandFactory;

use super::{Cli, CompletionsArgs, Exit};

/// Prints completions.
pub fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nexus-dirsync", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Exit::Done
}
