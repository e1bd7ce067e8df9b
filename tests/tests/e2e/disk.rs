//! A disk without room: what is there can be read, nothing is half kept, and room brings writing back.

use raccordo_tests::chance::Chance;
use raccordo_tests::federation::Federation;
use raccordo_tests::workload::{Workload, project, some_day};
use serde_json::json;

use crate::PROGRAM;

/// More than any disk has, in MiB; the largest reserve that the configuration takes.
const TOO_MUCH: &str = "1048576";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_writing_and_nothing_else() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let district = &mut federation.districts[0].node;
    let http = district.http();
    let record = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    let created = http.post("/api/v1/projects", &record).await.expect(201);
    let path = created
        .header("location")
        .expect("a created record has a place")
        .to_owned();
    district.stop().await;
    district.set("store", "reserve_mib", TOO_MUCH);
    district.start().await;

    let other = project(&mut Chance::new(2), Some("FR-A-2"), some_day());
    let refused = http
        .post("/api/v1/projects", &other)
        .await
        .refused(503, "store_cannot_write");
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("nothing was kept")),
        "{refused}"
    );
    let edit = json!([{"op": "replace", "path": "/need_area", "value": "FAM"}]);
    http.patch(&path, None, &edit)
        .await
        .refused(503, "store_cannot_write");
    let file = federation.lab.file(
        "A.jsonl",
        &Workload {
            district: 'A',
            seed: 1,
            records: 2,
            edits: 1,
        }
        .text(),
    );
    let district = &mut federation.districts[0].node;
    let import = district
        .cli(&["import", file.to_str().expect("UTF-8")])
        .await;
    assert_eq!(import.code, 1, "{import}");
    assert_eq!(
        http.get(&path).await.expect(200).etag(),
        created.etag(),
        "reading goes on, nothing was changed"
    );
    assert_eq!(
        http.read("/api/v1/projects").await["items"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );

    district.stop().await;
    district.unset("store", "reserve_mib");
    district.start().await;
    assert_eq!(
        http.read("/api/v1/projects").await["items"]
            .as_array()
            .map(Vec::len),
        Some(1),
        "nothing was kept"
    );
    http.post("/api/v1/projects", &other)
        .await
        .expect(201)
        .etag();
    http.patch(&path, None, &edit).await.expect(200).etag();
}
