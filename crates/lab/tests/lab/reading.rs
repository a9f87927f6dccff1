//! Reading: users, folders, messages, and what is refused.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{READ, World, client, read};

#[tokio::test]
async fn nothing_is_shown_without_the_right_for_it() {
    let world = World::new().await;
    let mailbox = world.mailbox(0);
    let paths = [
        ("organization".to_owned(), "Authorization_RequestDenied"),
        ("users".to_owned(), "Authorization_RequestDenied"),
        (format!("users/{mailbox}"), "Authorization_RequestDenied"),
        (format!("users/{mailbox}/mailFolders"), "ErrorAccessDenied"),
        (format!("users/{mailbox}/mailFolders/delta"), "ErrorAccessDenied"),
        (format!("users/{mailbox}/mailFolders/inbox/messages/delta"), "ErrorAccessDenied"),
        (format!("users/{mailbox}/messages"), "ErrorAccessDenied"),
        (format!("users/{mailbox}/messages/AAkA/$value"), "ErrorAccessDenied"),
    ];
    let powerless = world.graph(&["Calendars.Read"]).await;
    for (path, code) in &paths {
        let (status, body) = powerless.try_get(path).await;
        assert_eq!((status.as_u16(), &body["error"]["code"]), (403, &json!(code)), "{path}");
        assert!(body["error"]["message"].as_str().unwrap().contains(".Read"), "{body}");
        let nobody = world.http.get(format!("{}/{path}", powerless.base)).send().await.unwrap();
        assert!(nobody.headers().contains_key("www-authenticate"));
        let (status, body) = read(nobody).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(body["error"]["code"], json!("InvalidAuthenticationToken"));
    }
    // A reader cannot write.
    let reader = world.graph(READ).await;
    let path = format!("users/{mailbox}/mailFolders");
    let (status, _) = reader.send("POST", &path, json!({ "displayName": "x" })).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_ends_and_opens_one_tenant_alone() {
    let world = World::with(|options| options.tenants = 2).await;
    let graph = world.graph(READ).await;
    let other = &world.lab.description().tenants[1].mailboxes[0];
    let (status, body) = graph.try_get(&format!("users/{other}")).await;
    assert_eq!(
        (status.as_u16(), &body["error"]["code"]),
        (404, &json!("Request_ResourceNotFound"))
    );
    let (status, _) = graph.try_get(&format!("users/{other}/mailFolders/inbox")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    // Removing the key and the application's rights takes nothing back; time does.
    let path = format!("applications/{}", graph.client_id);
    world.admin("POST", &path, json!({ "enabled": false, "roles": [] })).await;
    graph.get("users").await;
    world.admin("POST", "clock", json!({ "offset_seconds": 3601 })).await;
    let (status, body) = graph.try_get("users").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body["error"]["message"].as_str().unwrap().contains("expired"));
}

#[tokio::test]
async fn users_come_in_pages() {
    let world = World::with(|options| options.mailboxes = Some(7)).await;
    let graph = world.graph(READ).await;
    let mut found = Vec::new();
    let mut link = "users?$top=3&$select=id,mail,userPrincipalName".to_owned();
    while !link.is_empty() {
        let page = graph.get(&link).await;
        for user in page["value"].as_array().unwrap() {
            assert_eq!(user.as_object().unwrap().len(), 3, "{user}");
            found.push(user["mail"].as_str().unwrap().to_owned());
        }
        link = page["@odata.nextLink"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(found, world.lab.description().tenants[0].mailboxes);

    let one = graph.get(&format!("users/{}", found[6])).await;
    let same = graph.get(&format!("users/{}", one["id"].as_str().unwrap())).await;
    assert_eq!(one["userPrincipalName"], same["userPrincipalName"]);
    let filtered = graph.get(&format!("users?$filter=mail eq '{}'", found[2])).await;
    assert_eq!(filtered["value"][0]["mail"], json!(found[2]));

    let organization = graph.get("organization").await;
    let domain = &organization["value"][0]["verifiedDomains"][0]["name"];
    assert_eq!(domain, &json!(world.lab.description().tenants[0].domain));
}

#[tokio::test]
async fn folders_are_found_by_id_by_role_and_below_each_other() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let base = format!("users/{}/mailFolders", world.mailbox(0));
    let inbox = graph.get(&format!("{base}/inbox")).await;
    assert_eq!(inbox["displayName"], json!("Inbox"));
    let id = inbox["id"].as_str().unwrap();
    assert_eq!(graph.get(&format!("{base}/{id}")).await["id"], inbox["id"]);
    let quoted = graph.get(&format!("{base}('{id}')?$select=displayName")).await;
    assert_eq!(quoted["displayName"], json!("Inbox"));
    for role in ["sentitems", "drafts", "deleteditems", "junkemail", "msgfolderroot"] {
        graph.get(&format!("{base}/{role}")).await;
    }
    let root = graph.get(&format!("{base}/msgfolderroot")).await;
    assert_eq!(inbox["parentFolderId"], root["id"]);

    // Ten a page, as Graph gives them; a client that does not follow the link misses folders.
    let mut folders = Vec::new();
    let mut link = format!("{base}?$top=4");
    while !link.is_empty() {
        let page = graph.get(&link).await;
        folders.extend(page["value"].as_array().unwrap().clone());
        link = page["@odata.nextLink"].as_str().unwrap_or_default().to_owned();
    }
    let named = |name: &str| folders.iter().find(|f| f["displayName"] == json!(name)).unwrap();
    assert_eq!(named("To read")["totalItemCount"], json!(0));
    let projects = named("Projects");
    assert_eq!(projects["childFolderCount"], json!(1));
    let below =
        graph.get(&format!("{base}/{}/childFolders", projects["id"].as_str().unwrap())).await;
    assert_eq!(below["value"][0]["displayName"], json!("Harbour / Phase 2"));
    assert_eq!(below["value"][0]["parentFolderId"], projects["id"]);
    assert!(!folders.iter().any(|f| f["id"] == root["id"]));
}

#[tokio::test]
async fn a_message_is_read_in_json_and_in_mime() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let base = format!("users/{}", world.mailbox(0));
    let list = graph.get(&format!("{base}/mailFolders/inbox/messages?$top=1000")).await;
    let all = list["value"].as_array().unwrap();
    assert!(all.len() > 15);
    let times: Vec<&str> = all.iter().map(|m| m["receivedDateTime"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first");

    for message in all {
        let id = message["id"].as_str().unwrap();
        let size = "$expand=singleValueExtendedProperties($filter=id eq 'Long 0x0E08')";
        let one = graph.get(&format!("{base}/messages/{id}?$select=subject,body&{size}")).await;
        assert_eq!(one["subject"], message["subject"]);
        let response =
            graph.request("GET", &format!("{base}/messages/{id}/$value")).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain");
        let mime = response.bytes().await.unwrap();
        assert_eq!(one["singleValueExtendedProperties"][0]["value"], json!(mime.len().to_string()));
        assert_eq!(one["singleValueExtendedProperties"][0]["id"], json!("Long 0xe08"));
        let lines = mime.split_inclusive(|b| *b == b'\n');
        assert!(lines.filter(|l| l.ends_with(b"\n")).all(|l| l.ends_with(b"\r\n")));
    }
    let with_file = all.iter().find(|m| m["hasAttachments"] == json!(true)).unwrap();
    let id = with_file["id"].as_str().unwrap();
    let expanded = graph.get(&format!("{base}/messages/{id}?$expand=attachments")).await;
    assert_eq!(expanded["attachments"][0]["name"], json!("Bestand Überblick.csv"));
    let headers = graph.get(&format!("{base}/messages/{id}?$select=internetMessageHeaders")).await;
    assert_eq!(headers["internetMessageHeaders"][0]["name"], json!("Message-ID"));
}

#[tokio::test]
async fn a_wrong_question_is_refused_and_not_guessed_at() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let base = format!("users/{}", world.mailbox(0));
    let other = graph.get(&format!("users/{}/messages?$top=1", world.mailbox(1))).await;
    let foreign = other["value"][0]["id"].as_str().unwrap();
    for (path, status) in [
        ("users?$foo=1".to_owned(), 400),
        ("users?foo=1".to_owned(), 400),
        ("users?$select=shoeSize".to_owned(), 400),
        ("users?$top=0".to_owned(), 400),
        ("users?$top=1000".to_owned(), 400),
        ("me".to_owned(), 400),
        ("nothing".to_owned(), 400),
        (format!("{base}/mailFolders/inbox?$select=wellKnownName"), 400),
        (format!("{base}/mailFolders/inboks"), 400),
        (format!("{base}/mailFolders/inbox/messages/delta?$select=nothing"), 400),
        (format!("{base}/mailFolders/inbox/messages/delta?$deltatoken=x"), 400),
        (format!("{base}/mailFolders/inbox/messages/delta?$top=1001"), 400),
        (format!("{base}/messages?$orderby=subject"), 400),
        (format!("{base}/messages?$filter=subject ne 'x'"), 400),
        (format!("{base}/messages/x"), 400),
        (format!("{base}/messages/{foreign}"), 404),
        (format!("{base}/messages/{foreign}/$value"), 404),
        ("users/nobody@lab.example".to_owned(), 404),
    ] {
        let (given, body) = graph.try_get(&path).await;
        assert_eq!(given.as_u16(), status, "{path}: {body}");
        let error = &body["error"];
        assert!(error["code"].is_string() && error["message"].is_string(), "{body}");
        assert!(
            error["innerError"]["request-id"].is_string()
                && error["innerError"]["date"].is_string()
        );
    }
    let (status, _) = graph.send("PUT", "users", json!({})).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_request_id_comes_back_when_it_is_asked_for() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    let id = uuid::Uuid::new_v4().to_string();
    let request = graph.request("GET", "users/nobody").header("client-request-id", &id);
    let response = request.try_clone().unwrap().send().await.unwrap();
    assert!(response.headers().contains_key("request-id"));
    assert!(!response.headers().contains_key("client-request-id"));
    let response = request.header("return-client-request-id", "true").send().await.unwrap();
    assert_eq!(response.headers()["client-request-id"], id.as_str());
    let (_, body) = read(response).await;
    assert_eq!(body["error"]["innerError"]["client-request-id"], json!(id));

    let log = world.admin("GET", "logs?kind=activity&limit=1", Value::Null).await;
    assert_eq!(log[0]["clientRequestId"], json!(id));
    assert_eq!(log[0]["responseStatusCode"], json!(404));
    assert_eq!(log[0]["appId"], json!(graph.client_id));
    let sign_ins = world.admin("GET", "logs?kind=signin", Value::Null).await;
    assert_eq!(log[0]["signInActivityId"], sign_ins[0]["uniqueTokenIdentifier"]);
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let world = World::new().await;
    let graph = world.graph(READ).await;
    for (version, http) in [
        (reqwest::Version::HTTP_2, client(&world.lab, |builder| builder)),
        (reqwest::Version::HTTP_11, client(&world.lab, reqwest::ClientBuilder::http1_only)),
    ] {
        let localhost = graph.base.replace("127.0.0.1", "localhost");
        for base in [&graph.base, &localhost] {
            let request = http.get(format!("{base}/users")).bearer_auth(&graph.token);
            let response = request.send().await.unwrap();
            assert_eq!(response.version(), version);
            assert_eq!(response.status(), StatusCode::OK);
        }
    }
}
