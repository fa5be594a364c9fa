//! The life of user accounts: create, change, delete, restore, purge.

use uuid::Uuid;

use super::model::{Fields, NewUser, ObjectType, User};
use super::{Tenant, What};

impl Tenant {
    /// Creates a user and returns its id. An id that is already taken gives a user with a drawn id instead.
    pub fn create_user(&mut self, new: NewUser) -> Uuid {
        let id = match new.id {
            Some(id) if self.object_type(id).is_none() => id,
            _ => self.draw_id(),
        };
        let user_principal_name = if new.user_principal_name.is_empty() {
            format!("{}@contoso.example", id.simple())
        } else {
            new.user_principal_name
        };
        let mut user = User {
            id,
            display_name: Some(new.display_name).filter(|name| !name.is_empty()),
            user_principal_name,
            mail: new.mail,
            account_enabled: new.account_enabled,
            user_type: new.user_type,
            department: None,
            created: self.clock(),
            deleted: None,
            ever_set: Fields::NONE,
        };
        user.ever_set = user.held();
        self.users.insert(id, user);
        self.record(id, ObjectType::User, What::Created);
        id
    }

    /// Changes the properties of a user; what really changed goes into the history. Unknown ids are ignored.
    pub fn update_user(&mut self, id: Uuid, change: impl FnOnce(&mut User)) {
        let Some(user) = self.users.get_mut(&id) else {
            return;
        };
        let before = user.clone();
        change(user);
        let changed = user.differs(&before);
        user.ever_set = user.ever_set.with(changed);
        if !changed.is_empty() {
            self.record(id, ObjectType::User, What::Updated(changed));
        }
    }

    /// Moves a user to the deleted container; the memberships stay. False if there is no such live user.
    pub fn soft_delete_user(&mut self, id: Uuid) -> bool {
        let now = self.clock();
        match self.users.get_mut(&id) {
            Some(user) if user.deleted.is_none() => user.deleted = Some(now),
            _ => return false,
        }
        self.record(id, ObjectType::User, What::SoftDeleted);
        true
    }

    /// Brings a soft-deleted user back with its id and memberships.
    pub fn restore_user(&mut self, id: Uuid) -> bool {
        match self.users.get_mut(&id) {
            Some(user) if user.deleted.is_some() => user.deleted = None,
            _ => return false,
        }
        self.record(id, ObjectType::User, What::Restored);
        true
    }

    /// Deletes a user for good, live or soft-deleted, together with its memberships.
    pub fn purge_user(&mut self, id: Uuid) -> bool {
        if self.users.remove(&id).is_none() {
            return false;
        }
        self.record(id, ObjectType::User, What::Purged);
        self.drop_from_groups(id, ObjectType::User);
        true
    }
}
