//! `migrate`: brings the database to the schema of this version.

use super::{Context, Exit, MigrateArgs, failed};
use crate::store::SchemaState;

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
            Err(error) => failed(&error),
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
            Err(error) => failed(&error),
        };
    }
    match store.migrate().await {
        Ok(applied) if applied.is_empty() => println!("the schema is current; nothing to do"),
        Ok(applied) => println!("applied to {}: {}", store.place(), applied.join(", ")),
        Err(error) => return failed(&error),
    }
    Exit::Done
}
