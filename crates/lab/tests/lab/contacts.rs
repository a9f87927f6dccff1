//! Contacts and their folders.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, PERSONAL, World, read};

async fn folders(graph: &Graph, user: &str) -> Vec<String> {
    let (lines, _) = graph.round(&format!("{user}/contactFolders/delta"), 2).await;
    lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_client_that_follows_the_deltas_has_the_contacts_that_are_there() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    let user = "users/many@lab.example";
    let order = json!({ "mailbox": "many", "contacts": 40, "seed": 2 });
    world.admin("POST", "generate", order).await;
    let mut links: BTreeMap<String, String> = folders(&graph, user)
        .await
        .into_iter()
        .map(|id| {
            let link = format!("{user}/contactFolders/{id}/contacts/delta?$select=displayName");
            (id, link)
        })
        .collect();
    assert_eq!(links.len(), 3);
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for seed in 0..5 {
        let mut here = Vec::new();
        for (folder, link) in &mut links {
            let (lines, next) = graph.round(link, 7).await;
            *link = next;
            for line in lines {
                let id = line["id"].as_str().unwrap().to_owned();
                if line.get("@removed").is_some() {
                    if seen.get(&id) == Some(folder) {
                        seen.remove(&id);
                    }
                } else {
                    assert!(line.get("displayName").is_some() && line.get("surname").is_none());
                    here.push((id, folder.clone()));
                }
            }
        }
        seen.extend(here);
        let whole = world.admin("GET", "mailbox/many@lab.example", Value::Null).await;
        let truth: BTreeMap<String, String> = whole["contacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| {
                (c["id"].as_str().unwrap().to_owned(), c["folder"].as_str().unwrap().to_owned())
            })
            .collect();
        assert_eq!(seen, truth, "{seed}");
        let order = json!({
            "mailbox": "many@lab.example", "seed": seed,
            "contacts": { "create": 3, "change": 5, "move": 6, "delete": 2 },
        });
        let done = world.admin("POST", "mutate", order).await;
        assert_eq!(done["contacts"]["moved"].as_array().unwrap().len(), 6);
    }
    assert!(world.count("contacts.delta").await > 10);
    // A token is good for one folder, and for thirty days.
    let (folder, link) = links.first_key_value().unwrap();
    let other = link.replace(folder.as_str(), links.last_key_value().unwrap().0);
    assert_eq!(graph.try_get(&other).await.0, StatusCode::BAD_REQUEST);
    world.admin("POST", "clock", json!({ "offset_seconds": -31 * 86_400 })).await;
    let old = graph.round(link, 100).await.1;
    world.admin("POST", "clock", json!({ "offset_seconds": 0 })).await;
    assert_eq!(graph.try_get(&old).await.0, StatusCode::GONE);
}

