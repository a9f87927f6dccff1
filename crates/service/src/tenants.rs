use mailkeep_control::{Tenant, TenantFunction};
use mailkeep_identity::{Binding, CertificateInfo};
use mailkeep_model::{Function, ProviderKind, TenantName};
use serde_json::json;

use crate::{Service, ServiceError, import::new_tenant};

/// Where a tenant's mailboxes are, and how to trust what answers there.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The provider.
    pub provider: ProviderKind,
    /// The directory (Entra tenant): its id or one of its domains.
    pub directory: String,
    /// Base address of Entra ID: `https://login.microsoftonline.com`.
    pub authority: String,
    /// Base address of Graph with its version.
    pub graph: String,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_pem: Option<String>,
}

/// The application that stands for one of our functions in the tenant's directory.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The function.
    pub function: Function,
    /// The application's client id.
    pub client_id: String,
}

impl Service {
    /// Adds a tenant and makes its reader key. What comes back is to be registered by the
    /// tenant's administrator.
    ///
    /// # Errors
    /// [`mailkeep_control::ControlError::AlreadyExists`], and what the signer refuses.
    pub async fn add_tenant(
        &self,
        name: &TenantName,
        connection: Connection,
    ) -> Result<CertificateInfo, ServiceError> {
        let connection = checked(name, connection)?;
        // The key comes first: a tenant without one would look set up.
        let certificate = self.certificate(name, Function::Reader).await?;
        let new = new_tenant(name, connection);
        let details = json!({"provider": new.provider, "directory": new.directory_id});
        self.control.add_tenant(new).await?;
        self.audit(name, "tenant.add", details).await?;
        Ok(certificate)
    }

    /// The certificate of a tenant's function as it is, `None` when there is none yet. Looking
    /// changes nothing.
    ///
    /// # Errors
    /// When the signer does not answer.
    pub async fn known_certificate(
        &self,
        tenant: &TenantName,
        function: Function,
    ) -> Result<Option<CertificateInfo>, ServiceError> {
        let credentials = self.signer().await?.credentials(Some(tenant)).await?;
        let found = credentials.into_iter().find(|one| one.key_use.function == function);
        Ok(found.and_then(|one| one.certificate))
    }

    /// The certificate of a tenant's function, made when there is none or the present one has
    /// ended.
    ///
    /// # Errors
    /// What the signer refuses.
    pub async fn certificate(
        &self,
        tenant: &TenantName,
        function: Function,
    ) -> Result<CertificateInfo, ServiceError> {
        let job = self.new_job();
        Ok(self.signer().await?.create_key(&job, tenant, function).await?)
    }

    /// Binds the key of a function to the application that was registered for it.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`]; the signer refuses an application that serves another tenant
    /// or function, and another application for a bound key.
    pub async fn register(
        &self,
        name: &TenantName,
        registration: Registration,
    ) -> Result<Tenant, ServiceError> {
        self.register_with(name, registration, None).await
    }

    /// [`register`](Self::register), with the application's object id where it is known.
    pub(crate) async fn register_with(
        &self,
        name: &TenantName,
        registration: Registration,
        object_id: Option<String>,
    ) -> Result<Tenant, ServiceError> {
        let mut tenant = self.tenant(name).await?;
        let Registration { function, client_id } = registration;
        let (mut key_id, mut thumbprint) = (String::new(), String::new());
        // The key that writes is made when a restore begins, and bound then.
        if function != Function::Restorer {
            let certificate = self.certificate(name, function).await?;
            let endpoint =
                format!("{}/{}/oauth2/v2.0/token", tenant.authority, tenant.directory_id);
            let binding =
                Binding { client_id: client_id.clone(), token_endpoint: endpoint, object_id };
            self.signer().await?.bind_to(&self.new_job(), name, function, binding).await?;
            (key_id, thumbprint) = (certificate.key_id, certificate.thumbprint_sha256);
        }
        tenant.functions.retain(|known| known.function != function);
        let client = client_id.clone();
        tenant.functions.push(TenantFunction { function, client_id: client, key_id, thumbprint });
        self.control.update_tenant(&tenant).await?;
        let details = json!({"function": function, "client_id": client_id});
        self.audit(name, "tenant.register", details).await?;
        Ok(tenant)
    }
}

/// A connection that can be one.
pub(crate) fn checked(
    name: &TenantName,
    connection: Connection,
) -> Result<Connection, ServiceError> {
    for (what, address) in [("--authority", &connection.authority), ("--graph", &connection.graph)]
    {
        if !address.starts_with("https://") {
            let reason = format!("{what} must be an https address, not '{address}'");
            return Err(ServiceError::Refused { tenant: name.clone(), reason });
        }
    }
    let id_is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if connection.directory.is_empty() || !connection.directory.chars().all(id_is_plain) {
        let reason =
            format!("'{}' is neither a directory id (GUID) nor a domain", connection.directory);
        return Err(ServiceError::Refused { tenant: name.clone(), reason });
    }
    Ok(connection)
}
