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
fn take(tx: &mut Tx<'_>, table: &'static str, n: usize) -> Result<Vec<i32>, Error> {
    if n == 0 {
        return Ok(Vec::new());
    }
    let ids = match tx.conn {
        Conn::Postgres(conn) => postgres_ids(conn, table, n),
        Conn::Sqlite(conn) => sqlite_ids(conn, table, n),
    }
    .doing("taking row ids")?;
    let mut ids: Vec<i32> = ids
        .into_iter()
        .map(|taken| i32::try_from(taken.id))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Corrupt(format!("{table}.id is exhausted")))?;
    ids.sort_unstable();
    Ok(ids)
}

/// Ids as the column itself would give them.
fn postgres_ids(conn: &mut PgConnection, table: &str, n: usize) -> QueryResult<Vec<Taken>> {
    let next = make_room(conn, table, n)?;
    diesel::sql_query(format!("SELECT ({next})::bigint AS id FROM generate_series(1, {n})"))
        .load(conn)
}

/// Makes sure that the next `n` ids which a table gives are free, and returns the
/// expression that gives them: people who numbered rows themselves may have been there
/// before the sequence.
fn make_room(conn: &mut PgConnection, table: &str, n: usize) -> QueryResult<String> {
    #[derive(QueryableByName)]
    struct Default {
        #[diesel(sql_type = diesel::sql_types::Text)]
        next: String,
    }
    #[derive(QueryableByName)]
    struct Highest {
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::BigInt>)]
        id: Option<i64>,
    }
    let default = format!(
        "SELECT coalesce(pg_get_expr(d.adbin, d.adrelid), format('nextval(%L)', pg_get_serial_sequence('{table}', 'id'))) AS next
           FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          WHERE a.attrelid = '{table}'::regclass AND a.attname = 'id'"
    );
    let Default { next } = diesel::sql_query(default).get_result(conn)?;
    let ahead = n.max(LOOK_AHEAD);
    loop {
        let Taken { id } =
            diesel::sql_query(format!("SELECT ({next})::bigint AS id")).get_result(conn)?;
        let taken = format!(
            "SELECT max(id)::bigint AS id FROM {table} WHERE id BETWEEN {id} AND {id} + {ahead}"
        );
        let Highest { id: Some(highest) } = diesel::sql_query(taken).get_result(conn)? else {
            return Ok(next);
        };
        let skip = format!(
            "SELECT count(id) AS id FROM (SELECT {next} AS id FROM generate_series(1, {highest} - {id})) skipped"
        );
        diesel::sql_query(skip).execute(conn)?;
    }
}

/// How far at least to look for ids that people took.
const LOOK_AHEAD: usize = 10_000;

impl Tx<'_> {
    /// Makes sure that rows may be inserted without naming their ids.
    pub(in crate::store) fn make_room(&mut self, table: &str, n: usize) -> Result<(), Error> {
        match self.conn {
            Conn::Postgres(conn) => make_room(conn, table, n).map(drop).doing("taking row ids"),
            Conn::Sqlite(_) => Ok(()),
        }
    }
}

/// The transaction is the only writer. No id that was ever given is given again, where
/// the table itself keeps count.
fn sqlite_ids(conn: &mut SqliteConnection, table: &str, n: usize) -> QueryResult<Vec<Taken>> {
    let counts = "SELECT count(*) AS id FROM sqlite_master WHERE name = 'sqlite_sequence'";
    let Taken { id: counts } = diesel::sql_query(counts).get_result(conn)?;
    let given = match counts {
        0 => "0".to_owned(),
        _ => format!("(SELECT max(seq) FROM sqlite_sequence WHERE name = '{table}')"),
    };
    let last = format!(
        "SELECT max(coalesce({given}, 0), coalesce((SELECT max(id) FROM {table}), 0)) AS id"
    );
    let Taken { id: last } = diesel::sql_query(last).get_result(conn)?;
    Ok((1_i64..).take(n).map(|step| Taken { id: last + step }).collect())
}
