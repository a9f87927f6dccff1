use mailkeep_exchange::{ExchangeError, NewKey, ObjectId};
use mailkeep_identity::jwt::Thumbprint;
use mailkeep_lab::Registered;
use mailkeep_model::{Function, Registration};
use serde_json::{Value, json};

use crate::{
    common::answered,
    world::{Key, World, is_missing},
};

/// A tenant with a steward who owns what belongs to the reader.
struct Owned {
    world: World,
    reader: Registered,
    steward: Registered,
}

impl Owned {
    async fn new() -> Self {
        let world = World::new().await;
        let reader = world.site.register(Function::Reader, &["Mail.Read"]).await;
        let rights = ["Application.ReadWrite.OwnedBy"];
        let steward = world.site.register(Function::Steward, &rights).await;
        let graph = &world.site.lab.description().graph;
        let (key, owner) = (Key::new(), steward.service_principal_id);
        let administrator = world.application(&["Application.ReadWrite.All"], &key);
        let token = world.token(&administrator, &key).await;
        for on in [
            format!("applications/{}", reader.object_id),
            format!("servicePrincipals/{}", reader.service_principal_id),
        ] {
            let url = format!("{graph}/{on}/owners/$ref");
            let order = json!({ "@odata.id": format!("{graph}/directoryObjects/{owner}") });
            answered(world.site.http.post(url).bearer_auth(&token).json(&order)).await;
        }
        Self { world, reader, steward }
    }

    async fn registration(&self) -> Registration {
        let ids = [self.reader.client_id.to_string()];
        self.world.auditor().registrations(&ids).await.unwrap().remove(0).1.unwrap()
    }

    /// Something that a thief does with the rights of an administrator.
    async fn thief(&self, key: &Key, path: &str, body: Value) -> Value {
        let thief = self.world.application(&["Application.ReadWrite.All"], key);
        let token = self.world.token(&thief, key).await;
        let url = format!("{}/{path}", self.world.site.lab.description().graph);
        answered(self.world.site.http.post(url).bearer_auth(token).json(&body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_that_is_disabled_gets_no_token_and_can_be_enabled_again() {
    let owned = Owned::new().await;
    let steward = owned.world.registrar(Function::Steward);
    let principal = owned.reader.service_principal_id.to_string();
    let rights = || async {
        let connect =
            owned.world.site.connect(Function::Reader, mailkeep_exchange::Extras::default());
        connect.granted_rights().await
    };
    steward.disable(&principal).await.unwrap();
    let error = rights().await.unwrap_err();
    assert!(matches!(error, ExchangeError::TokenRefused { code: 70_001, .. }), "{error}");
    assert!(!owned.registration().await.enabled);
    steward.enable(&principal).await.unwrap();
    assert!(rights().await.is_ok() && owned.registration().await.enabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_thief_added_is_taken_away_on_both_sides_and_twice_is_no_error() {
    let owned = Owned::new().await;
    let steward = owned.world.registrar(Function::Steward);
    let key = Key::new();
    let (application, principal) =
        (owned.reader.object_id.to_string(), owned.reader.service_principal_id.to_string());
    let order = json!({ "name": "mine", "issuer": "https://evil.example", "subject": "x", "audiences": ["y"] });
    let path = format!("applications/{application}/federatedIdentityCredentials");
    let federated = owned.thief(&key, &path, order).await["id"].as_str().unwrap().to_owned();
    let mailbox_owner = owned.world.application(&[], &key).service_principal_id;
    for (path, on) in [
        (format!("applications/{application}"), ObjectId::Application(application.clone())),
        (format!("servicePrincipals/{principal}"), ObjectId::Principal(principal.clone())),
    ] {
        let made = owned.thief(&key, &format!("{path}/addPassword"), json!({})).await;
        let password = made["keyId"].as_str().unwrap();
        let graph = &owned.world.site.lab.description().graph;
        let link = json!({ "@odata.id": format!("{graph}/directoryObjects/{mailbox_owner}") });
        owned.thief(&key, &format!("{path}/owners/$ref"), link).await;
        for _ in 0..2 {
            steward.remove_password(&on, password).await.unwrap();
            steward.remove_owner(&on, &mailbox_owner.to_string()).await.unwrap();
        }
    }
    for _ in 0..2 {
        steward.remove_federated(&application, &federated).await.unwrap();
    }
    let after = owned.registration().await;
    assert_eq!(after.federated, []);
    let ours = [owned.steward.service_principal_id.to_string()];
    for object in [&after.application, after.principal.as_ref().unwrap()] {
        assert_eq!((&object.passwords[..], &object.owners[..]), (&[][..], &ours[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_when_a_thief_removed_our_key_leaves_what_is_to_be_kept_and_no_more() {
    let owned = Owned::new().await;
    let steward = owned.world.registrar(Function::Steward);
    let (theirs, ours) = (Key::new(), Key::new());
    let path = format!("applications/{}", owned.reader.client_id);
    owned.world.site.order(&path, json!({ "add_certificate": theirs.certificate_pem })).await;
    let kept = owned.reader.key_id.unwrap().to_string();
    for on in [
        ObjectId::Application(owned.reader.object_id.to_string()),
        ObjectId::Principal(owned.reader.service_principal_id.to_string()),
    ] {
        let new = [NewKey { certificate: &ours.certificate, name: "CN=ours" }];
        let gone = uuid::Uuid::new_v4().to_string();
        let keep = [kept.to_uppercase(), gone];
        let keys = steward.replace_keys(&on, &keep, &new).await.unwrap();
        let thumbprint = Thumbprint::of_der(&ours.certificate).hex();
        let added = keys.iter().find(|key| key.thumbprint.as_ref() == Some(&thumbprint)).unwrap();
        assert_eq!(added.name.as_deref(), Some("CN=ours"));
        let mut expected = vec![added.key_id.as_str()];
        if matches!(on, ObjectId::Application(_)) {
            expected.insert(0, &kept);
        }
        assert_eq!(keys.iter().map(|key| key.key_id.as_str()).collect::<Vec<_>>(), expected);
        // Again, with the new one among those to be kept: as it was.
        let again = steward.replace_keys(&on, &[kept.clone(), added.key_id.clone()], &new).await;
        assert_eq!(again.unwrap(), keys);
    }
    owned.world.token(&owned.reader, &ours).await;
    let client_id = owned.reader.client_id.to_string();
    let refused = owned.world.ask_token(&client_id, theirs.sign(&json!({})).expose());
    assert_eq!(refused.send().await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_own_an_application_is_told_which_right_is_missing() {
    let owned = Owned::new().await;
    let auditor = owned.world.registrar(Function::Auditor);
    let principal = owned.reader.service_principal_id.to_string();
    is_missing(&auditor.disable(&principal).await.unwrap_err(), "Application.ReadWrite.OwnedBy");
    let on = ObjectId::Principal(principal);
    let error = auditor.remove_owner(&on, "x").await.unwrap_err();
    is_missing(&error, "Application.ReadWrite.OwnedBy");
    let error = auditor.replace_keys(&on, &[], &[]).await.unwrap_err();
    is_missing(&error, "Application.ReadWrite.OwnedBy");
}
