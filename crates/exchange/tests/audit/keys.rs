use mailkeep_exchange::{ExchangeError, NewKey, ObjectId};
use mailkeep_model::{Function, Secret};
use serde_json::json;

use crate::world::{Key, World, is_missing};

/// A tenant whose reader has a second key, which is not in the signer, to make proofs with.
struct Rolling {
    world: World,
    reader: mailkeep_lab::Registered,
    held: Key,
    on: ObjectId,
}

impl Rolling {
    async fn with_rights(rights: &[&str]) -> Self {
        let world = World::new().await;
        let reader = world.site.register(Function::Reader, rights).await;
        let held = Key::new();
        let path = format!("applications/{}", reader.client_id);
        world.site.order(&path, json!({ "add_certificate": held.certificate_pem })).await;
        let on = ObjectId::Application(reader.object_id.to_string());
        Self { world, reader, held, on }
    }

    fn proof(&self) -> Secret {
        self.held.proof(&self.reader.object_id)
    }

    /// Ids of the reader's keys, as its administrator sees them.
    async fn keys(&self) -> Vec<String> {
        let all = self.world.site.look("applications").await;
        let id = json!(self.reader.client_id);
        let ours = all.as_array().unwrap().iter().find(|one| one["client_id"] == id).unwrap();
        let keys = ours["keys"].as_array().unwrap().iter();
        keys.map(|key| key["key_id"].as_str().unwrap().to_owned()).collect()
    }
}

fn named<'a>(key: &'a Key, name: &'a str) -> NewKey<'a> {
    NewKey { certificate: &key.certificate, name }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_rolls_its_own_keys_without_a_right_and_the_old_one_is_refused_then() {
    let rolling = Rolling::with_rights(&[]).await;
    let registrar = rolling.world.registrar(Function::Reader);
    let (old, new) = (rolling.reader.key_id.unwrap().to_string(), Key::new());
    let id =
        registrar.add_key(&rolling.on, &named(&new, "CN=new"), &rolling.proof()).await.unwrap();
    assert!(rolling.keys().await.contains(&id));
    rolling.world.token(&rolling.reader, &new).await;

    let proof = new.proof(&rolling.reader.object_id);
    registrar.remove_key(&rolling.on, &old, &proof).await.unwrap();
    assert!(!rolling.keys().await.contains(&old));
    // The same again after an answer that got lost.
    registrar.remove_key(&rolling.on, &old, &proof).await.unwrap();
    let other = rolling.world.site.connect(Function::Reader, mailkeep_exchange::Extras::default());
    let error = other.granted_rights().await.unwrap_err();
    assert!(matches!(error, ExchangeError::TokenRefused { code: 700_027, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_adds_no_key_twice() {
    let rolling = Rolling::with_rights(&["Application.Read.All"]).await;
    let registrar = rolling.world.registrar(Function::Reader);
    for (fault, requests) in [
        // Done, and then cut off; or not done at all.
        (json!({ "operation": "key.add", "reset": true, "times": 1 }), 1),
        (json!({ "operation": "key.add", "status": 503, "when": "after", "times": 1 }), 1),
        (json!({ "operation": "key.add", "status": 503, "times": 1 }), 2),
    ] {
        let (before, new) = (rolling.keys().await, Key::new());
        let sent = rolling.world.requests("key.add").await;
        rolling.world.site.order("faults", json!([fault])).await;
        let key = named(&new, "CN=new");
        let id = registrar.add_key(&rolling.on, &key, &rolling.proof()).await.unwrap();
        let mut expected = before;
        expected.push(id.clone());
        assert_eq!(rolling.keys().await, expected, "{fault}");
        assert_eq!(rolling.world.requests("key.add").await, sent + requests, "{fault}");
        // Neither does the whole again, as after a crash.
        let found = registrar.find_key(&rolling.on, &new.certificate).await.unwrap();
        assert_eq!(found.as_ref(), Some(&id));
        let again = registrar.add_key(&rolling.on, &key, &rolling.proof()).await.unwrap();
        assert_eq!((again, rolling.keys().await), (id, expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_may_not_look_at_itself_is_told_that_nobody_knows() {
    let rolling = Rolling::with_rights(&[]).await;
    let registrar = rolling.world.registrar(Function::Reader);
    let fault = json!([{ "operation": "key.add", "reset": true, "times": 1 }]);
    rolling.world.site.order("faults", fault).await;
    let new = Key::new();
    let key = named(&new, "CN=new");
    let error = registrar.add_key(&rolling.on, &key, &rolling.proof()).await.unwrap_err();
    assert!(matches!(error, ExchangeError::InDoubt { .. }), "{error}");
    assert!(error.to_string().contains("acme"), "{error}");
    assert_eq!(rolling.world.requests("key.add").await, 1);
    // The new key tells.
    rolling.world.token(&rolling.reader, &new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_refused_says_what_to_do_and_costs_one_token() {
    let rolling = Rolling::with_rights(&[]).await;
    let registrar = rolling.world.registrar(Function::Reader);
    let new = Key::new();
    let tokens = rolling.world.requests("token").await;
    let object = rolling.reader.object_id;
    let strange = new.proof(&object);
    let error = registrar.add_key(&rolling.on, &named(&new, "CN=new"), &strange).await.unwrap_err();
    let text = error.to_string();
    for part in ["acme", "proof", "Authentication_MissingOrMalformed", "steward"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(matches!(error, ExchangeError::KeyRefused { .. }) && error.is_refusal());
    assert!(!text.contains(strange.expose()));
    let id = rolling.reader.key_id.unwrap().to_string();
    let error = registrar.remove_key(&rolling.on, &id, &strange).await.unwrap_err();
    assert!(matches!(error, ExchangeError::KeyRefused { .. }), "{error}");
    assert_eq!(rolling.world.requests("token").await, tokens + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_without_a_valid_certificate_is_told_that_it_cannot_help_itself() {
    let rolling = Rolling::with_rights(&["Application.Read.All"]).await;
    let registrar = rolling.world.registrar(Function::Reader);
    let expired = json!({ "id": "x", "keyCredentials": [
        { "keyId": "k", "endDateTime": "2020-01-01T00:00:00Z" },
    ]});
    let fault = json!([{ "operation": "application.show", "answer": expired }]);
    rolling.world.site.order("faults", fault).await;
    let new = Key::new();
    let strange = new.proof(&rolling.reader.object_id);
    let error = registrar.add_key(&rolling.on, &named(&new, "CN=new"), &strange).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no certificate on it is valid") && text.contains("steward"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_expired_and_an_application_that_is_full_are_told_apart() {
    let rolling = Rolling::with_rights(&[]).await;
    let registrar = rolling.world.registrar(Function::Reader);
    let new = Key::new();
    for (status, code, said) in [
        (400, "KeyCredentialsInvalidEndDate", "expired"),
        (403, "Directory_QuotaExceeded", "as many credentials"),
    ] {
        let fault = json!([{ "operation": "key.add", "status": status, "code": code }]);
        rolling.world.site.order("faults", fault).await;
        let key = named(&new, "CN=new");
        let error = registrar.add_key(&rolling.on, &key, &rolling.proof()).await.unwrap_err();
        assert!(matches!(error, ExchangeError::KeyRefused { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_somebody_else_are_not_rolled_without_the_right() {
    let rolling = Rolling::with_rights(&[]).await;
    let registrar = rolling.world.registrar(Function::Auditor);
    let new = Key::new();
    let error = registrar.add_key(&rolling.on, &named(&new, "x"), &rolling.proof()).await;
    is_missing(&error.unwrap_err(), "Application.ReadWrite.OwnedBy");
}
