//! What runs took away, and what there is to lose: what the guard counts.
//!
//! Owns the ledger over the window and counts that are made when they are asked for:
//! people make and end links at any time, so a count that is carried along would lie.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};

use super::document;
use crate::reconcile::guard::{Losses, Taken};
use crate::reconcile::report::Removals;
use crate::store::bulk::insert_rows;
use crate::store::schema::dirsync_removals;
use crate::store::types::{Id, Json, Time, is_postgres};
use crate::store::{Doing, Error, RunInfo, Tx};

#[derive(Queryable, Insertable)]
#[diesel(table_name = dirsync_removals, treat_none_as_default_value = false)]
struct RemovalsRow {
    run_id: Id,
    removed_at: Time,
    users: i64,
    groups: i64,
    memberships: i64,
    access: i64,
    products: Json,
}

impl Tx<'_> {
    /// What runs since `since` took away without a person's word.
    pub fn taken_since(&mut self, since: DateTime<Utc>) -> Result<Taken, Error> {
        let rows: Vec<RemovalsRow> = dirsync_removals::table
            .filter(dirsync_removals::removed_at.gt(Time(since)))
            .load(self.conn)
            .doing("reading recent removals")?;
        let mut taken = Taken::default();
        for row in rows {
            let Removals { users, groups, memberships, access } = &mut taken.removals;
            *users += row.users.unsigned_abs();
            *groups += row.groups.unsigned_abs();
            *memberships += row.memberships.unsigned_abs();
            *access += row.access.unsigned_abs();
            let products: Losses = document::read(&row.products.0, "dirsync_removals")?;
            for (product, people) in products {
                *taken.products.entry(product).or_insert(0) += people;
            }
        }
        Ok(taken)
    }

    /// Records what this run takes away, if anything.
    pub fn record_taken(&mut self, taken: &Taken, info: &RunInfo) -> Result<(), Error> {
        if *taken == Taken::default() {
            return Ok(());
        }
        let Removals { users, groups, memberships, access } = taken.removals;
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let row = RemovalsRow {
            run_id: Id(info.id),
            removed_at: Time(info.now),
            users: count(users),
            groups: count(groups),
            memberships: count(memberships),
            access: count(access),
            products: Json(
                serde_json::to_string(&taken.products)
                    .map_err(|error| Error::Corrupt(error.to_string()))?,
            ),
        };
        insert_rows!(self.conn, dirsync_removals::table, [row], "recording removals")?;
        Ok(())
    }

    /// Forgets what was taken away before `limit`; returns how many runs that were. Kept for
    /// far longer than the window, so that a clock which is wrong for a while forgets nothing.
    pub fn prune_removals(&mut self, limit: DateTime<Utc>) -> Result<usize, Error> {
        diesel::delete(dirsync_removals::table.filter(dirsync_removals::removed_at.lt(Time(limit))))
            .execute(self.conn)
            .doing("forgetting old removals")
    }

    /// How many people reach each product, counted no further than asked.
    pub fn people_of(
        &mut self,
        wanted: &BTreeMap<String, u64>,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let mut people = BTreeMap::new();
        for (product, enough) in wanted {
            let Some(id) = self.product_id(product)? else { continue };
            people.insert(product.clone(), self.count_people(id, *enough)?);
        }
        Ok(people)
    }

    /// (user, product) pairs with access, counted no further than `enough`.
    pub fn count_access(&mut self, enough: u64) -> Result<u64, Error> {
        self.count_pairs("product_access", enough)
    }

    fn count_people(&mut self, product_id: i32, enough: u64) -> Result<u64, Error> {
        self.count_pairs(&format!("product_access WHERE product_id = {product_id}"), enough)
    }

    /// Distinct pairs, up to `enough`. A pair may have several paths, so more rows are read
    /// where those that were read are too few pairs.
    fn count_pairs(&mut self, from: &str, enough: u64) -> Result<u64, Error> {
        #[derive(QueryableByName, PartialEq, Eq, PartialOrd, Ord)]
        struct Pair {
            #[diesel(sql_type = Integer)]
            product_id: i32,
            #[diesel(sql_type = Integer)]
            user_id: i32,
        }
        if enough == 0 {
            return Ok(0);
        }
        let mut limit = i64::try_from(enough.saturating_mul(2)).unwrap_or(i64::MAX).max(16);
        loop {
            let sql = format!("SELECT product_id, user_id FROM {from} LIMIT {limit}");
            let rows: Vec<Pair> =
                diesel::sql_query(sql).load(self.conn).doing("counting access")?;
            let all = i64::try_from(rows.len()).unwrap_or(i64::MAX) < limit;
            let pairs = rows.into_iter().collect::<BTreeSet<Pair>>().len() as u64;
            if all || pairs >= enough {
                return Ok(pairs);
            }
            limit = limit.saturating_mul(4);
        }
    }

    /// How many live admins each of these products has.
    pub fn admins_of(
        &mut self,
        products: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, u64>, Error> {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            admins: i64,
        }
        let mut admins = BTreeMap::new();
        for product in products {
            let Some(id) = self.product_id(product)? else { continue };
            let place = if is_postgres(self.conn) { "$1" } else { "?" };
            let sql = format!(
                "SELECT count(DISTINCT user_id) AS admins FROM product_access WHERE product_id = {place} AND role = 'admin'"
            );
            let count: Count = diesel::sql_query(sql)
                .bind::<Integer, _>(id)
                .get_result(self.conn)
                .doing("counting a product's admins")?;
            admins.insert(product.clone(), count.admins.unsigned_abs());
        }
        Ok(admins)
    }
}
