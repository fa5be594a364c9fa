//! `migrate`: brings the database to the schema of this version.

use super::{Context, Exit, MigrateArgs, failed, unusable};
use crate::store::{Error, SchemaState};

/// Applies, checks or takes back.
pub async fn run(context: &Context, args: &MigrateArgs) -> Exit {
    let store = match context.store() {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    if args.check {
        return match store.schema().await {
            Ok(SchemaState::Current) => {
                println!("the schema is current");
                Exit::Done
            }
            Ok(state) => {
                println!("the schema is not current: {state}");
                Exit::Failed
            }
            Err(error) => refused(&error),
        };
    }
    if args.revert {
        let taken_back =
            if args.forget { store.revert_and_forget().await } else { store.revert().await };
        return match taken_back {
            Ok(version) => {
                println!("taken back: {version}");
                Exit::Done
            }
            Err(error) => refused(&error),
        };
    }
    match store.migrate().await {
        Ok(applied) if applied.is_empty() => println!("the schema is current; nothing to do"),
        Ok(applied) => println!("applied to {}: {}", store.place(), applied.join(", ")),
        Err(error) => return refused(&error),
    }
    Exit::Done
}

/// A schema that is not as it should be is an answer; a database that cannot be worked with
/// at all is a matter of the configuration.
fn refused(error: &Error) -> Exit {
    if matches!(error, Error::Pooled) { unusable(error) } else { failed(error) }
}
