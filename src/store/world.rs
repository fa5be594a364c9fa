//! Fills a [`World`] that is closed over what a run decides upon.
//!
//! Whole for a full run; for a delta run only what the moved objects reach, so that
//! the rows read follow the change and not the tenant.

mod registry;

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use self::registry::turning;
use super::bulk::IDS_MAX;
use super::load::{EdgesOf, Which, edges, in_slices, observed_groups, observed_users};
use super::lookup::{UsersBy, load_groups, load_users, waiting_for};
use super::rows::{EdgeRow, ProductMemberRow};
use super::schema::{
    dirsync_aad_groups, dirsync_group_members, dirsync_user_identities, product_members, products,
};
use super::types::Id;
use super::{Doing, Error, Tx};
use crate::directory::proof::Grave;
use crate::directory::{MemberKind, ObjectId, fold_case};
use crate::reconcile::fold::{EdgeMove, Moved, Observed};
use crate::reconcile::placeholder::Placeholder;
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{
    HandMade, Namesakes, ProductRole, RegistryEntry, State, UserRow, World, claims,
};

/// What a run wants decided.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Decide upon everything, not only upon what moved.
    pub everything: bool,
    /// The registry's entries; `None` where none is configured.
    pub registry: Option<Vec<RegistryEntry>>,
    /// Groups that have the asked registry names, by folded name.
    pub candidates: BTreeMap<String, BTreeSet<ObjectId>>,
    /// Who has the names of owners, by key; empty where rows tell.
    pub namesakes: BTreeMap<String, Namesakes>,
    /// Users to decide upon though nothing about them moved: they have the address of a
    /// row made by hand that somebody else has come to have as well, or alone the name of
    /// an owner.
    pub matched: BTreeSet<ObjectId>,
    /// Users that may be purged, because Graph has just confirmed that they are gone.
    pub purge_users: BTreeMap<ObjectId, Grave>,
    /// Groups that may be purged.
    pub purge_groups: BTreeMap<ObjectId, Grave>,
    /// Users that earlier runs held something of.
    pub held_users: BTreeSet<ObjectId>,
    /// Groups likewise.
    pub held_groups: BTreeSet<ObjectId>,
    /// Groups whose members are platform admins.
    pub admin_groups: BTreeSet<ObjectId>,
}

