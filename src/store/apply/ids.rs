//! Row ids: those that exist, and new ones taken in bulk before anything is inserted.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::Ids;
use crate::reconcile::plan::Plan;
use crate::reconcile::world::World;
use crate::store::connection::Conn;
use crate::store::{Doing, Error, Tx};

/// Knows or makes the id of everything that the plan names.
pub(super) fn resolve(tx: &mut Tx<'_>, plan: &Plan, world: &World) -> Result<Ids, Error> {
    let mut users: BTreeMap<_, _> =
        world.identities.iter().filter_map(|(id, row)| Some((*id, row.id?))).collect();
    let mut groups: BTreeMap<_, _> =
        world.group_rows.iter().filter_map(|(id, row)| Some((*id, row.id?))).collect();
    let mut products: BTreeMap<_, _> =
        world.products.iter().filter_map(|(name, row)| Some((name.clone(), row.id?))).collect();

    for change in &plan.users {
        if let Some(id) = change.after.as_ref().and_then(|row| row.id) {
            users.insert(change.key, id); // an adopted row brings its id along
        }
    }
    let new: Vec<_> =
        plan.users.iter().map(|c| c.key).filter(|key| !users.contains_key(key)).collect();
    users.extend(new.iter().copied().zip(take(tx, "users", new.len())?));
    let new: Vec<_> =
        plan.groups.iter().map(|c| c.key).filter(|key| !groups.contains_key(key)).collect();
    groups.extend(new.iter().copied().zip(take(tx, "aad_groups", new.len())?));
    let new: Vec<String> = plan
        .products
        .iter()
        .map(|c| c.key.clone())
        .filter(|key| !products.contains_key(key))
        .collect();
    let taken = take(tx, "products", new.len())?;
    products.extend(new.into_iter().zip(taken));
    Ok(Ids { users, groups, products })
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    id: i64,
}

/// Takes `n` fresh ids of a table.
///
/// PostgreSQL: from the column's sequence; a table of another service that has none
/// is locked against inserts and counted on. `SQLite`: the transaction is the only
/// writer, and no id that was ever given is given again.
fn take(tx: &mut Tx<'_>, table: &'static str, n: usize) -> Result<Vec<i32>, Error> {
    if n == 0 {
        return Ok(Vec::new());
    }
    let ids: Vec<Taken> = match tx.conn {
        Conn::Postgres(conn) => {
            let sequence = format!(
                "SELECT nextval(sequence)::bigint AS id FROM pg_get_serial_sequence('{table}', 'id') sequence, generate_series(1, {n}) WHERE sequence IS NOT NULL"
            );
            let ids: Vec<Taken> = diesel::sql_query(sequence).load(conn).doing("taking row ids")?;
            if ids.is_empty() {
                let counted = format!(
                    "SELECT coalesce((SELECT max(id) FROM {table}), 0)::bigint + step AS id FROM generate_series(1, {n}) step"
                );
                diesel::sql_query(format!("LOCK TABLE {table} IN EXCLUSIVE MODE"))
                    .execute(conn)
                    .doing("locking a table without sequence")?;
                diesel::sql_query(counted).load(conn).doing("taking row ids")?
            } else {
                ids
            }
        }
        Conn::Sqlite(conn) => {
            let last = format!(
                "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0), coalesce((SELECT max(id) FROM {table}), 0)) AS id"
            );
            let last: Taken = diesel::sql_query(last).get_result(conn).doing("taking row ids")?;
            (1_i64..).take(n).map(|step| Taken { id: last.id + step }).collect()
        }
    };
    let mut ids: Vec<i32> = ids
        .into_iter()
        .map(|taken| i32::try_from(taken.id))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Corrupt(format!("{table}.id is exhausted")))?;
    ids.sort_unstable();
    Ok(ids)
}
