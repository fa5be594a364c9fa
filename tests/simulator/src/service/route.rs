//! From a path to what is asked for, and its base price. Knows the spellings of paths, nothing of their answers.

use uuid::Uuid;

use super::problem::Problem;
use super::query::decode;
use crate::tenant::ObjectType;

/// What a Graph path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    List(ObjectType),
    Count(ObjectType),
    Delta(ObjectType),
    One(ObjectType, Uuid),
    Members { group: Uuid, transitive: bool, only: Option<ObjectType> },
    MemberCount { group: Uuid, transitive: bool, only: Option<ObjectType> },
    MemberOf { member: Uuid, of_type: ObjectType, transitive: bool },
    MemberOfCount { member: Uuid, of_type: ObjectType, transitive: bool },
    DeletedItems(ObjectType),
    DeletedItem(Uuid),
    GetByIds,
    Batch,
    Organization,
}

impl Route {
    /// The route of a request to `/v1.0/…`.
    pub(crate) fn of(method: &str, path: &str) -> Result<Self, Problem> {
        let rest = path.strip_prefix("/v1.0/").ok_or_else(|| unknown(path))?;
        let segments: Vec<String> = rest.trim_end_matches('/').split('/').map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let route = match *segments.as_slice() {
            ["$batch"] => Some(Self::Batch),
            ["directoryObjects", "getByIds" | "microsoft.graph.getByIds"] => Some(Self::GetByIds),
            ["organization"] => Some(Self::Organization),
            ["directory", "deletedItems", which] => return deleted(which),
            ["users", ref tail @ ..] => collection(ObjectType::User, tail)?,
            ["groups", ref tail @ ..] => collection(ObjectType::Group, tail)?,
            _ => None,
        };
        let route = route.ok_or_else(|| unknown(path))?;
        let wanted = if matches!(route, Self::Batch | Self::GetByIds) { "POST" } else { "GET" };
        if method.eq_ignore_ascii_case(wanted) {
            Ok(route)
        } else {
            Err(Problem::new(
                405,
                "Request_BadRequest",
                "Specified HTTP method is not allowed for the request target.",
            ))
        }
    }

    /// The price before rebates. The batch itself is free; its items are charged one by one.
    pub(crate) fn base_price(&self) -> u32 {
        match self {
            Self::Batch => 0,
            Self::List(ObjectType::User) | Self::MemberOf { .. } | Self::MemberOfCount { .. } => 2,
            Self::Members { transitive: true, .. } | Self::MemberCount { transitive: true, .. } => {
                5
            }
            Self::Members { .. } | Self::MemberCount { .. } | Self::GetByIds => 3,
            _ => 1,
        }
    }

    /// Application permissions of which one suffices.
    pub(crate) fn permissions(&self) -> &'static [&'static str] {
        const USERS: &[&str] = &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All"];
        const GROUPS: &[&str] = &[
            "GroupMember.Read.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
        ];
        const EITHER: &[&str] =
            &["User.Read.All", "GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"];
        match self {
            Self::List(ObjectType::User)
            | Self::Count(ObjectType::User)
            | Self::Delta(ObjectType::User)
            | Self::One(ObjectType::User, _)
            | Self::DeletedItems(ObjectType::User) => USERS,
            Self::DeletedItem(_) | Self::GetByIds | Self::Organization => EITHER,
            Self::Batch => &[],
            _ => GROUPS,
        }
    }
}

fn collection(of: ObjectType, tail: &[&str]) -> Result<Option<Route>, Problem> {
    let route = match *tail {
        [] => Route::List(of),
        ["$count"] => Route::Count(of),
        ["delta" | "delta()" | "microsoft.graph.delta" | "microsoft.graph.delta()"] => {
            Route::Delta(of)
        }
        [id] => Route::One(of, guid(id)?),
        [id, ref tail @ ..] => {
            let id = guid(id)?;
            return Ok(if of == ObjectType::User {
                member_of(id, of, tail)
            } else {
                group_relation(id, tail).or_else(|| member_of(id, of, tail))
            });
        }
    };
    Ok(Some(route))
}

