//! Who gets in, and who does not.

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use expect_test::expect;
use raccordo_config::Role;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Answer, Bench, check, project, shape};
use crate::http::api::openapi::OPERATIONS;
use crate::http::serve::Caller;
use crate::http::{Access, router};

#[tokio::test]
async fn nothing_under_the_api_answers_without_a_credential() {
    let mut bench = Bench::district().await;
    let operations = OPERATIONS
        .iter()
        .filter(|operation| operation.path.starts_with("/api/"));
    for (place, operation) in operations.enumerate() {
        // After twenty wrong tokens the door stays shut for a while, whatever comes.
        if place % 10 == 9 {
            bench = Bench::district().await;
        }
        let method = operation.method.to_uppercase();
        for more in [
            &[][..],
            &[("authorization", "Bearer wrong")],
            &[("cookie", "raccordo_00000000=wrong")],
        ] {
            let answer = bench.ask(&method, operation.path, more, "").await;
            assert_eq!(
                answer.refusal(),
                (401, "sign_in_needed".to_owned()),
                "{method} {}",
                operation.path
            );
        }
    }
    for path in ["/api/v1/local/tokens", "/api/v1/nothing/at/all/here"] {
        assert_eq!(
            bench.ask("GET", path, &[], "").await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    for path in ["/", "/records", "/records/00"] {
        let answer = bench.ask("GET", path, &[], "").await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, "/sign-in"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn signing_in_opens_a_new_session_and_signing_out_ends_it() {
    let bench = Bench::district().await;
    let planted =
        "raccordo_00000000=0000000000000000000000000000000000000000000000000000000000000000";
    let answer = bench
        .form(
            "/sign-in",
            &[("cookie", planted)],
            &format!("token={}", bench.token),
        )
        .await;
    let set = answer.header("set-cookie");
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Lax") && !set.contains("Secure"),
        "{set}"
    );
    assert!(
        !set.contains("00000000000000000000"),
        "a session id that came along is never taken over"
    );
    let (first, second) = (bench.sign_in().await, bench.sign_in().await);
    assert_ne!(first, second);
    assert_eq!(
        bench
            .ask("GET", "/", &[("cookie", &first)], "")
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        bench
            .ask("GET", "/api/v1/status", &[("cookie", &first)], "")
            .await
            .status,
        StatusCode::OK
    );

    let left = bench
        .form(
            "/sign-out",
            &[("cookie", &first), ("sec-fetch-site", "same-origin")],
            "",
        )
        .await;
    assert_eq!(left.header("location"), "/sign-in");
    assert_eq!(
        bench
            .ask("GET", "/", &[("cookie", &first)], "")
            .await
            .status,
        StatusCode::SEE_OTHER
    );
    let live = [("cookie", first.as_str()), ("raccordo-live", "1")];
    assert_eq!(
        bench.ask("GET", "/", &live, "").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn nobody_is_signed_out_by_another_site() {
    let bench = Bench::district().await;
    let first = bench.sign_in().await;
    let forged = bench
        .form(
            "/sign-out",
            &[("cookie", &first), ("sec-fetch-site", "cross-site")],
            "",
        )
        .await;
    assert_eq!(forged.refusal(), (403, "cross_site".to_owned()));
    let silent = bench.form("/sign-out", &[("cookie", &first)], "").await;
    assert_eq!(
        silent.status,
        StatusCode::FORBIDDEN,
        "a cookie without any word of origin"
    );
}

#[tokio::test]
async fn a_withdrawn_token_ends_its_sessions() {
    let bench = Bench::district().await;
    let second = bench.sign_in().await;
    bench
        .node
        .engine()
        .revoke_token("anna", "administrator")
        .await
        .unwrap();
    let after = bench.ask("GET", "/", &[("cookie", &second)], "").await;
    assert_eq!(
        after.status,
        StatusCode::SEE_OTHER,
        "a withdrawn token ends its sessions"
    );
}

#[tokio::test]
async fn another_site_cannot_sign_anyone_in_or_change_a_record_by_cookie() {
    let bench = Bench::district().await;
    let body = format!("token={}", bench.token);
    let forged = bench
        .form("/sign-in", &[("sec-fetch-site", "cross-site")], &body)
        .await;
    assert_eq!(forged.refusal(), (403, "cross_site".to_owned()));
    let cookie = bench.sign_in().await;
    for more in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "same-site"),
    ] {
        let headers = [
            ("cookie", cookie.as_str()),
            ("content-type", "application/json"),
            ("host", "127.0.0.1"),
            more,
        ];
        let answer = bench
            .ask(
                "POST",
                "/api/v1/projects",
                &headers,
                project("FR-A-1").to_string(),
            )
            .await;
        assert_eq!(answer.refusal(), (403, "cross_site".to_owned()));
    }
}

#[tokio::test]
async fn wrong_tokens_read_alike_and_after_twenty_are_not_evaluated() {
    let bench = Bench::district().await;
    let mut pages = Vec::new();
    for number in 0..20 {
        let answer = bench
            .form("/sign-in", &[], &format!("token=wrong-{number}"))
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        pages.push(answer.text().to_owned());
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "the failure says the same each time");
    let right = bench
        .form("/sign-in", &[], &format!("token={}", bench.token))
        .await;
    assert_eq!(
        (right.status, right.header("set-cookie")),
        (StatusCode::TOO_MANY_REQUESTS, "")
    );
    assert!(!right.header("retry-after").is_empty());
    assert_eq!(
        bench.get("/api/v1/status").await.status,
        StatusCode::OK,
        "programs with a good token go on"
    );
    let wrong = bench
        .ask(
            "GET",
            "/api/v1/status",
            &[("authorization", "Bearer wrong")],
            "",
        )
        .await;
    assert_eq!(wrong.refusal(), (429, "too_many_failures".to_owned()));
}

#[tokio::test]
async fn behind_a_proxy_wrong_tries_count_for_the_address_that_the_proxy_names() {
    let bench = Bench::district().await;
    let routers = [false, true].map(|behind_proxy| {
        let access = Access::Network {
            secure_cookies: false,
            behind_proxy,
        };
        router(bench.node.engine(), access)
    });
    let try_in = async |behind_proxy: bool, from: &str, told: &str| {
        let router = routers[usize::from(behind_proxy)].clone();
        let request = Request::builder()
            .method("POST")
            .uri("/sign-in")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-forwarded-for", told)
            .extension(ConnectInfo(Caller(from.parse().unwrap())))
            .body(Body::from("token=wrong"));
        router.oneshot(request.unwrap()).await.unwrap().status()
    };
    let (local, away) = ("127.0.0.1:4000", "10.0.0.9:4000");
    for _ in 0..20 {
        let status = try_in(true, local, "198.51.100.1, 10.0.0.1").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let wait = StatusCode::TOO_MANY_REQUESTS;
    // Only what the proxy itself added counts: what stands before it is the caller's own word.
    let same = try_in(true, local, "203.0.113.7, 10.0.0.1").await;
    assert_eq!(same, wait);
    let other = try_in(true, local, "10.0.0.1, 10.0.0.2").await;
    assert_eq!(other, StatusCode::UNAUTHORIZED);
    for (behind_proxy, from) in [(true, away), (false, local)] {
        for number in 0..20 {
            let told = format!("10.1.0.{number}");
            let status = try_in(behind_proxy, from, &told).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        let last = try_in(behind_proxy, from, "10.2.0.1").await;
        assert_eq!(last, wait, "nobody but the proxy is believed");
    }
}

#[tokio::test]
async fn every_answer_carries_the_strict_headers() {
    let bench = Bench::district().await;
    for path in ["/sign-in", "/healthz", "/api/v1/status", "/nowhere"] {
        let answer = bench.ask("GET", path, &[], "").await;
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'; script-src 'self';"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(
            !answer.text().contains("<style") && !answer.text().contains(" style="),
            "{path}"
        );
    }
    let style = bench.ask("GET", "/assets/app.css", &[], "").await;
    assert!(style.header("cache-control").contains("immutable"));
    assert_eq!(
        bench
            .ask("GET", "/assets/..%2Fapp.css", &[], "")
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_local_socket_has_the_administrators_routes_and_the_network_has_not() {
    let bench = Bench::of(Role::Coordination, "frosinone").await;
    let local = |method: &str, path: &str, body: Value| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let router = bench.local.clone();
        async move { Answer::of(router.oneshot(request).await.unwrap()).await }
    };
    let made = local("POST", "/api/v1/local/tokens", json!({"name": "ufficio"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let names = local("GET", "/api/v1/local/tokens", json!({})).await.json();
    let names: Vec<_> = names["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["anna", "ufficio"]);
    assert_eq!(
        local("DELETE", "/api/v1/local/tokens/ufficio", json!({}))
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    let invitation = local(
        "POST",
        "/api/v1/local/invite",
        json!({"territory": "frosinone/a"}),
    )
    .await;
    assert_eq!(
        invitation.status,
        StatusCode::CREATED,
        "{}",
        invitation.text()
    );
    check(
        &shape(&invitation.json()),
        &expect![[r#"
        {
          "expires_at": "text",
          "invitation": "text",
          "territory": "text"
        }"#]],
    );
    let nothing = local("POST", "/api/v1/local/join", json!({})).await;
    assert_eq!(nothing.refusal(), (400, "malformed".to_owned()));
    for (action, what) in [
        ("create-token", ""),
        ("revoke-token", ""),
        ("invite", "frosinone/a"),
    ] {
        let done = bench.audited(action).await;
        let by_root = |one: &Value| one["who"] == "root" && one["what"] == what;
        assert!(done.iter().any(by_root), "{action}: {done:?}");
    }
    assert_eq!(
        bench.get("/api/v1/local/tokens").await.status,
        StatusCode::NOT_FOUND
    );
}
