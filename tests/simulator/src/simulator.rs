//! The handle through which tests and tools hold a running simulator.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::fault::{Expiry, Fault, FaultId};
use crate::options::{Options, Quota};
use crate::record::{Counters, RequestRecord};
use crate::server::Server;
use crate::service::Service;
use crate::tenant::Tenant;

/// A running server on loopback, on threads of its own. Stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    service: Arc<Service>,
    server: Server,
}

impl Simulator {
    /// Starts serving a tenant; the port is bound when this returns.
    pub fn start(tenant: Tenant, options: Options) -> io::Result<Self> {
        let service = Arc::new(Service::new(tenant, options));
        let server = Server::start(Arc::clone(&service))?;
        Ok(Self { service, server })
    }

    /// `http://127.0.0.1:PORT`. The Graph root is this plus `/v1.0`; the authority is this itself.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The options it was started with.
    pub fn options(&self) -> &Options {
        &self.service.options
    }

    /// Changes the directory; no request sees a state in between.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Tenant) -> R) -> R {
        change(&mut self.service.tenant_mut())
    }

    /// Looks at the directory.
    pub fn read<R>(&self, look: impl FnOnce(&Tenant) -> R) -> R {
        look(&self.service.tenant())
    }

    /// Lets something go wrong from now on.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.service.faults().add(fault)
    }

    /// Withdraws one fault.
    pub fn clear_fault(&self, id: FaultId) {
        self.service.faults().remove(id);
    }

    /// Withdraws all faults.
    pub fn clear_faults(&self) {
        self.service.faults().clear();
    }

    /// Makes every delta link handed out so far fail in the given way. Later links are good.
    pub fn expire_delta_tokens(&self, how: Expiry) {
        self.service.expire_delta_tokens(how);
    }

    /// Makes every access token issued so far fail with 401.
    pub fn revoke_tokens(&self) {
        self.service.revoke_tokens();
    }

    /// Grants exactly these application permissions, with immediate effect also on tokens issued before.
    pub fn set_roles<S: Into<String>>(&self, roles: impl IntoIterator<Item = S>) {
        let roles: BTreeSet<String> = roles.into_iter().map(Into::into).collect();
        self.service.set_roles(roles);
    }

    /// Replaces the throttling limits and fills the bucket.
    pub fn set_quota(&self, quota: Quota) {
        self.service.set_quota(quota);
    }

    /// What was asked and answered, oldest first; items of batches stand before their batch.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.service.recorder().records()
    }

    /// Totals since the start or the last reset.
    pub fn counters(&self) -> Counters {
        self.service.recorder().counters()
    }

    /// Forgets all records and totals.
    pub fn reset_counters(&self) {
        self.service.recorder().reset();
    }
}
