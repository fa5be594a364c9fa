//! How the groups are that links or the registry name.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{Doing, Error, Tx};
use crate::reconcile::report::LinkedGroup;

/// One row for each group that is named, however often. A group that the directory no
/// longer has is missing at once, also while the guard withholds its removal. Looks each
/// group up by key: the cost follows links and bindings, not the tenant.
const COUNT: &str = "
WITH named AS (
  SELECT lower(g.external_id) AS id, d.aad_group_id, d.object_id, d.state
    FROM (SELECT DISTINCT aad_group_id FROM product_aad_groups) l
    JOIN aad_groups g ON g.id = l.aad_group_id
    LEFT JOIN dirsync_aad_groups d ON d.aad_group_id = g.id
  UNION
  SELECT CAST(b.object_id AS text), d.aad_group_id, d.object_id, d.state
    FROM dirsync_registry_bindings b
    LEFT JOIN dirsync_aad_groups d ON d.object_id = b.object_id
   WHERE b.kind = 'group'
)
SELECT judged.word, count(*) AS groups
  FROM (SELECT CASE
          WHEN n.state IS NULL OR n.state <> 'live' OR o.presence IS NULL
            OR o.presence <> 'present' OR o.members = 'never' THEN 'missing'
          WHEN o.members = 'stale' THEN 'stale'
          WHEN EXISTS (SELECT 1 FROM dirsync_group_members m
                        WHERE m.aad_group_id = n.aad_group_id) THEN 'live'
          ELSE 'empty'
        END AS word
          FROM named n
          LEFT JOIN dirsync_observed_groups o ON o.object_id = n.object_id) judged
 GROUP BY judged.word";

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = Text)]
    word: String,
    #[diesel(sql_type = BigInt)]
    groups: i64,
}

impl Tx<'_> {
    /// Groups that links or the registry name, by how they are; every state is there.
    pub fn count_linked_groups(&mut self) -> Result<BTreeMap<LinkedGroup, u64>, Error> {
        let rows: Vec<Counted> =
            diesel::sql_query(COUNT).load(self.conn).doing("counting linked groups")?;
        let mut counts: BTreeMap<_, _> = LinkedGroup::ALL.iter().map(|state| (*state, 0)).collect();
        for Counted { word, groups } in rows {
            let state = LinkedGroup::parse(&word).ok_or(Error::Corrupt(word))?;
            counts.insert(state, groups.unsigned_abs());
        }
        Ok(counts)
    }
}
