//! What people do to their contacts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    mailbox::Mailbox,
    operations::{Scene, categories, folder_name, id},
    random::Random,
};

pub(crate) async fn any(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let contact = random.any(there.list("contacts")).cloned();
    match (random.below(11), contact) {
        (0..=2, _) | (_, None) => {
            let Some(folder) = random.any(there.list("contact_folders")) else { return };
            let path = format!("contactFolders/{}/contacts", id(folder));
            scene.send("make a contact", Method::POST, &path, Some(contact_of(random))).await;
        }
        (3, _) => {
            let order = json!({ "seed": random.next() >> 1, "contacts": { "create": 2 } });
            scene.mutate("contacts appear", order).await;
        }
        (4, _) => {
            let order = json!({ "seed": random.next() >> 1, "contacts": { "move": 1 } });
            scene.mutate("a contact moves", order).await;
        }
        (5..=6, Some(contact)) => {
            let path = format!("contacts/{}", id(&contact));
            let change = match random.below(4) {
                0 => json!({ "jobTitle": format!("Title {}", random.below(100)) }),
                1 => json!({ "categories": categories(random) }),
                2 => json!({ "personalNotes": "Zwei\nZeilen", "mobilePhone": "+371 2000 0000" }),
                _ => contact_of(random),
            };
            let what = format!("change contact {}", contact["displayName"]);
            scene.send(&what, Method::PATCH, &path, Some(change)).await;
        }
        (7, Some(contact)) => {
            let path = format!("{}/contacts/{}/photo/$value", scene.address, id(&contact));
            let mut photo = vec![0xff, 0xd8, 0xff, 0xe0];
            photo.extend((0..200).map(|_| random.below(256) as u8));
            let put = scene.user.put_photo(&path, photo).await;
            scene.note(&format!("photograph of {}", contact["displayName"]), put.err());
        }
        (8, Some(contact)) => {
            let what = format!("delete contact {}", contact["displayName"]);
            scene.send(&what, Method::DELETE, &format!("contacts/{}", id(&contact)), None).await;
        }
        (_, Some(_)) => folder(scene, random, there).await,
    }
}

fn contact_of(random: &mut Random) -> Value {
    let number = random.below(10_000);
    json!({
        "givenName": format!("Ilze {number}"),
        "surname": "Kalniņa",
        "displayName": format!("Ilze {number} Kalniņa"),
        "companyName": random.pick(&["Harbour, Sons & Co; Ltd", "Büro", ""]),
        "emailAddresses": [
            { "name": "Ilze", "address": format!("ilze.{number}@partner.example") },
            { "name": "Work", "address": format!("work.{number}@partner.example") },
        ],
        "businessPhones": ["+371 6000 0000"],
        "homeAddress": { "street": "Lielā iela 1\nDz. 2", "city": "Rīga", "postalCode": "LV-1001" },
        "birthday": format!("19{:02}-{:02}-{:02}T00:00:00Z", random.below(90) + 10, 1 + random.below(12), 1 + random.below(28)),
        "categories": categories(random),
        "personalNotes": "",
    })
}

async fn folder(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let name = folder_name(random);
    let all = there.list("contact_folders");
    let body = Some(json!({ "displayName": name }));
    match (random.below(4), random.any(all.get(1..).unwrap_or_default())) {
        (0..=1, chosen) => {
            let path = match chosen {
                Some(parent) if random.percent(50) => {
                    format!("contactFolders/{}/childFolders", id(parent))
                }
                _ => "contactFolders".to_owned(),
            };
            scene.send(&format!("make contact folder {name:?}"), Method::POST, &path, body).await;
        }
        (2, Some(folder)) => {
            let path = format!("contactFolders/{}", id(folder));
            let what = format!("rename contact folder {} to {name:?}", folder["name"]);
            scene.send(&what, Method::PATCH, &path, body).await;
        }
        (_, Some(folder)) => {
            let path = format!("contactFolders/{}", id(folder));
            let what = format!("delete contact folder {}", folder["name"]);
            scene.send(&what, Method::DELETE, &path, None).await;
        }
        (_, None) => {}
    }
}
