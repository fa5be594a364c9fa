//! Calls that are about objects of any type: resolving ids, and the organisation itself.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Service;
use super::lists::row;
use super::problem::Problem;
use super::reply::{Call, Reply};
use super::view::{Manner, Projection, Row};

/// Ids of one request.
const MAX_IDS: usize = 1_000;

#[derive(Deserialize)]
struct IdRequest {
    ids: Vec<Uuid>,
    #[serde(default)]
    types: Vec<String>,
}

#[derive(Serialize)]
struct Found<'a> {
    #[serde(rename = "@odata.context")]
    context: String,
    value: Vec<Row<'a>>,
}

impl Service {
    /// `POST /directoryObjects/getByIds`: live objects with their default properties; unknown ids are just missing.
    pub(super) fn get_by_ids(&self, call: &Call) -> Result<Reply, Problem> {
        let request: IdRequest = serde_json::from_slice(&call.body).map_err(|error| {
            Problem::bad_request(format!("Unable to read JSON request payload: {error}."))
        })?;
        if request.ids.len() > MAX_IDS {
            return Err(Problem::bad_request(format!(
                "Number of included identifiers cannot exceed '{MAX_IDS}'."
            )));
        }
        let wants = |annotation: &str| {
            let name = annotation.trim_start_matches("#microsoft.graph.");
            request.types.is_empty()
                || request.types.iter().any(|kind| kind == name || kind == "directoryObject")
        };
        let shown = Projection::lenient(None);
        let tenant = self.tenant();
        let access = self.access();
        let found = request.ids.iter().filter(|id| tenant.is_live(**id)).filter_map(|id| {
            let of_type = tenant.object_type(*id).filter(|of_type| wants(of_type.annotation()))?;
            let manner = if access.sees(of_type) { Manner::List } else { Manner::Blind };
            row(&tenant, *id, of_type, &shown, manner, true)
        });
        let context = format!("{}/v1.0/$metadata#directoryObjects", call.root());
        Ok(Reply::ok(&Found { context, value: found.collect() }))
    }

    /// `GET /organization`: enough to tell which tenant this is.
    pub(super) fn organization(&self) -> Reply {
        let id = self.options.tenant_id;
        let domain = json!({ "name": "contoso.example", "isDefault": true, "isInitial": true });
        Reply::ok(
            &json!({ "value": [{ "id": id, "displayName": "Contoso", "verifiedDomains": [domain] }] }),
        )
    }
}
