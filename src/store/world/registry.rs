//! What the product registry has to do with a run: its names, what it made, and whom it ends.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::{Question, place_again};
use crate::directory::{ObjectId, fold_case, person_key};
use crate::reconcile::world::{RegistryWorld, World};
use crate::store::bulk::IDS_MAX;
use crate::store::load::Which;
use crate::store::lookup::{UsersBy, load_groups, load_users};
use crate::store::rows::ProductMemberRow;
use crate::store::schema::product_members;
use crate::store::{Doing, Error, Tx};

impl Tx<'_> {
    /// What the registry wants, what it made and what its names are bound to.
    pub(super) fn registry(
        &mut self,
        question: &Question,
        links: BTreeSet<(String, ObjectId)>,
    ) -> Result<RegistryWorld, Error> {
        let entries = question.registry.as_deref().unwrap_or_default();
        let keys =
            entries.iter().filter_map(|entry| entry.owner.as_deref()).map(person_key).collect();
        Ok(RegistryWorld {
            wanted: question.registry.clone(),
            links,
            members: self.registry_members()?,
            group_bindings: self.bindings("group")?,
            owner_bindings: self.bindings("owner")?,
            candidates: question.candidates.clone(),
            owners: self.owners(&keys)?,
            namesakes: question.namesakes.clone(),
        })
    }

    /// Loads the rows of the people and groups that the registry is about.
    pub(super) fn fill_registry(&mut self, world: &mut World) -> Result<(), Error> {
        let mut people: BTreeSet<ObjectId> =
            world.registry.owner_bindings.values().copied().collect();
        people.extend(world.registry.owners.values().flatten());
        people.extend(world.registry.members.keys().map(|(_, user)| *user));
        people.retain(|id| !world.identities.contains_key(id));
        for row in load_users(self.conn, UsersBy::ObjectIds(&people))? {
            place_again(world, row);
        }
        let mut groups: BTreeSet<ObjectId> =
            world.registry.group_bindings.values().copied().collect();
        groups.extend(world.registry.candidates.values().flatten());
        groups.retain(|id| !world.group_rows.contains_key(id));
        world.group_rows.extend(load_groups(self.conn, Which::Ids(&groups))?);
        let product_names: BTreeMap<i32, String> = world
            .products
            .values()
            .filter_map(|product| Some((product.id?, product.name.clone())))
            .collect();
        let by_id: BTreeMap<i32, ObjectId> =
            world.identities.iter().filter_map(|(id, row)| Some((row.id?, *id))).collect();
        let ids: Vec<i32> = by_id.keys().copied().collect();
        for slice in ids.chunks(IDS_MAX) {
            let rows: Vec<ProductMemberRow> = product_members::table
                .filter(product_members::user_id.eq_any(slice))
                .load(self.conn)
                .doing("reading product members")?;
            for row in rows {
                let name = product_names.get(&row.product_id).cloned().unwrap_or_default();
                world
                    .product_members
                    .entry(by_id[&row.user_id])
                    .or_default()
                    .insert(name, row.role()?);
            }
        }
        Ok(())
    }
}

/// Owners and groups of the links that the registry makes or ends, by its names as they are
/// bound or may come to be: whoever is in them may gain or lose a product.
pub(super) fn turning(
    registry: &RegistryWorld,
    links: &BTreeMap<ObjectId, BTreeSet<String>>,
) -> (BTreeSet<ObjectId>, BTreeSet<ObjectId>) {
    let Some(wanted) = &registry.wanted else { return Default::default() };
    let mut owners = BTreeSet::new();
    let mut groups = BTreeSet::new();
    let (mut kept_links, mut kept_owners) = (BTreeSet::new(), BTreeSet::new());
    for entry in wanted {
        for name in &entry.groups {
            let key = fold_case(name);
            let bound = registry.group_bindings.get(&key).copied();
            let heirs = registry.candidates.get(&key).filter(|named| named.len() == 1);
            let heir = heirs.into_iter().flatten().copied().find(|id| Some(*id) != bound);
            if heir.is_some() {
                groups.extend(bound);
            }
            let linked =
                |id: &ObjectId| links.get(id).is_some_and(|to| to.contains(&entry.product));
            groups.extend(bound.into_iter().chain(heir).filter(|id| !linked(id)));
            kept_links.extend(bound.map(|id| (entry.product.as_str(), id)));
        }
        let owner = entry.owner.as_deref().map(person_key);
        let owner = owner.and_then(|key| registry.owner_bindings.get(&key).copied());
        kept_owners.extend(owner.map(|id| (entry.product.as_str(), id)));
    }
    let ends =
        |kept: &BTreeSet<(&str, ObjectId)>, product: &str, id| !kept.contains(&(product, id));
    let members = registry.members.keys().filter(|(product, id)| ends(&kept_owners, product, *id));
    owners.extend(members.map(|(_, id)| *id));
    let made = |(product, id): &(&str, ObjectId)| {
        registry.members.contains_key(&((*product).to_owned(), *id))
    };
    owners.extend(kept_owners.iter().filter(|kept| !made(kept)).map(|(_, id)| *id));
    let over = registry.links.iter().filter(|(product, id)| ends(&kept_links, product, *id));
    groups.extend(over.map(|(_, id)| *id));
    (owners, groups)
}
