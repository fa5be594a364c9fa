//! Writes what the registry asks for: products, links, owners, bindings.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;

use super::Writing;
use crate::reconcile::plan::{Binding, Item, Plan};
use crate::reconcile::report::{Action, Entity};
use crate::store::audit::{Entry, link_json, member_json, product_json};
use crate::store::bulk::{self, Target, insert_rows};
use crate::store::rows::{LinkRow, ProductMemberRow, ProductsRow};
use crate::store::schema::{
    dirsync_registry_links, dirsync_registry_members, dirsync_registry_products,
    product_aad_groups, product_members, products,
};
use crate::store::types::{Id, Label, Time};
use crate::store::{Doing, Error, Tx};

const PRODUCTS: Target =
    Target { name: "products", key: &["id"], set: &["description", "updated_at"] };
const BINDINGS: Target = Target {
    name: "dirsync_registry_bindings",
    key: &["kind", "name"],
    set: &["object_id", "bound_at"],
};
const BINDING_KEYS: Target =
    Target { name: "dirsync_registry_bindings", key: &["kind", "name"], set: &[] };

#[derive(Insertable)]
#[diesel(table_name = dirsync_registry_products, treat_none_as_default_value = false)]
struct MadeProduct {
    product_id: i32,
}

#[derive(Insertable)]
#[diesel(table_name = dirsync_registry_links, treat_none_as_default_value = false)]
struct MadeLink {
    product_id: i32,
    aad_group_id: i32,
}

#[derive(Insertable)]
#[diesel(table_name = dirsync_registry_members, treat_none_as_default_value = false)]
struct MadeMember {
    user_id: i32,
    product_id: i32,
}

impl Writing<'_, '_> {
    pub(super) fn products(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        let (mut new, mut made, mut changed) = (vec![], vec![], vec![]);
        for change in &plan.products {
            let id = self.ids.products[&change.key];
            let Some(after) = &change.after else { continue };
            if change.before.is_none() {
                new.push(ProductsRow::new(id, after));
                made.push(MadeProduct { product_id: id });
            } else {
                changed.push(ProductsRow::new(id, after));
            }
        }
        insert_rows!(self.tx.conn, products::table, &new, "inserting products")?;
        insert_rows!(
            self.tx.conn,
            dirsync_registry_products::table,
            &made,
            "noting registry products"
        )?;
        bulk::update(self.tx.conn, &PRODUCTS, &changed, "updating products")?;
        for change in &plan.products {
            let id = self.ids.products[&change.key];
            let json = |row: &Option<_>| row.as_ref().map(|row| product_json(id, row).to_string());
            let action = if change.before.is_none() { Action::Create } else { Action::Update };
            let (before, after) = (json(&change.before), json(&change.after));
            self.tell(Entity::Product, id, action, before, after)?;
        }
        Ok(())
    }

    pub(super) fn links_and_members_begin(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        let now = self.info.now;
        let (mut links, mut made_links) = (vec![], vec![]);
        for link in plan.links.iter().filter(|link| link.made) {
            let (product_id, aad_group_id) =
                (self.ids.products[&link.product], self.ids.groups[&link.group]);
            links.push(LinkRow { product_id, aad_group_id, created_at: Time(now) });
            made_links.push(MadeLink { product_id, aad_group_id });
            let after = link_json(product_id, aad_group_id, now).to_string();
            let item = Item::Linking(link.product.clone(), link.group);
            let told = (Action::Link, None, Some(after));
            let items: Vec<Item> = [item].into_iter().chain(link.follows.clone()).collect();
            self.tell_why(Entity::ProductAadGroup, product_id, told, &items)?;
        }
        insert_rows!(self.tx.conn, product_aad_groups::table, &links, "inserting links")?;
        insert_rows!(
            self.tx.conn,
            dirsync_registry_links::table,
            &made_links,
            "noting registry links"
        )?;

        let (mut members, mut made_members) = (vec![], vec![]);
        for change in &plan.members {
            let Some(role) = change.after else { continue };
            let (product, user) = &change.key;
            let (product_id, user_id) = (self.ids.products[product], self.ids.users[user]);
            let label = Label::of(role.label());
            if change.before.is_some() {
                self.correct_member(product_id, user_id, role)?;
                continue;
            }
            members.push(ProductMemberRow {
                user_id,
                product_id,
                role: label,
                joined_at: Time(now),
            });
            made_members.push(MadeMember { user_id, product_id });
            let after = member_json(product_id, user_id, role, now).to_string();
            self.tell(Entity::ProductMember, product_id, Action::Create, None, Some(after))?;
        }
        insert_rows!(self.tx.conn, product_members::table, &members, "inserting owners")?;
        insert_rows!(
            self.tx.conn,
            dirsync_registry_members::table,
            &made_members,
            "noting owners"
        )?;
        Ok(())
    }

