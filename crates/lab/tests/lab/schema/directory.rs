//! Scenes in the directory.

use serde_json::{Value, json};

use super::run::Run;

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

pub(super) async fn people(run: &mut Run<'_>) {
    run.get("organization", "organization").await;
    let every = "createdDateTime,city,country,department,proxyAddresses,otherMails,userType,\
                 accountEnabled,mailNickname,businessPhones,mail";
    run.get("users.list", "users").await;
    run.get("users.list", &format!("users?$select={every}")).await;
    let user = run.user.clone();
    run.get("user.show", &user).await;
    let round = run.get("users.delta", "users/delta").await;
    run.world.admin("POST", "users", json!({ "remove": [run.world.mailbox(4)] })).await;
    run.get("users.delta", round["@odata.deltaLink"].as_str().unwrap()).await;
    let order = json!({ "set": [
        { "name": "Inner", "members": [run.world.mailbox(0)] },
        { "name": "Outer", "mail": "outer", "members": ["Inner", run.world.mailbox(1)] },
    ] });
    run.world.admin("POST", "groups", order).await;
    let groups = run.get("groups.list", "groups").await;
    let path = format!("groups/{}", id(&groups["value"][1]));
    run.get("group.show", &path).await;
    run.get("group.members", &format!("{path}/members")).await;
    run.get("group.transitivemembers", &format!("{path}/transitiveMembers")).await;
}

pub(super) async fn applications(run: &mut Run<'_>) {
    let application =
        run.ask("application.create", "POST", "applications", json!({ "displayName": "a" })).await;
    run.get("applications.list", "applications").await;
    let path = format!("applications/{}", id(&application));
    run.get("application.show", &path).await;
    run.ask("application.patch", "PATCH", &path, json!({ "displayName": "b" })).await;
    let password = json!({ "passwordCredential": { "displayName": "p" } });
    let made = run.ask("password.add", "POST", &format!("{path}/addPassword"), password).await;
    let gone = json!({ "keyId": made["keyId"] });
    run.ask("password.remove", "POST", &format!("{path}/removePassword"), gone).await;

    let principal = json!({ "appId": application["appId"] });
    let principal =
        run.ask("serviceprincipal.create", "POST", "servicePrincipals", principal).await;
    let list = run.get("serviceprincipals.list", "servicePrincipals").await;
    let own = format!("servicePrincipals/{}", id(&principal));
    run.get("serviceprincipal.show", &own).await;
    run.ask("serviceprincipal.patch", "PATCH", &own, json!({ "accountEnabled": true })).await;

    let owners = format!("{path}/owners");
    let reference =
        json!({ "@odata.id": format!("{}/directoryObjects/{}", run.graph.base, id(&principal)) });
    run.ask("owner.add", "POST", &format!("{owners}/$ref"), reference).await;
    run.get("owners.list", &owners).await;
    let one = format!("{owners}/{}/$ref", id(&principal));
    run.ask("owner.remove", "DELETE", &one, Value::Null).await;

    let federated = format!("{path}/federatedIdentityCredentials");
    let credential = json!({
        "name": "f", "issuer": "https://issuer.example", "subject": "s",
        "audiences": ["api://AzureADTokenExchange"],
    });
    let made = run.ask("federatedcredential.create", "POST", &federated, credential).await;
    run.get("federatedcredentials.list", &federated).await;
    let one = format!("{federated}/{}", id(&made));
    run.get("federatedcredential.show", &one).await;
    run.ask("federatedcredential.patch", "PATCH", &one, json!({ "subject": "t" })).await;
    run.ask("federatedcredential.delete", "DELETE", &one, Value::Null).await;

    let all = list["value"].as_array().unwrap();
    let resource = all
        .iter()
        .find(|one| one["appId"] == json!("00000003-0000-0000-c000-000000000000"))
        .unwrap();
    let assignments = format!("{own}/appRoleAssignments");
    let role =
        resource["appRoles"].as_array().unwrap().iter().find(|role| role["value"] == "Mail.Read");
    let order = json!({
        "principalId": principal["id"], "resourceId": resource["id"], "appRoleId": role.unwrap()["id"],
    });
    let made = run.ask("approleassignment.create", "POST", &assignments, order).await;
    run.get("approleassignments.list", &assignments).await;
    let one = format!("{assignments}/{}", id(&made));
    run.get("approleassignment.show", &one).await;
    run.ask("approleassignment.delete", "DELETE", &one, Value::Null).await;
    run.ask("serviceprincipal.delete", "DELETE", &own, Value::Null).await;
    run.ask("application.delete", "DELETE", &path, Value::Null).await;
}

pub(super) async fn logs(run: &mut Run<'_>) {
    let audits = run.get("directoryaudits.list", "auditLogs/directoryAudits").await;
    let path = format!("auditLogs/directoryAudits/{}", id(&audits["value"][0]));
    run.get("directoryaudit.show", &path).await;
    run.world.admin("POST", "signins", json!({ "user": run.world.mailbox(0) })).await;
    let list = run.get("signins.list", "auditLogs/signIns").await;
    let path = format!("auditLogs/signIns/{}", id(&list["value"][0]));
    run.get("signin.show", &path).await;
}
