//! The objects a directory holds. This file owns their shape and which of their properties were ever set;
//! it knows nothing of history, links between objects or JSON.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A set of directory properties, one bit each; used to say what changed and what was ever set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fields(u16);

impl Fields {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const DISPLAY_NAME: Self = Self(1);
    pub(crate) const USER_PRINCIPAL_NAME: Self = Self(1 << 1);
    pub(crate) const MAIL: Self = Self(1 << 2);
    pub(crate) const ACCOUNT_ENABLED: Self = Self(1 << 3);
    pub(crate) const USER_TYPE: Self = Self(1 << 4);
    pub(crate) const DEPARTMENT: Self = Self(1 << 5);
    pub(crate) const DESCRIPTION: Self = Self(1 << 6);
    pub(crate) const VISIBILITY: Self = Self(1 << 7);
    /// Properties fixed at creation: kind flags and the creation time.
    pub(crate) const BIRTH: Self = Self(1 << 8);
    pub(crate) const ALL: Self = Self(u16::MAX);

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// `self` if `condition`, nothing otherwise.
    pub(crate) const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

/// A user account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub(crate) id: Uuid,
    /// The name people see; neither unique nor always present.
    pub display_name: Option<String>,
    /// The sign-in name.
    pub user_principal_name: String,
    /// The mail address; absent for accounts without a mailbox.
    pub mail: Option<String>,
    /// Whether sign-in is allowed; `None` for accounts on which it was never set.
    pub account_enabled: Option<bool>,
    /// `Member`, `Guest` or nothing (old accounts).
    pub user_type: Option<String>,
    /// A property most clients do not select, so that unselected changes can be exercised.
    pub department: Option<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) deleted: Option<DateTime<Utc>>,
    pub(crate) ever_set: Fields,
}

impl User {
    /// The immutable object id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whether the account lies in the deleted container.
    pub fn is_deleted(&self) -> bool {
        self.deleted.is_some()
    }

    /// Which properties differ between two states of the same account.
    pub(crate) fn differs(&self, other: &Self) -> Fields {
        Fields::DISPLAY_NAME
            .when(self.display_name != other.display_name)
            .with(
                Fields::USER_PRINCIPAL_NAME
                    .when(self.user_principal_name != other.user_principal_name),
            )
            .with(Fields::MAIL.when(self.mail != other.mail))
            .with(Fields::ACCOUNT_ENABLED.when(self.account_enabled != other.account_enabled))
            .with(Fields::USER_TYPE.when(self.user_type != other.user_type))
            .with(Fields::DEPARTMENT.when(self.department != other.department))
    }

    /// Which properties hold a value now.
    pub(crate) fn held(&self) -> Fields {
        Fields::USER_PRINCIPAL_NAME
            .with(Fields::BIRTH)
            .with(Fields::DISPLAY_NAME.when(self.display_name.is_some()))
            .with(Fields::MAIL.when(self.mail.is_some()))
            .with(Fields::ACCOUNT_ENABLED.when(self.account_enabled.is_some()))
            .with(Fields::USER_TYPE.when(self.user_type.is_some()))
            .with(Fields::DEPARTMENT.when(self.department.is_some()))
    }
}

/// What a new user starts with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewUser {
    /// See [`User::display_name`].
    pub display_name: String,
    /// The sign-in name; made up from the id if empty.
    pub user_principal_name: String,
    /// See [`User::mail`].
    pub mail: Option<String>,
    /// See [`User::account_enabled`].
    pub account_enabled: Option<bool>,
    /// See [`User::user_type`].
    pub user_type: Option<String>,
    /// The object id; drawn by the tenant if absent.
    pub id: Option<Uuid>,
}

/// The kind of a group, which decides its flags and whether it can be soft-deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupKind {
    /// A cloud security group.
    #[default]
    Security,
    /// A cloud security group filled by a rule.
    DynamicSecurity,
    /// A Microsoft 365 group; the only kind whose membership can be hidden.
    Microsoft365,
    /// A mail-enabled security group; deleted for good at once.
    MailEnabledSecurity,
    /// A distribution list; deleted for good at once.
    Distribution,
}

impl GroupKind {
    /// Whether deleting such a group leaves it restorable.
    pub fn soft_deletes(self) -> bool {
        !matches!(self, Self::MailEnabledSecurity | Self::Distribution)
    }

    pub(crate) fn mail_enabled(self) -> bool {
        matches!(self, Self::Microsoft365 | Self::MailEnabledSecurity | Self::Distribution)
    }

    pub(crate) fn security_enabled(self) -> bool {
        !matches!(self, Self::Microsoft365 | Self::Distribution)
    }

    pub(crate) fn group_types(self) -> &'static [&'static str] {
        match self {
            Self::Microsoft365 => &["Unified"],
            Self::DynamicSecurity => &["DynamicMembership"],
            _ => &[],
        }
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub(crate) id: Uuid,
    /// The name people see; not unique.
    pub display_name: String,
    /// A free text.
    pub description: Option<String>,
    /// `Public`, `Private`, `HiddenMembership` or nothing.
    pub visibility: Option<String>,
    pub(crate) kind: GroupKind,
    pub(crate) created: DateTime<Utc>,
    pub(crate) deleted: Option<DateTime<Utc>>,
    pub(crate) ever_set: Fields,
}

impl Group {
    /// The immutable object id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The kind, fixed at creation.
    pub fn kind(&self) -> GroupKind {
        self.kind
    }

    /// Whether the group lies in the deleted container.
    pub fn is_deleted(&self) -> bool {
        self.deleted.is_some()
    }

    /// Whether reading its members takes a permission of its own. The spelling varies in real data.
    pub fn hides_members(&self) -> bool {
        self.visibility.as_deref().is_some_and(|v| v.eq_ignore_ascii_case("HiddenMembership"))
    }

    pub(crate) fn differs(&self, other: &Self) -> Fields {
        Fields::DISPLAY_NAME
            .when(self.display_name != other.display_name)
            .with(Fields::DESCRIPTION.when(self.description != other.description))
            .with(Fields::VISIBILITY.when(self.visibility != other.visibility))
    }

    pub(crate) fn held(&self) -> Fields {
        Fields::DISPLAY_NAME
            .with(Fields::BIRTH)
            .with(Fields::DESCRIPTION.when(self.description.is_some()))
            .with(Fields::VISIBILITY.when(self.visibility.is_some()))
    }
}

/// What a new group starts with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewGroup {
    /// See [`Group::display_name`].
    pub display_name: String,
    /// See [`Group::visibility`].
    pub visibility: Option<String>,
    /// See [`GroupKind`].
    pub kind: GroupKind,
    /// The object id; drawn by the tenant if absent.
    pub id: Option<Uuid>,
}

/// Directory objects that can be members but that the simulator does not model further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OtherKind {
    /// An application's identity; plain member lists leave it out.
    ServicePrincipal,
    /// A registered device.
    Device,
    /// A contact outside the organisation.
    OrgContact,
}

/// The type of a directory object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectType {
    /// A [`User`].
    User,
    /// A [`Group`].
    Group,
    /// Anything else.
    Other(OtherKind),
}

impl ObjectType {
    /// The `@odata.type` annotation.
    pub fn annotation(self) -> &'static str {
        match self {
            Self::User => "#microsoft.graph.user",
            Self::Group => "#microsoft.graph.group",
            Self::Other(OtherKind::ServicePrincipal) => "#microsoft.graph.servicePrincipal",
            Self::Other(OtherKind::Device) => "#microsoft.graph.device",
            Self::Other(OtherKind::OrgContact) => "#microsoft.graph.orgContact",
        }
    }
}