fn member_of(member: Uuid, of_type: ObjectType, tail: &[&str]) -> Option<Route> {
    let (relation, rest) = tail.split_first()?;
    let transitive = match *relation {
        "memberOf" => false,
        "transitiveMemberOf" => true,
        _ => return None,
    };
    // Nobody is a member of anything but groups here, so the cast changes nothing.
    match rest {
        [] | ["microsoft.graph.group"] => Some(Route::MemberOf { member, of_type, transitive }),
        ["$count"] | ["microsoft.graph.group", "$count"] => {
            Some(Route::MemberOfCount { member, of_type, transitive })
        }
        _ => None,
    }
}

fn group_relation(group: Uuid, tail: &[&str]) -> Option<Route> {
    let (relation, rest) = tail.split_first()?;
    let transitive = match *relation {
        "members" => false,
        "transitiveMembers" => true,
        _ => return None,
    };
    let (only, rest) = match rest {
        ["microsoft.graph.user", rest @ ..] => (Some(ObjectType::User), rest),
        ["microsoft.graph.group", rest @ ..] => (Some(ObjectType::Group), rest),
        rest => (None, rest),
    };
    match rest {
        [] => Some(Route::Members { group, transitive, only }),
        ["$count"] => Some(Route::MemberCount { group, transitive, only }),
        _ => None,
    }
}

fn deleted(which: &str) -> Result<Route, Problem> {
    match which {
        "microsoft.graph.user" => Ok(Route::DeletedItems(ObjectType::User)),
        "microsoft.graph.group" => Ok(Route::DeletedItems(ObjectType::Group)),
        id => guid(id).map(Route::DeletedItem),
    }
}

fn guid(id: &str) -> Result<Uuid, Problem> {
    // Only ids address objects here; sign-in names do not, and a client should not use them as keys either.
    Uuid::parse_str(id).map_err(|_| Problem::not_found(id))
}

fn unknown(path: &str) -> Problem {
    let segment = path.rsplit('/').next().unwrap_or_default();
    Problem::bad_request(format!("Resource not found for the segment '{segment}'."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_routes() {
        let id = Uuid::from_u128(7);
        let members = |transitive, only| Some(Route::Members { group: id, transitive, only });
        let table = [
            ("/v1.0/users".to_owned(), Some(Route::List(ObjectType::User))),
            ("/v1.0/users/delta()".to_owned(), Some(Route::Delta(ObjectType::User))),
            (
                "/v1.0/groups/microsoft.graph.delta()".to_owned(),
                Some(Route::Delta(ObjectType::Group)),
            ),
            ("/v1.0/groups/%24count".to_owned(), Some(Route::Count(ObjectType::Group))),
            (format!("/v1.0/groups/{id}/members"), members(false, None)),
            (
                format!("/v1.0/groups/{id}/transitiveMembers/microsoft.graph.user"),
                members(true, Some(ObjectType::User)),
            ),
            (
                format!("/v1.0/users/{id}/memberOf"),
                Some(Route::MemberOf { member: id, of_type: ObjectType::User, transitive: false }),
            ),
            (
                format!("/v1.0/groups/{id}/transitiveMemberOf"),
                Some(Route::MemberOf { member: id, of_type: ObjectType::Group, transitive: true }),
            ),
            (
                format!("/v1.0/users/{id}/memberOf/microsoft.graph.group/$count"),
                Some(Route::MemberOfCount {
                    member: id,
                    of_type: ObjectType::User,
                    transitive: false,
                }),
            ),
            ("/v1.0/users/nobody".to_owned(), None),
            ("/beta/users".to_owned(), None),
        ];
        for (path, expected) in table {
            assert_eq!(Route::of("GET", &path).ok(), expected, "{path}");
        }
        assert_eq!(Route::of("POST", "/v1.0/users").map_err(|p| p.status), Err(405));
    }
}
