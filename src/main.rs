//! Command line in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use nexus_dirsync::cli::{self, Cli, Context};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::of_process(&cli);
    cli::dispatch(&cli.command, &context).await.into()
}
