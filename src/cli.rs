//! The command line: what can be asked for, and one function for each answer.
//!
//! Owns words, help texts and exit codes. Answers go to standard output, everything
//! else to standard error. Only this module and `main` name `clap`.

// First, because what it defines is used by the modules below.
#[macro_use]
mod screen;

pub mod access;
pub mod audit;
pub mod check;
pub mod completions;
#[cfg(feature = "demo")]
pub mod demo;
mod exit;
mod local;
mod memory;
pub mod migrate;
mod once;
pub mod plans;
pub mod registry;
pub mod resync;
pub mod run;
pub mod status;
mod stop;
pub mod sync;

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use exit::Exit;

use crate::chain::Chain;
use crate::config::{Config, Sources};
use crate::service;
use crate::store::{self, Store};

/// The version with the revision it was built from.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} ({})", crate::VERSION, crate::REVISION));

/// Keeps the Nexus Platform's users, Azure AD groups and product access equal to what
/// Microsoft Graph says.
#[derive(Debug, Parser)]
#[command(name = "nexus-dirsync", version = VERSION.as_str(), propagate_version = true)]
pub struct Cli {
    /// Configuration file; later than the defaults, earlier than `DIRSYNC__SECTION__KEY`
    /// in the environment [default: what `DIRSYNC_CONFIG` names]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Does what was asked for.
pub async fn dispatch(command: &Command, context: &Context) -> Exit {
    // Before any secret is read. Where the system does not allow it, work goes on.
    if let Err(error) = memory::keep_private() {
        eprintln!("core dumps could not be switched off: {error}");
    }
    // These end on signals in ways of their own.
    let ends_itself = match command {
        Command::Run | Command::Sync(_) => true,
        #[cfg(feature = "demo")]
        Command::Demo(_) => true,
        _ => false,
    };
    if !ends_itself && let Err(error) = stop::at_once() {
        return failed(&error);
    }
    let exit = match command {
        Command::Run => run::run(context).await,
        Command::Sync(args) => sync::run(context, args).await,
        Command::Migrate(args) => migrate::run(context, args).await,
        Command::Check => check::run(context).await,
        Command::Resync(args) => resync::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Plans(command) => plans::run(context, command).await,
        Command::Registry(command) => registry::run(context, command).await,
        Command::Access(command) => access::run(context, command).await,
        Command::Audit(command) => audit::run(context, command).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args).await,
        Command::Completions(args) => completions::run(args),
    };
    screen::close(exit)
}

