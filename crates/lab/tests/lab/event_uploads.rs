//! Large attachments of events.

use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::json;

use crate::calendars::{Calendar, weekly};

#[tokio::test]
async fn a_large_file_is_attached_to_an_event_in_pieces_and_to_nothing_else() {
    const PIECE: usize = 10 * 320 * 1024;
    let here = Calendar::new().await;
    let made = here.make(weekly("UTC")).await;
    let id = made["id"].as_str().unwrap();
    let file: Vec<u8> = (0..PIECE + 1_800_000).map(|n| (n * 7 % 251) as u8).collect();
    let size = file.len();
    let order = |size: usize| {
        let item = json!({ "attachmentType": "file", "name": "plan.pdf", "size": size,
            "contentType": "application/pdf" });
        json!({ "AttachmentItem": item })
    };
    let ask = |event: String, size| {
        let path = format!("{event}/attachments/createUploadSession");
        let (graph, order) = (&here.graph, order(size));
        async move { graph.send("POST", &path, order).await }
    };
    let (status, body) = ask(here.path(&made), 1_000_000).await;
    let code = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize";
    assert_eq!((status.as_u16(), &body["error"]["code"]), (400, &json!(code)));
    let (status, _) = ask(format!("{}/calendar/events/{id}", here.user), size).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it lies in another calendar");
    let reader = here.world.graph(&["Calendars.Read"]).await;
    let path = format!("{}/attachments/createUploadSession", here.path(&made));
    let (status, _) = reader.send("POST", &path, order(size)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    // Of the series by both paths, and of one occurrence.
    let day = here.instances(&made, "2026-09-08T00:00:00", "2026-09-09T00:00:00").await.remove(0);
    for event in [here.path(&made), format!("{}/{id}", here.events), here.path(&day)] {
        let (status, session) = ask(event.clone(), size).await;
        assert_eq!(status, StatusCode::CREATED, "{session}");
        assert_eq!(session["nextExpectedRanges"], json!(["0-"]));
        let url = session["uploadUrl"].as_str().unwrap();
        assert!(url.contains("/Events('") && url.contains("authtoken="), "{url}");
        let before = here.graph.get(&format!("{event}/attachments")).await["value"].clone();
        for (first, last, expected) in [(0, PIECE, 200), (PIECE, size, 201)] {
            let put = here
                .world
                .http
                .put(url)
                .header("content-range", format!("bytes {first}-{}/{size}", last - 1))
                .body(file[first..last].to_vec());
            let response = put.send().await.unwrap();
            assert_eq!(response.status().as_u16(), expected);
            if expected == 200 {
                let now = here.graph.get(&format!("{event}/attachments")).await["value"].clone();
                assert_eq!(now, before, "not before the end");
            } else {
                let location = response.headers()["location"].to_str().unwrap().to_owned();
                assert!(location.contains("/Events('") && location.contains("/Attachments('"));
            }
        }
        let now = here.graph.get(&format!("{event}/attachments")).await["value"].clone();
        let now = now.as_array().unwrap();
        assert_eq!(now.len(), before.as_array().unwrap().len() + 1);
        let last = now.last().unwrap();
        assert_eq!(last["contentBytes"], json!(BASE64.encode(&file)));
        assert_eq!(last["contentType"], "application/pdf");
    }
    // The occurrence has those of its series and one more; the series has none of the occurrence.
    let of_series = here.graph.get(&format!("{}/attachments", here.path(&made))).await;
    assert_eq!(of_series["value"].as_array().unwrap().len(), 2);
}
