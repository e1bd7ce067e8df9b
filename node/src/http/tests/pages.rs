//! The pages as a browser gets them.

use axum::http::StatusCode;
use raccordo_config::Role;
use serde_json::json;

use super::{Bench, active};

#[tokio::test]
async fn a_choice_made_on_the_page_settles_the_field() {
    let bench = Bench::district().await;
    for (reference, chosen) in [("FR-A-1", "suspended"), ("FR-A-2", "review")] {
        let created = bench.create(reference).await;
        let (etag, location) = (
            created.header("etag").to_owned(),
            created.header("location").to_owned(),
        );
        for state in ["review", "suspended"] {
            let patch = json!([{"op": "replace", "path": "/state", "value": state}]);
            bench.patch(&location, Some(&etag), &patch).await;
        }
        let seen = bench.get(&location).await.header("etag").to_owned();
        let cookie = bench.sign_in().await;
        let page = location.replace("/api/v1/projects", "/records");
        let form = format!(
            "path=%2Fstate&value=%22{chosen}%22&etag={}",
            seen.replace('"', "%22").replace(',', "%2C")
        );
        let forged = bench
            .form(
                &format!("{page}/choose"),
                &[("cookie", &cookie), ("sec-fetch-site", "cross-site")],
                &form,
            )
            .await;
        assert_eq!(forged.refusal(), (403, "cross_site".to_owned()));
        let more = [
            ("cookie", cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        let done = bench.form(&format!("{page}/choose"), &more, &form).await;
        assert_eq!(
            (done.status, done.header("location")),
            (StatusCode::SEE_OTHER, page.as_str()),
            "{}",
            done.text()
        );
        let record = bench.get(&location).await.json();
        assert_eq!(
            (&record["state"], &record["_meta"]["conflicts"]),
            (&json!(chosen), &json!([]))
        );
    }
}

#[tokio::test]
async fn the_pages_say_whose_disk_delivered_speaks_of() {
    let bench = Bench::district().await;
    let created = bench.create("FR-A-1").await;
    let record = created
        .header("location")
        .replace("/api/v1/projects", "/records");
    let cookie = bench.sign_in().await;
    for page in ["/", record.as_str(), "/guidelines"] {
        for (language, says) in [
            (
                "it",
                "il coordinamento per il nodo dell’ufficio, l’ufficio per un portatile",
            ),
            (
                "en",
                "the coordination for the office’s node, the office for a laptop",
            ),
        ] {
            let path = format!("{page}?lang={language}");
            let answer = bench.ask("GET", &path, &[("cookie", &cookie)], "").await;
            assert!(answer.text().contains(says), "{path}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn hostile_text_is_shown_as_text() {
    let bench = Bench::district().await;
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut fields = active("<b>x");
    fields["need_area"] = json!(hostile);
    fields["unknown_field"] = json!(hostile);
    let answer = bench
        .call(
            "POST",
            "/api/v1/projects",
            "application/json",
            &fields.to_string(),
        )
        .await;
    let cookie = bench.sign_in().await;
    let mut pages = vec![
        "/?q=%22%3E%3Cscript%3E&state=%22%3E%3Cscript%3E".to_owned(),
        "/nothing/%3Cscript%3E".to_owned(),
    ];
    if answer.status == StatusCode::CREATED {
        pages.push("/".to_owned());
        pages.push(
            answer
                .header("location")
                .replace("/api/v1/projects", "/records"),
        );
    }
    assert!(pages.len() > 2, "{}", answer.text());
    for page in pages {
        let shown = bench.ask("GET", &page, &[("cookie", &cookie)], "").await;
        let html = shown.text().replace("<script src=\"/assets/live.js", "");
        assert!(
            !html.contains("<script") && !html.contains("<img src=x") && !html.contains("<b>x"),
            "{page}\n{html}"
        );
    }
}

#[tokio::test]
async fn the_pages_speak_italian_and_english_after_a_switch() {
    let bench = Bench::district().await;
    bench.create("FR-A-1").await;
    let cookie = bench.sign_in().await;
    let italian = bench.ask("GET", "/", &[("cookie", &cookie)], "").await;
    assert!(
        italian.text().contains("<html lang=\"it\">") && italian.text().contains("Salvato qui")
    );
    assert!(italian.text().contains("01/09/2026"));
    let english = bench
        .ask("GET", "/?lang=en", &[("cookie", &cookie)], "")
        .await;
    assert!(english.text().contains("<html lang=\"en\">") && english.text().contains("Saved here"));
    assert!(
        english
            .header("set-cookie")
            .starts_with("raccordo_lang=en;")
    );
}

#[tokio::test]
async fn the_coordination_opens_on_the_state_of_its_territories() {
    let bench = Bench::of(Role::Coordination, "frosinone").await;
    let cookie = bench.sign_in().await;
    let page = bench.ask("GET", "/", &[("cookie", &cookie)], "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text().contains("Stato dei territori"),
        "{}",
        page.text()
    );
    let refused = bench
        .call(
            "POST",
            "/api/v1/projects",
            "application/json",
            &active("X").to_string(),
        )
        .await;
    assert_eq!(refused.refusal(), (403, "not_home".to_owned()));
}