    /// Somebody changed the role of a membership that the registry made.
    fn correct_member(
        &mut self,
        product_id: i32,
        user_id: i32,
        role: crate::reconcile::world::ProductRole,
    ) -> Result<(), Error> {
        let row = self.product_member(product_id, user_id)?;
        let before = member_json(product_id, user_id, row.role()?, row.joined_at.0).to_string();
        let after = member_json(product_id, user_id, role, row.joined_at.0).to_string();
        diesel::update(product_members::table.find((user_id, product_id)))
            .set(product_members::role.eq(Label::of(role.label())))
            .execute(self.tx.conn)
            .doing("correcting an owner's role")?;
        self.tell(Entity::ProductMember, product_id, Action::Update, Some(before), Some(after))
    }

    pub(super) fn links_and_members_end(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        for link in plan.links.iter().filter(|link| !link.made) {
            let key = (self.ids.products[&link.product], self.ids.groups[&link.group]);
            let row: LinkRow = product_aad_groups::table
                .find(key)
                .first(self.tx.conn)
                .doing("reading a link that ends")?;
            diesel::delete(product_aad_groups::table.find(key))
                .execute(self.tx.conn)
                .doing("deleting a link")?;
            let before = link_json(key.0, key.1, row.created_at.0).to_string();
            let item = Item::Link(link.product.clone(), link.group);
            let told = (Action::Unlink, Some(before), None);
            let items: Vec<Item> = [item].into_iter().chain(link.follows.clone()).collect();
            self.tell_why(Entity::ProductAadGroup, key.0, told, &items)?;
        }
        for change in plan.members.iter().filter(|change| change.after.is_none()) {
            let (product, user) = &change.key;
            let (product_id, user_id) = (self.ids.products[product], self.ids.users[user]);
            let row = self.product_member(product_id, user_id)?;
            diesel::delete(product_members::table.find((user_id, product_id)))
                .execute(self.tx.conn)
                .doing("deleting an owner's membership")?;
            let before = member_json(product_id, user_id, row.role()?, row.joined_at.0).to_string();
            let item = Item::ProductMember(product.clone(), *user);
            let told = (Action::Delete, Some(before), None);
            self.tell_why(Entity::ProductMember, product_id, told, &[item])?;
        }
        Ok(())
    }

    fn product_member(&mut self, product_id: i32, user_id: i32) -> Result<ProductMemberRow, Error> {
        product_members::table
            .find((user_id, product_id))
            .first(self.tx.conn)
            .doing("reading an owner's membership")
    }

    fn tell(
        &mut self,
        entity: Entity,
        entity_id: i32,
        action: Action,
        before: Option<String>,
        after: Option<String>,
    ) -> Result<(), Error> {
        self.tell_why(entity, entity_id, (action, before, after), &[])
    }

    fn tell_why(
        &mut self,
        entity: Entity,
        entity_id: i32,
        (action, before, after): (Action, Option<String>, Option<String>),
        items: &[Item],
    ) -> Result<(), Error> {
        let approval = self.approval(items);
        let entry = Entry {
            entity,
            entity_id,
            action,
            before,
            after,
            evidence: None,
            record: None,
            products: None,
            approval,
        };
        self.audit.add(self.tx, entry)?;
        self.note(entity, action);
        Ok(())
    }
}

#[derive(Serialize)]
struct BindingRow {
    kind: &'static str,
    name: String,
    object_id: Option<Id>,
    bound_at: Time,
}

impl Tx<'_> {
    /// Writes what registry names are bound to from now on.
    pub(super) fn write_bindings(&mut self, plan: &Plan, now: DateTime<Utc>) -> Result<(), Error> {
        let row = |binding: &'_ Binding| BindingRow {
            kind: if binding.owner { "owner" } else { "group" },
            name: binding.name.clone(),
            object_id: binding.object.map(Id::from),
            bound_at: Time(now),
        };
        let (bound, ended): (Vec<_>, Vec<_>) =
            plan.bindings.iter().map(row).partition(|row| row.object_id.is_some());
        bulk::upsert(self.conn, &BINDINGS, &bound, "binding registry names")?;
        bulk::delete(self.conn, &BINDING_KEYS, &ended, "releasing registry names")?;
        Ok(())
    }
}
