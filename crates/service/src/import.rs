//! Many tenants at once, as whoever looks after thousands has them in a list.

use std::sync::Arc;

use mailkeep_control::NewTenant;
use mailkeep_identity::CertificateInfo;
use mailkeep_model::{Function, ListedApplication, ListedTenant, ProviderKind, TenantName};
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::{Connection, Registration, Service, ServiceError, tenants::checked};

/// Tenants whose keys are made at the same time: making one takes a processor for a while.
const AT_A_TIME: usize = 2;
/// What came of a line.
#[derive(Debug)]
pub struct Imported {
    /// Whose.
    pub tenant: TenantName,
    /// The keys that sign, to be registered, or why there is none.
    pub outcome: Result<Vec<(Function, CertificateInfo)>, ServiceError>,
}

impl Service {
    /// Adds the tenants of a list that are not there yet, makes the keys and binds the applications that
    /// it names. The same list again changes nothing; one with more does what is new.
    ///
    /// # Errors
    /// When the state cannot be written. What goes wrong with one tenant is handed out with it.
    pub async fn import_tenants(
        self: &Arc<Self>,
        list: Vec<ListedTenant>,
        ca_pem: Option<&str>,
        mut each: impl FnMut(Imported),
    ) -> Result<(), ServiceError> {
        let mut new = Vec::with_capacity(list.len());
        for listed in &list {
            let connection = Connection {
                provider: ProviderKind::M365,
                directory: listed.directory.clone(),
                authority: listed.authority.clone().unwrap_or_else(|| AUTHORITY.to_owned()),
                graph: listed.graph.clone().unwrap_or_else(|| GRAPH.to_owned()),
                ca_pem: ca_pem.map(str::to_owned),
            };
            new.push(new_tenant(&listed.tenant, checked(&listed.tenant, connection)?));
        }
        self.control.add_tenants(new).await?;
        let mut list = list.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_A_TIME
                && let Some(listed) = list.next()
            {
                let service = Arc::clone(self);
                running.spawn(async move {
                    let outcome = service.set_up_listed(&listed).await;
                    Imported { tenant: listed.tenant, outcome }
                });
            }
            match running.join_next().await {
                Some(Ok(imported)) => each(imported),
                Some(Err(_)) => return Err(ServiceError::Stopped),
                None => return Ok(()),
            }
        }
    }

    async fn set_up_listed(
        &self,
        listed: &ListedTenant,
    ) -> Result<Vec<(Function, CertificateInfo)>, ServiceError> {
        let name = &listed.tenant;
        let mut certificates = Vec::new();
        for function in &listed.keys {
            certificates.push((*function, self.certificate(name, *function).await?));
            if listed.spare {
                let job = self.new_job();
                self.signer().await?.prepare_key(&job, name, *function).await?;
            }
        }
        for (function, application) in &listed.applications {
            let ListedApplication { client_id, object_id, key_id } = application.clone();
            let registration = Registration { function: *function, client_id };
            self.register_with(name, registration, object_id).await?;
            if let Some(key_id) = key_id {
                self.learn_provider_id(name, *function, key_id).await?;
            }
        }
        Ok(certificates)
    }
}

/// Microsoft's public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";
const GRAPH: &str = "https://graph.microsoft.com/v1.0";

/// A tenant without any function yet.
pub(crate) fn new_tenant(name: &TenantName, connection: Connection) -> NewTenant {
    NewTenant {
        name: name.clone(),
        provider: connection.provider,
        directory_id: connection.directory,
        authority: connection.authority.trim_end_matches('/').to_owned(),
        graph: connection.graph.trim_end_matches('/').to_owned(),
        ca_pem: connection.ca_pem,
        domains: Vec::new(),
        functions: Vec::new(),
        created: OffsetDateTime::now_utc(),
    }
}
