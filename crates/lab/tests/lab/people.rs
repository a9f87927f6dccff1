//! Who is there: users, those who come and go, and groups.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, read};

const ALL: &[&str] = &["User.Read.All", "GroupMember.Read.All", "Mail.Read"];

#[tokio::test]
async fn joiners_leavers_and_people_with_new_names_are_found() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let delta = "users/delta?$select=displayName,userPrincipalName,accountEnabled";
    let (first, link) = graph.round(delta, 100).await;
    assert_eq!(first.len(), 5);
    let (leaver, renamed) = (world.mailbox(1).to_owned(), world.mailbox(2).to_owned());
    let before = graph.get(&format!("users/{renamed}")).await;
    let inbox = graph.get(&format!("users/{renamed}/mailFolders/inbox")).await;
    let gone = graph.get(&format!("users/{leaver}")).await["id"].clone();
    let order = json!({
        "add": [{ "mailbox": "new.one", "name": "New One" }, { "mailbox": "guest", "guest": true }],
        "change": [{ "mailbox": renamed, "to": "after.wedding", "name": "After Wedding" },
                   { "mailbox": world.mailbox(3), "enabled": false }],
        "remove": [leaver],
    });
    world.admin("POST", "users", order).await;
    let (second, link) = graph.round(&link, 100).await;
    let told: Vec<String> = second
        .iter()
        .map(|line| match line.get("@removed") {
            Some(reason) => format!("gone {}", reason["reason"].as_str().unwrap()),
            None => line["displayName"].as_str().unwrap().to_owned(),
        })
        .collect();
    let disabled = graph.get(&format!("users/{}", world.mailbox(3))).await;
    let disabled = disabled["displayName"].as_str().unwrap();
    assert_eq!(told, ["New One", "guest", "After Wedding", disabled, "gone changed"]);
    assert_eq!(second[4]["id"], gone);
    assert_eq!(second[3]["accountEnabled"], json!(false));
    assert_eq!(graph.round(&link, 100).await.0, [] as [Value; 0]);

    let now = graph.get("users/after.wedding@lab.example").await;
    assert_eq!(now["id"], before["id"], "a name is not who somebody is");
    let folder = graph.get("users/after.wedding@lab.example/mailFolders/inbox").await;
    assert_eq!(folder, json!(inbox), "the mailbox is the same");
    assert_eq!(graph.try_get(&format!("users/{renamed}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(graph.try_get(&format!("users/{leaver}/messages")).await.0, StatusCode::NOT_FOUND);
    let list = graph.get("users?$select=id").await;
    let ids: Vec<&Value> =
        list["value"].as_array().unwrap().iter().map(|user| &user["id"]).collect();
    assert_eq!(ids.len(), 6);
    assert!(!ids.contains(&&gone));

    let local = leaver.split('@').next().unwrap();
    world
        .admin("POST", "users", json!({ "add": [{ "mailbox": local }], "purge": ["guest"] }))
        .await;
    let other = graph.get(&format!("users/{leaver}")).await;
    assert_ne!(other["id"], gone, "whoever comes after somebody is somebody else");
    let (third, _) = graph.round(&link, 100).await;
    assert_eq!(third[1]["@removed"]["reason"], json!("deleted"), "for good");
    for bad in [
        json!({ "add": [{ "mailbox": "new.one" }] }),
        json!({ "change": [{ "mailbox": "new.one", "to": local }] }),
    ] {
        assert_eq!(world.try_admin("POST", "users", bad).await.0, StatusCode::CONFLICT);
    }
    let unknown = world.try_admin("POST", "users", json!({ "remove": ["nobody"] })).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_round_of_many_users_comes_in_pages() {
    let world = World::with(|options| options.mailboxes = Some(230)).await;
    let graph = world.graph(ALL).await;
    let (first, link) = graph.round("users/delta?$select=id", 100).await;
    assert_eq!(first.len(), 230);
    assert_eq!(first[0].as_object().unwrap().len(), 1);
    assert!(link.contains("$deltatoken="));
    let cut = &link[..link.len() - 4];
    assert_eq!(graph.try_get(cut).await.0, StatusCode::BAD_REQUEST);
    assert!(graph.try_get("users/delta?$top=5").await.0.is_client_error());
    let other = World::new().await;
    let stranger = other.graph(ALL).await;
    let token = link.split("?").nth(1).unwrap();
    assert!(stranger.try_get(&format!("users/delta?{token}")).await.0.is_client_error());
}

#[tokio::test]
async fn users_are_filtered_as_the_directory_can() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let order = json!({ "add": [
        { "mailbox": "info", "name": "Info Desk", "purpose": "shared" },
        { "mailbox": "guest", "name": "Guest Of Ours", "guest": true },
    ] });
    world.admin("POST", "users", order).await;
    let count = async |filter: &str| {
        let answer = graph.get(&format!("users?$select=id&$filter={filter}")).await;
        answer["value"].as_array().unwrap().len()
    };
    assert_eq!(count("accountEnabled eq true").await, 6);
    assert_eq!(count("accountEnabled eq false").await, 1);
    assert_eq!(count("userType eq 'Guest'").await, 1);
    assert_eq!(count("userType eq 'Member' and accountEnabled eq true").await, 5);
    assert_eq!(count("startsWith(displayName,'info') or startsWith(mail,'GUEST')").await, 2);
    assert_eq!(count("userPrincipalName in ('info@lab.example','x@lab.example')").await, 1);
    for bad in ["accountEnabled ne true", "endsWith(mail,'example')", "department eq 'x'", "x"] {
        let (status, _) = graph.try_get(&format!("users?$filter={bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let request = graph
        .request("GET", "users?$count=true&$filter=accountEnabled ne true")
        .header("consistencylevel", "eventual");
    let (status, answer) = read(request.send().await.unwrap()).await;
    assert_eq!((status, &answer["@odata.count"]), (StatusCode::OK, &json!(1)));
}

#[tokio::test]
async fn groups_tell_who_is_in_them_and_in_the_groups_in_them() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let (ann, bob) = (world.mailbox(0), world.mailbox(1));
    let order = json!({ "set": [
        { "name": "Inner", "members": [bob] },
        { "name": "Backed up", "mail": "backup", "members": [ann, "Inner"] },
    ] });
    world.admin("POST", "groups", order).await;
    let found = graph.get("groups?$filter=displayName eq 'Backed up'").await;
    let group = &found["value"][0];
    assert_eq!(group["mail"], json!("backup@lab.example"));
    let path = format!("groups/{}", group["id"].as_str().unwrap());
    assert_eq!(graph.get(&path).await["displayName"], json!("Backed up"));
    let kinds = async |what: &str| -> Vec<String> {
        let answer = graph.get(&format!("{path}/{what}")).await;
        let list = answer["value"].as_array().unwrap().iter();
        list.map(|one| one["@odata.type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(kinds("members").await, ["user", "group"]);
    assert_eq!(kinds("members/microsoft.graph.user").await, ["user"]);
    assert_eq!(kinds("transitiveMembers").await, ["user", "group", "user"]);
    let page = graph
        .get(&format!(
            "{path}/transitiveMembers/microsoft.graph.user?$top=1&$select=userPrincipalName"
        ))
        .await;
    assert_eq!(page["value"][0]["userPrincipalName"], json!(ann));
    let next = graph.get(page["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!(next["value"][0]["userPrincipalName"], json!(bob));
    assert!(next.get("@odata.nextLink").is_none());
    world.admin("POST", "users", json!({ "remove": [bob] })).await;
    assert_eq!(kinds("transitiveMembers").await, ["user", "group"], "a leaver leaves groups");
    for bad in ["groups/x", "groups/Inner/members", "groups?$filter=mood eq 'x'"] {
        assert!(graph.try_get(bad).await.0.is_client_error(), "{bad}");
    }
    let (status, _) = world.graph(&["Mail.Read"]).await.try_get("groups").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
