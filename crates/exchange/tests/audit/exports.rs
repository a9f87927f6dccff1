use mailkeep_exchange::{Extras, Provider, parse_activity_export};
use mailkeep_model::Function;

use crate::world::{World, around_now};

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_request_joins_with_the_sign_in_that_its_token_is_from() {
    let world = World::new().await;
    let (since, until) = around_now();
    let reader = world.site.register(Function::Reader, &["User.Read.All"]).await;
    let provider = world.site.connect(Function::Reader, Extras::default());
    provider.mailboxes().await.unwrap();
    let id = reader.client_id.to_string();
    let found = world.auditor().sign_ins(since, until, std::slice::from_ref(&id)).await.unwrap();
    let lines = world.site.look("logs?kind=activity-export").await;
    let calls: Vec<_> = lines["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| parse_activity_export(line.to_string().as_bytes()).unwrap().unwrap())
        .filter(|call| call.client_id == id)
        .collect();
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert!(call.uti.is_some() && call.uti == found.entries[0].uti);
    assert_eq!((call.method.as_str(), call.status), ("GET", 200));
    assert!(call.uri.starts_with("/v1.0/users?"), "{}", call.uri);
    assert!(call.client_request_id.is_some() && call.at >= since && call.at < until);
    assert_eq!(call.address, "127.0.0.1".parse().ok());
}