impl Tx<'_> {
    /// Fills the world. `observed` is the observed state after folding: all of it if
    /// everything is decided upon, else what the run had in hand.
    pub fn world(
        &mut self,
        observed: Observed,
        moved: &Moved,
        question: &Question,
    ) -> Result<World, Error> {
        let catalogue = self.catalogue()?;
        let mut world = World {
            products: catalogue.products,
            links: catalogue.links,
            open_findings: self.open_findings()?,
            records: moved.records.clone(),
            registry: self.registry(question, catalogue.ours)?,
            ..World::default()
        };
        let purges = question.purge_users.iter().chain(&question.purge_groups);
        world.records.objects.extend(purges.map(|(id, grave)| (*id, grave.record())));
        for (key, step) in &moved.edges {
            if let EdgeMove::Left(_, evidence) = step {
                world.edge_evidence.insert(*key, *evidence);
            }
        }
        if question.everything {
            self.fill_everything(&mut world, observed)?;
        } else {
            self.fill_moved(&mut world, observed, moved, question)?;
        }
        self.fill_registry(&mut world)?;
        self.fill_memberships(&mut world, question.everything)?;
        self.fill_sizes(&mut world)?;
        self.fill_purges(&mut world, question)?;
        self.fill_admin_groups(&mut world, &question.admin_groups)?;
        Ok(world)
    }

    fn fill_everything(&mut self, world: &mut World, observed: Observed) -> Result<(), Error> {
        let Observed { users, groups, edges } = observed;
        for (group, members) in edges {
            for member in members {
                world.parents.entry(member.id).or_default().push(group);
            }
        }
        world.affected_users = users.keys().copied().collect();
        world.affected_groups = groups.keys().copied().collect();
        world.users = users;
        world.groups = groups;
        for row in load_users(self.conn, UsersBy::All)? {
            place(world, row);
        }
        world.affected_users.extend(world.identities.keys());
        world.group_rows = load_groups(self.conn, Which::All)?;
        self.fill_hand_made_products(world)
    }

    fn fill_moved(
        &mut self,
        world: &mut World,
        observed: Observed,
        moved: &Moved,
        question: &Question,
    ) -> Result<(), Error> {
        let (turning_owners, turning_groups) = turning(&world.registry, &world.links);
        let mut affected: BTreeSet<ObjectId> = moved.users.iter().copied().collect();
        affected.extend(&question.held_users);
        affected.extend(turning_owners);
        affected.extend(question.purge_users.keys().chain(&question.matched));
        affected.extend(waiting_users(world));
        affected.extend(self.waiting_admins(world)?);
        let mut below = question.held_groups.clone();
        below.extend(turning_groups);
        below.extend(question.purge_groups.keys());
        below.extend(&moved.turned);
        for ((group, member), step) in &moved.edges {
            let (EdgeMove::Joined(kind) | EdgeMove::Left(kind, _)) = step;
            match kind {
                MemberKind::User => affected.insert(*member),
                MemberKind::Group => {
                    below.insert(*group);
                    below.insert(*member)
                }
            };
        }
        world.affected_groups = moved.groups.iter().copied().collect();
        world.affected_groups.extend(&question.held_groups);
        world.affected_groups.extend(question.purge_groups.keys());
        affected.extend(self.people_below(&below)?);
        world.users = observed.users;
        world.groups = observed.groups;
        self.fill_people(world, affected)?;
        self.fill_above(world)?;
        self.fill_hand_made_products(world)
    }

    /// Everybody whose effective membership may follow from these groups: the people
    /// in them and in what is nested below, as edges say now and as was decided.
    fn people_below(&mut self, groups: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>, Error> {
        let mut people = BTreeSet::new();
        let mut reached = groups.clone();
        let mut open = groups.clone();
        while !open.is_empty() {
            let mut next = BTreeSet::new();
            for EdgeRow { member_id, is_group, .. } in edges(self.conn, EdgesOf::Groups(&open))? {
                let member = ObjectId::from(member_id);
                if !is_group {
                    people.insert(member);
                } else if reached.insert(member) {
                    next.insert(member);
                }
            }
            open = next;
        }
        let decided: Vec<Id> = in_slices(reached, |ids| {
            dirsync_group_members::table
                .inner_join(
                    dirsync_aad_groups::table
                        .on(dirsync_aad_groups::aad_group_id
                            .eq(dirsync_group_members::aad_group_id)),
                )
                .inner_join(
                    dirsync_user_identities::table
                        .on(dirsync_user_identities::user_id.eq(dirsync_group_members::user_id)),
                )
                .filter(dirsync_aad_groups::object_id.eq_any(ids))
                .select(dirsync_user_identities::object_id)
                .distinct()
                .load(self.conn)
        })
        .doing("reading members of moved groups")?;
        people.extend(decided.into_iter().map(ObjectId::from));
        Ok(people)
    }

    /// Loads the people to decide upon, and everybody whose address depends on theirs.
    fn fill_people(
        &mut self,
        world: &mut World,
        mut open: BTreeSet<ObjectId>,
    ) -> Result<(), Error> {
        let mut asked: BTreeSet<String> = BTreeSet::new();
        while !open.is_empty() {
            let unseen = open.iter().filter(|id| !world.users.contains_key(id)).copied().collect();
            world.users.extend(observed_users(self.conn, Which::Ids(&unseen))?);
            for row in load_users(self.conn, UsersBy::ObjectIds(&open))? {
                place_again(world, row);
            }
            world.affected_users.extend(&open);
            let mut wanted: BTreeSet<String> = BTreeSet::new();
            for id in &open {
                wanted.extend(world.users.get(id).into_iter().flat_map(|user| claims(&user.facts)));
                wanted.extend(world.identities.get(id).map(|row| fold_case(&row.email)));
            }
            wanted.retain(|address| asked.insert(address.clone()));
            for row in load_users(self.conn, UsersBy::Emails(&wanted))? {
                place_again(world, row);
            }
            open = waiting_for(self.conn, &wanted)?
                .into_iter()
                .filter(|id| !world.affected_users.contains(id))
                .collect();
        }
        // Who has to give way needs an address that nobody sits on.
        let known = world.identities.keys();
        let placeholders = known.flat_map(|id| {
            Placeholder::ALL.into_iter().flat_map(|kind| kind.addresses(*id).take(1))
        });
        for row in load_users(self.conn, UsersBy::Emails(&placeholders.collect()))? {
            place_again(world, row);
        }
        Ok(())
    }

    /// Loads every group above the people and groups in play.
    fn fill_above(&mut self, world: &mut World) -> Result<(), Error> {
        let mut open: BTreeSet<ObjectId> =
            world.affected_users.iter().chain(&world.affected_groups).copied().collect();
        let mut seen = open.clone();
        while !open.is_empty() {
            let mut next = BTreeSet::new();
            for EdgeRow { group_id, member_id, .. } in edges(self.conn, EdgesOf::Members(&open))? {
                let group = ObjectId::from(group_id);
                world.parents.entry(member_id.into()).or_default().push(group);
                if seen.insert(group) {
                    next.insert(group);
                }
            }
            open = next;
        }
        for parents in world.parents.values_mut() {
            parents.sort_unstable();
        }
        let groups: BTreeSet<ObjectId> = world.parents.values().flatten().copied().collect();
        let unseen = groups.iter().filter(|id| !world.groups.contains_key(id)).copied().collect();
        world.groups.extend(observed_groups(self.conn, Which::Ids(&unseen))?);
        let mut rows: BTreeSet<ObjectId> = groups;
        rows.extend(&world.affected_groups);
        rows.extend(world.links.keys());
        world.group_rows = load_groups(self.conn, Which::Ids(&rows))?;
        Ok(())
    }

    fn fill_memberships(&mut self, world: &mut World, everything: bool) -> Result<(), Error> {
        let query = || {
            dirsync_group_members::table
                .inner_join(
                    dirsync_aad_groups::table
                        .on(dirsync_aad_groups::aad_group_id
                            .eq(dirsync_group_members::aad_group_id)),
                )
                .inner_join(
                    dirsync_user_identities::table
                        .on(dirsync_user_identities::user_id.eq(dirsync_group_members::user_id)),
                )
                .select((dirsync_user_identities::object_id, dirsync_aad_groups::object_id))
        };
        let rows: Vec<(Id, Id)> = if everything {
            query().load(self.conn)
        } else {
            // Whoever becomes an owner may have the product already.
            let owners = world.registry.owners.values().flatten();
            let ids: BTreeSet<ObjectId> =
                world.affected_users.iter().chain(owners).copied().collect();
            let ids = ids.into_iter().filter(|id| world.identities.contains_key(id));
            in_slices(ids, |ids| {
                query().filter(dirsync_user_identities::object_id.eq_any(ids)).load(self.conn)
            })
        }
        .doing("reading effective members")?;
        for (user, group) in rows {
            world.memberships.entry(user.into()).or_default().insert(group.into());
        }
        if !everything {
            // Whatever somebody is a member of must be known by name and state.
            let known = &world.group_rows;
            let missing: BTreeSet<ObjectId> = world
                .memberships
                .values()
                .flatten()
                .filter(|id| !known.contains_key(id))
                .copied()
                .collect();
            world.group_rows.extend(load_groups(self.conn, Which::Ids(&missing))?);
        }
        Ok(())
    }

    fn fill_hand_made_products(&mut self, world: &mut World) -> Result<(), Error> {
        let ids: Vec<i32> = world.hand_made.iter().filter_map(|made| made.row.id).collect();
        let mut by_user: BTreeMap<i32, BTreeMap<String, ProductRole>> = BTreeMap::new();
        for slice in ids.chunks(IDS_MAX) {
            let rows: Vec<(ProductMemberRow, String)> = product_members::table
                .inner_join(products::table.on(products::id.eq(product_members::product_id)))
                .filter(product_members::user_id.eq_any(slice))
                .select((product_members::all_columns, products::name))
                .load(self.conn)
                .doing("reading product members")?;
            for (row, product) in rows {
                by_user.entry(row.user_id).or_default().insert(product, row.role()?);
            }
        }
        for made in &mut world.hand_made {
            made.products = made.row.id.and_then(|id| by_user.remove(&id)).unwrap_or_default();
        }
        Ok(())
    }

    /// Counts the members of whatever may stop giving access; usually nothing.
    fn fill_sizes(&mut self, world: &mut World) -> Result<(), Error> {
        let gone = world.affected_groups.iter().filter(|id| {
            let observed = world.groups.get(id);
            observed.is_some_and(|group| !group.presence.is_present())
                && world.group_rows.get(id).is_some_and(|row| row.state == Some(State::Live))
        });
        let ids: BTreeSet<ObjectId> = gone.copied().collect();
        for id in ids {
            let members: i64 =
                dirsync_group_members::table
                    .inner_join(dirsync_aad_groups::table.on(
                        dirsync_aad_groups::aad_group_id.eq(dirsync_group_members::aad_group_id),
                    ))
                    .filter(dirsync_aad_groups::object_id.eq(Id::from(id)))
                    .count()
                    .get_result(self.conn)
                    .doing("counting the members of a group")?;
            world.group_sizes.insert(id, members.unsigned_abs());
        }
        Ok(())
    }

    /// Whoever has the role from the daemon, while an admin group is not known: it may become
    /// known without anybody moving.
    fn waiting_admins(&mut self, world: &World) -> Result<Vec<ObjectId>, Error> {
        let unusable = |(kind, _): &(FindingKind, _)| *kind == FindingKind::AdminGroupUnusable;
        if !world.open_findings.keys().any(unusable) {
            return Ok(Vec::new());
        }
        let ids: Vec<Id> = dirsync_user_identities::table
            .filter(dirsync_user_identities::admin_granted.eq(true))
            .select(dirsync_user_identities::object_id)
            .load(self.conn)
            .doing("reading who has the role admin from the daemon")?;
        Ok(ids.into_iter().map(ObjectId::from).collect())
    }

    /// Admin groups are judged in each run: nobody loses the role by one that is not known.
    fn fill_admin_groups(
        &mut self,
        world: &mut World,
        ids: &BTreeSet<ObjectId>,
    ) -> Result<(), Error> {
        let unseen = ids.iter().filter(|id| !world.groups.contains_key(id)).copied().collect();
        world.groups.extend(observed_groups(self.conn, Which::Ids(&unseen))?);
        let unseen = ids.iter().filter(|id| !world.group_rows.contains_key(id)).copied().collect();
        world.group_rows.extend(load_groups(self.conn, Which::Ids(&unseen))?);
        Ok(())
    }
}

/// Users without a row who wait for an address or an adoption: they are looked at
/// again in each run, because what they wait for need not move them.
fn waiting_users(world: &World) -> impl Iterator<Item = ObjectId> {
    const WAITING: &[FindingKind] = &[FindingKind::AddressConflict, FindingKind::AdoptionWaits];
    world
        .open_findings
        .keys()
        .filter(|(kind, _)| WAITING.contains(kind))
        .filter_map(|(_, subject)| subject.parse().ok())
}

/// A row that was placed before may come again, except where all are read at once.
fn place_again(world: &mut World, row: UserRow) {
    let is_known =
        row.identity.is_none() && world.hand_made.iter().any(|made| made.row.id == row.id);
    if !is_known {
        place(world, row);
    }
}

fn place(world: &mut World, row: UserRow) {
    match &row.identity {
        Some(identity) => {
            world.identities.insert(identity.object_id, row);
        }
        // Blanks around it make an address nobody's: no index finds it, in no mode.
        None if row.email.trim() != row.email => {}
        None => world.hand_made.push(HandMade { row, products: BTreeMap::new() }),
    }
}