/// Says why a command failed, causes included.
fn failed(error: &(dyn std::error::Error + 'static)) -> Exit {
    eprintln!("{}", Chain(error));
    Exit::Failed
}

/// The same for what only another configuration can mend.
fn unusable(error: &(dyn std::error::Error + 'static)) -> Exit {
    eprintln!("{}", Chain(error));
    Exit::Usage
}

/// Says why a database cannot be asked.
fn unready(error: &store::Error) -> Exit {
    if error.is_lasting() { unusable(error) } else { failed(error) }
}

/// Everything that can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: reconcile on schedule and on signals, serve HTTP, until stopped
    Run,
    /// Reconcile once, now
    Sync(SyncArgs),
    /// Bring the database to the schema of this version
    Migrate(MigrateArgs),
    /// Check configuration, database, token and Graph permissions, with remedies
    Check,
    /// Ask for a run: the daemon here, or through the database whoever leads
    Resync(ResyncArgs),
    /// Show how the running daemon is doing
    Status(StatusArgs),
    /// Look at what the guard holds, and answer it
    #[command(subcommand)]
    Plans(PlansCommand),
    /// Look at the product registry
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Ask who has access to what, and why
    #[command(subcommand)]
    Access(AccessCommand),
    /// Look at the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Try it out: a simulated tenant, an embedded database, no set-up
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

/// Arguments of `sync`.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// Read everything in scope instead of what changed
    #[arg(long)]
    pub full: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Only tell whether there is something to do; exit code 1 if so
    #[arg(long)]
    pub check: bool,
    /// Take the last migration back, for a rollback to the version before
    #[arg(long, conflicts_with = "check")]
    pub revert: bool,
    /// With --revert: also where that forgets which rows are the daemon's; they count as
    /// people's from then on
    #[arg(long, requires = "revert")]
    pub forget: bool,
}

/// Arguments of `resync`.
#[derive(Debug, Args)]
pub struct ResyncArgs {
    /// Ask for a full run instead of a delta run
    #[arg(long)]
    pub full: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON, as /status serves it
    #[arg(long)]
    pub json: bool,
}

/// What can be done with held plans.
#[derive(Debug, Subcommand)]
pub enum PlansCommand {
    /// List what is held; exit code 3 if something waits for an answer
    List {
        /// Those that are over as well
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a plan: what, who, which products, why it is held, and how we know
    Show {
        /// Its hash, or enough of its beginning
        hash: String,
        /// Print JSON, with the lines that the hash was taken of
        #[arg(long)]
        json: bool,
    },
    /// Let a plan's items through, once, as far as they still stand
    Approve(ApproveArgs),
    /// Keep a plan's items from happening until the directory changes them
    Reject(RejectArgs),
}

/// Arguments of `plans approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Its hash, or enough of its beginning
    pub hash: String,
    /// The admin of the platform who approves, by e-mail address: for the record, it
    /// authenticates nobody
    #[arg(long, value_name = "E-MAIL", required_unless_present = "break_glass")]
    pub by: Option<String>,
    /// Only these items, by number, such as 1,3-5; the others are held as another plan
    #[arg(long, value_name = "NUMBERS", conflicts_with = "except")]
    pub only: Option<String>,
    /// All but these items, likewise
    #[arg(long, value_name = "NUMBERS")]
    pub except: Option<String>,
    /// Why it is approved although the platform has no live admin
    #[arg(long, value_name = "REASON")]
    pub break_glass: Option<String>,
}

/// Arguments of `plans reject`.
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// Its hash, or enough of its beginning
    pub hash: String,
    /// The admin of the platform who rejects, by e-mail address
    #[arg(long, value_name = "E-MAIL", required_unless_present = "break_glass")]
    pub by: Option<String>,
    /// Why
    #[arg(long)]
    pub reason: String,
    /// Why it is rejected although the platform has no live admin
    #[arg(long, value_name = "REASON")]
    pub break_glass: Option<String>,
}

/// What can be done with the registry.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Check the registry's form, and what its names mean in this database
    Check {
        /// The registry [default: what registry.file names]
        file: Option<PathBuf>,
    },
}

/// What can be asked about access.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// List who has access to a product
    Who {
        /// The product, by name
        product: String,
    },
    /// Show every path on which a person has access to a product
    Explain {
        /// The person, by e-mail address
        email: String,
        /// The product, by name
        product: String,
    },
}

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Rebuild the state from the audit log alone and compare it with the tables; look whether
    /// its rows stand in the order of time, each in a run that there was
    Verify,
}

/// Arguments of `demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Show the first full run and one change, check everything, and end
    #[arg(long)]
    pub once: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// What every command is given.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where the configuration comes from.
    pub sources: Sources,
}

impl Context {
    /// The context of this process.
    pub fn of_process(cli: &Cli) -> Self {
        Self { sources: Sources::of_process(cli.config.clone()) }
    }

    /// The configuration. Problems are told right here, all of them.
    pub fn config(&self) -> Result<Config, Exit> {
        Config::load(&self.sources).map_err(|problems| {
            eprintln!("{problems}");
            Exit::Usage
        })
    }

    /// The database of the configuration, for commands that need nothing else of it: whoever
    /// migrates or audits need not hold a credential for Graph. Problems are told likewise.
    pub fn store(&self) -> Result<Store, Exit> {
        for warning in self.sources.unread() {
            eprintln!("warning: {warning}");
        }
        let database = Config::load_database(&self.sources).map_err(|problems| {
            eprintln!("{problems}");
            Exit::Usage
        })?;
        service::store(&database).map_err(|error| unusable(&error))
    }

    /// The same, of a database whose schema this version knows: what another one holds is
    /// not understood, and must not be judged.
    pub async fn ready_store(&self) -> Result<Store, Exit> {
        let store = self.store()?;
        store.ready().await.map_err(|error| unready(&error))?;
        Ok(store)
    }
}
