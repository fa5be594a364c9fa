//! What the product registry made, and what its names are bound to.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::load::Which;
use super::lookup::load_groups;
use super::rows::{LinkRow, ProductMemberRow, ProductsRow};
use super::schema::{
    aad_groups, dirsync_registry_bindings, dirsync_registry_links, dirsync_registry_members,
    dirsync_registry_products, dirsync_user_identities, product_aad_groups, product_members,
    products,
};
use super::types::Id;
use super::{Doing, Error, Tx};
use crate::directory::ObjectId;
use crate::reconcile::world::{ProductRole, ProductRow};

/// Products with their ids, and every link between a product and a readable group.
pub(super) struct Catalogue {
    /// By name.
    pub(super) products: BTreeMap<String, ProductRow>,
    /// Group, then product names.
    pub(super) links: BTreeMap<ObjectId, BTreeSet<String>>,
    /// Links made by the registry.
    pub(super) ours: BTreeSet<(String, ObjectId)>,
}

impl Tx<'_> {
    /// Names, folded, and the object each is bound to; `kind` is `group` or `owner`.
    pub fn bindings(&mut self, kind: &'static str) -> Result<BTreeMap<String, ObjectId>, Error> {
        let rows: Vec<(String, Id)> = dirsync_registry_bindings::table
            .filter(dirsync_registry_bindings::kind.eq(kind))
            .select((dirsync_registry_bindings::name, dirsync_registry_bindings::object_id))
            .load(self.conn)
            .doing("reading registry bindings")?;
        Ok(rows.into_iter().map(|(name, id)| (name, id.into())).collect())
    }

    pub(super) fn catalogue(&mut self) -> Result<Catalogue, Error> {
        let made: BTreeSet<i32> = dirsync_registry_products::table
            .select(dirsync_registry_products::product_id)
            .load::<i32>(self.conn)
            .doing("reading registry products")?
            .into_iter()
            .collect();
        let rows: Vec<ProductsRow> = products::table.load(self.conn).doing("reading products")?;
        let names: BTreeMap<i32, String> =
            rows.iter().map(|row| (row.id, row.name.clone())).collect();
        let products = rows
            .into_iter()
            .map(|row| {
                let ours = made.contains(&row.id);
                (row.name.clone(), row.read(ours))
            })
            .collect();
        let rows: Vec<(LinkRow, String)> = product_aad_groups::table
            .inner_join(aad_groups::table.on(aad_groups::id.eq(product_aad_groups::aad_group_id)))
            .select((product_aad_groups::all_columns, aad_groups::external_id))
            .load(self.conn)
            .doing("reading links")?;
        let by_registry: BTreeSet<(i32, i32)> = dirsync_registry_links::table
            .load::<(i32, i32)>(self.conn)
            .doing("reading registry links")?
            .into_iter()
            .collect();
        let mut links: BTreeMap<ObjectId, BTreeSet<String>> = BTreeMap::new();
        let mut ours = BTreeSet::new();
        let linked = rows.iter().filter_map(|(_, id)| ObjectId::spelled(id)).collect();
        let groups = load_groups(self.conn, Which::Ids(&linked))?;
        let own: BTreeMap<Option<i32>, ObjectId> =
            groups.into_iter().map(|(id, row)| (row.id, id)).collect();
        for (LinkRow { product_id, aad_group_id, .. }, _) in rows {
            let group = own.get(&Some(aad_group_id)).copied();
            let (Some(group), Some(name)) = (group, names.get(&product_id)) else { continue };
            links.entry(group).or_default().insert(name.clone());
            if by_registry.contains(&(product_id, aad_group_id)) {
                ours.insert((name.clone(), group));
            }
        }
        Ok(Catalogue { products, links, ours })
    }

    /// Product memberships that the registry made, with their present role.
    pub(super) fn registry_members(
        &mut self,
    ) -> Result<BTreeMap<(String, ObjectId), ProductRole>, Error> {
        let rows: Vec<(ProductMemberRow, String, Id)> = dirsync_registry_members::table
            .inner_join(
                product_members::table.on(product_members::user_id
                    .eq(dirsync_registry_members::user_id)
                    .and(product_members::product_id.eq(dirsync_registry_members::product_id))),
            )
            .inner_join(products::table.on(products::id.eq(dirsync_registry_members::product_id)))
            .inner_join(
                dirsync_user_identities::table
                    .on(dirsync_user_identities::user_id.eq(dirsync_registry_members::user_id)),
            )
            .select((
                product_members::all_columns,
                products::name,
                dirsync_user_identities::object_id,
            ))
            .load(self.conn)
            .doing("reading registry members")?;
        rows.into_iter()
            .map(|(row, product, user)| Ok(((product, user.into()), row.role()?)))
            .collect()
    }

    /// Live members of the tenant who are no guests, by the keys of their names.
    pub fn owners(
        &mut self,
        keys: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, BTreeSet<ObjectId>>, Error> {
        let keys: Vec<String> = keys.iter().cloned().collect();
        let mut owners: BTreeMap<String, BTreeSet<ObjectId>> = BTreeMap::new();
        for slice in keys.chunks(super::bulk::IDS_MAX) {
            let rows: Vec<(String, Id)> = dirsync_user_identities::table
                .filter(dirsync_user_identities::name_key.eq_any(slice))
                .filter(dirsync_user_identities::state.eq("live"))
                .filter(dirsync_user_identities::guest.eq(false))
                .select((dirsync_user_identities::name_key, dirsync_user_identities::object_id))
                .load(self.conn)
                .doing("reading owners")?;
            for (key, id) in rows {
                owners.entry(key).or_default().insert(id.into());
            }
        }
        Ok(owners)
    }
}
