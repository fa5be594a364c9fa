//! Ways through nested groups: from a person up to a linked group, as they were observed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use diesel::prelude::*;

use crate::directory::ObjectId;
use crate::store::bulk::IDS_MAX;
use crate::store::schema::{dirsync_observed_edges as edges, dirsync_observed_groups as groups};
use crate::store::types::Id;
use crate::store::{Doing, Error, Tx};

/// How many ways to one linked group are told: of groups nested in each other there are
/// more than anybody can read.
pub const WAYS_MAX: usize = 100;

/// How many steps are gone in search of ways to one linked group.
const STEPS_MAX: usize = 1_000_000;

/// The live groups above a person, and what is directly in what.
pub(super) struct Above {
    person: ObjectId,
    /// The groups that an object is directly in.
    parents: BTreeMap<ObjectId, Vec<ObjectId>>,
    names: BTreeMap<ObjectId, String>,
}

/// Every way to one linked group, the shortest ones first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) found: Vec<Vec<String>>,
    /// Whether there may be more than were looked for.
    pub(super) more: bool,
}

impl Tx<'_> {
    /// Loads what is above a person, level by level. Groups that are gone, or whose
    /// members were never read, pass nobody on.
    pub(super) fn above(&mut self, person: ObjectId) -> Result<Above, Error> {
        let (mut parents, mut names) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
        let mut level = vec![Id::from(person)];
        while !level.is_empty() {
            let mut next = BTreeSet::new();
            for slice in level.chunks(IDS_MAX) {
                let rows: Vec<(Id, Id, Option<String>)> = edges::table
                    .inner_join(groups::table.on(groups::object_id.eq(edges::group_id)))
                    .filter(edges::member_id.eq_any(slice))
                    .filter(groups::presence.eq("present"))
                    .filter(groups::members.ne("never"))
                    .select((edges::member_id, edges::group_id, groups::display_name))
                    .load(self.conn)
                    .doing("following nested groups")?;
                for (member, group, name) in rows {
                    let group = ObjectId::from(group);
                    parents.entry(member.into()).or_default().push(group);
                    if let Entry::Vacant(unmet) = names.entry(group) {
                        unmet.insert(name.unwrap_or_else(|| group.to_string()));
                        next.insert(group);
                    }
                }
            }
            level = next.into_iter().map(Id::from).collect();
        }
        Ok(Above { person, parents, names })
    }
}

impl Above {
    /// Every way to `target` that meets no group twice.
    pub(super) fn ways(&self, target: ObjectId) -> Ways {
        let distance = self.distances(target);
        let mut search =
            Search { above: self, distance: &distance, ways: Ways::default(), steps: 0, cut: true };
        // Way by way as long as the last round left some out because they are longer.
        let mut length = distance.get(&self.person).copied().unwrap_or_default();
        while length > 0 && search.cut && !search.ways.more {
            search.cut = false;
            search.climb(self.person, length, &mut Vec::new());
            length += 1;
        }
        search.ways
    }

    /// How many steps each object is away from `target`, where it is below it.
    fn distances(&self, target: ObjectId) -> BTreeMap<ObjectId, usize> {
        let mut children: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
        for (member, parents) in &self.parents {
            for parent in parents {
                children.entry(*parent).or_default().push(*member);
            }
        }
        let mut distance = BTreeMap::from([(target, 0)]);
        let mut queue = VecDeque::from([target]);
        while let Some(group) = queue.pop_front() {
            let next = distance[&group] + 1;
            for member in children.get(&group).into_iter().flatten() {
                if !distance.contains_key(member) {
                    distance.insert(*member, next);
                    queue.push_back(*member);
                }
            }
        }
        distance
    }
}

struct Search<'a> {
    above: &'a Above,
    distance: &'a BTreeMap<ObjectId, usize>,
    ways: Ways,
    steps: usize,
    /// Whether a way was left because it is longer than looked for.
    cut: bool,
}

impl Search<'_> {
    /// Adds the ways of exactly `left` steps from `from` that go on from `way`.
    fn climb(&mut self, from: ObjectId, left: usize, way: &mut Vec<ObjectId>) {
        let above = self.above;
        for group in above.parents.get(&from).into_iter().flatten() {
            let Some(rest) = self.distance.get(group) else { continue };
            if self.ways.more || way.contains(group) {
                continue;
            }
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.ways.more = true;
            } else if *rest >= left {
                self.cut = true;
            } else if *rest == 0 && left == 1 {
                self.add(way, *group);
            } else if *rest > 0 {
                way.push(*group);
                self.climb(*group, left - 1, way);
                way.pop();
            }
        }
    }

    fn add(&mut self, way: &[ObjectId], target: ObjectId) {
        if self.ways.found.len() == WAYS_MAX {
            self.ways.more = true;
            return;
        }
        let groups = way.iter().chain([&target]);
        self.ways.found.push(groups.map(|group| self.above.names[group].clone()).collect());
    }
}
