//! The names of permissions, which are told by ids of the interface that they are for.

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;
use tokio::sync::Mutex;

use super::{fields::id, registrations::READ};
use crate::{
    ExchangeError,
    graph::{client::Ask, client::GraphProvider},
};

type Names = Arc<HashMap<String, String>>;

/// Names of permissions by their id, by the service principal that they are for.
#[derive(Default)]
pub(super) struct Roles(Mutex<HashMap<String, Names>>);

impl Roles {
    /// The name of a permission (`Mail.Read`), or `resource/role id` where it has none.
    pub(super) async fn name(
        &self,
        graph: &GraphProvider,
        resource: &str,
        role: &str,
    ) -> Result<String, ExchangeError> {
        let mut known = self.0.lock().await;
        let names = match known.get(resource) {
            Some(names) => Arc::clone(names),
            None => {
                let names = Arc::new(read(graph, resource).await?);
                known.insert(resource.to_owned(), Arc::clone(&names));
                names
            }
        };
        Ok(names.get(role).cloned().unwrap_or_else(|| format!("{resource}/{role}")))
    }
}

async fn read(
    graph: &GraphProvider,
    resource: &str,
) -> Result<HashMap<String, String>, ExchangeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Resource {
        #[serde(default)]
        app_roles: Vec<Role>,
    }
    #[derive(Deserialize)]
    struct Role {
        id: Option<String>,
        value: Option<String>,
    }
    let url = graph.url(&["servicePrincipals", resource], &[("$select", "id,appRoles")]);
    let action = "reading the names of permissions".to_owned();
    let ask = Ask { action, right: READ, mailbox: None, url, prefer: None };
    let named = |role: Role| Some((id(role.id)?, role.value.filter(|name| !name.is_empty())?));
    match graph.json::<Resource>(&ask).await {
        Ok(resource) => Ok(resource.app_roles.into_iter().filter_map(named).collect()),
        Err(ExchangeError::NotFound { .. }) => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}