#[tokio::test]
async fn every_property_of_a_contact_comes_back() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    let user = format!("users/{}", world.mailbox(0));
    let postal = json!({ "street": "Kai 7", "city": "Hamburg", "countryOrRegion": "DE", "postalCode": "1", "state": "HH" });
    let contact = json!({
        "assistantName": "a", "birthday": "1980-02-29T00:00:00Z", "businessAddress": postal,
        "businessHomePage": "https://a.example/", "businessPhones": ["1", "2"], "children": ["x"],
        "companyName": "c", "department": "d", "displayName": "Zoë Q", "categories": ["Red"],
        "emailAddresses": [{ "name": "Z", "address": "z@a.example" }], "fileAs": "Q, Zoë",
        "generation": "Jr.", "givenName": "Zoë", "homeAddress": postal, "homePhones": ["3"],
        "imAddresses": ["sip:z@a.example"], "initials": "Z.Q.", "jobTitle": "j", "manager": "m",
        "middleName": "mi", "mobilePhone": "4", "nickName": "n", "officeLocation": "o",
        "otherAddress": postal, "personalNotes": "p\r\nq", "profession": "pr", "spouseName": "s",
        "surname": "Q", "title": "Dr.", "yomiCompanyName": "yc", "yomiGivenName": "yg", "yomiSurname": "ys",
    });
    let contacts = format!("{user}/contacts");
    let mut body = contact.clone();
    let property = "String {6ca41bbd-3f53-4b7a-8e8e-4dd5a1a5a5a5} Name origin";
    body["singleValueExtendedProperties"] = json!([{ "id": property, "value": "k" }]);
    let (status, made) = graph.send("POST", &contacts, body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("{contacts}/{}", made["id"].as_str().unwrap());
    let shown = graph.get(&path).await;
    for (name, value) in contact.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    let filter = format!(
        "{contacts}?$filter=singleValueExtendedProperties/Any(ep: ep/id eq '{property}' and ep/value eq 'k')"
    );
    assert_eq!(graph.get(&filter).await["value"][0]["id"], made["id"]);
    let by_address = format!("{contacts}?$filter=emailAddresses/any(a:a/address eq 'Z@a.example')");
    assert_eq!(graph.get(&by_address).await["value"][0]["id"], made["id"]);
    let (_, changed) = graph
        .send("PATCH", &path, json!({ "title": null, "businessPhones": [], "surname": "R" }))
        .await;
    assert_eq!((&changed["title"], &changed["businessPhones"]), (&Value::Null, &json!([])));
    assert_eq!(changed["displayName"], json!("Zoë Q"));
    for bad in [
        json!({ "businessPhones": ["1", "2", "3"] }),
        json!({ "birthday": "yesterday" }),
        json!({ "gender": "x" }),
        json!({ "primaryEmailAddress": { "address": "a@a.example" } }),
        json!({ "emailAddresses": "a@a.example" }),
        json!({ "parentFolderId": "x" }),
    ] {
        assert_eq!(
            graph.send("PATCH", &path, bad.clone()).await.0,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    let (status, _) =
        graph.send("POST", &format!("{path}/move"), json!({ "destinationId": "x" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "Graph cannot move a contact");

    let photo = format!("{path}/photo/$value");
    assert_eq!(graph.try_get(&photo).await.0, StatusCode::NOT_FOUND);
    let put =
        graph.request("PUT", &photo).header("content-type", "image/jpeg").body(vec![0xff, 0xd8, 1]);
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    let response = graph.request("GET", &photo).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    assert_eq!(&response.bytes().await.unwrap()[..], [0xff, 0xd8, 1]);

    let gone = graph.request("DELETE", &path).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(graph.try_get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn contact_folders_can_be_made_but_not_twice_and_the_first_one_stays() {
    let world = World::new().await;
    let graph = world.graph(PERSONAL).await;
    let base = format!("users/{}/contactFolders", world.mailbox(0));
    let (before, link) = graph.round(&format!("{base}/delta"), 100).await;
    let default = format!("{base}/{}", before[0]["id"].as_str().unwrap());
    let (status, made) = graph.send("POST", &base, json!({ "displayName": "Club" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let club = format!("{base}/{}", made["id"].as_str().unwrap());
    let (status, _) = graph.send("POST", &base, json!({ "displayName": "club" })).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let children = format!("{club}/childFolders");
    let (_, inner) = graph.send("POST", &children, json!({ "displayName": "Club" })).await;
    assert_eq!(inner["parentFolderId"], made["id"]);
    assert_eq!(graph.get(&children).await["value"][0]["id"], inner["id"]);
    let (status, _) = graph.send("PATCH", &club, json!({ "displayName": "Society" })).await;
    assert_eq!(status, StatusCode::OK);
    let (_, contact) = graph
        .send("POST", &format!("{club}/contacts"), json!({ "surname": "A", "givenName": "B" }))
        .await;
    assert_eq!((&contact["displayName"], &contact["fileAs"]), (&json!("B A"), &json!("A, B")));
    let (lines, link) = graph.round(&link, 1).await;
    assert_eq!(lines.len(), 2);
    for (path, status) in [(&default, 400), (&club, 204)] {
        let response = graph.request("DELETE", path).send().await.unwrap();
        assert_eq!(read(response).await.0.as_u16(), status);
    }
    let (lines, _) = graph.round(&link, 1).await;
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["@removed"]["reason"] == "deleted"));
    let path = format!("users/{}/contacts/{}", world.mailbox(0), contact["id"].as_str().unwrap());
    assert_eq!(graph.try_get(&path).await.0, StatusCode::NOT_FOUND);
}
