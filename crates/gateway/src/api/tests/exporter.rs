use serde_json::json;
use url::Url;

use super::library::Library;
use super::*;

fn library() -> Library {
    let library = Library::new();
    library.began("CA1", None);
    library.said("CA1", Role::Customer, "hello, \"you\"", 0);
    library.said("CA1", Role::Agent, "good day", 10);
    // More than an hour later.
    library.said("CA1", Role::Customer, "bye", 4_000_000);
    library
}

fn file(name: &str, format: &str) -> Value {
    json!({
        "feed": "utterances", "version": "version=1", "format": format,
        "date": "dt=2021-11-23", "fileName": name,
    })
}

async fn list(world: &World, name: &str, body: &Value) -> Answer {
    world
        .post(&format!("/fileexporter/v1/static/{name}"), body)
        .await
}

/// Path and query of a file's URL.
async fn url(world: &World, name: &str, format: &str) -> String {
    let answer = list(world, "getfeedfile", &file(name, format)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let url: Url = answer.json()["url"].as_str().unwrap().parse().unwrap();
    assert_eq!(url.origin().ascii_serialization(), "http://localhost:8080");
    format!("{}?{}", url.path(), url.query().unwrap())
}

async fn fetch(world: &World, url: &str) -> Answer {
    world.raw(request(Method::GET, url, Body::empty())).await
}

#[tokio::test]
async fn a_day_has_files_for_the_hours_in_which_something_was_said() {
    let library = library();
    let world = library.world();
    let mut of = json!({"feed": "utterances", "version": "1", "format": "format=csv"});
    let dates = list(&world, "listfeeddates/", &of).await.json();
    assert_eq!(dates["dates"], json!(["2021-11-23"]));
    assert_eq!(dates["format"], "format=csv", "what was asked is repeated");
    of["date"] = json!("2021-11-23");
    let hours = list(&world, "listfeedintervals", &of).await.json();
    assert_eq!(hours["intervals"], json!(["hr=12", "hr=13"]));
    let files = list(&world, "listfeedfiles", &of).await.json();
    let names = [
        "utterances-2021-11-23-12.csv",
        "utterances-2021-11-23-13.csv",
    ];
    assert_eq!(files["files"], json!(names));
    of["interval"] = json!("hr=13/mi=00");
    let files = list(&world, "listfeedfiles", &of).await.json();
    assert_eq!(files["files"], json!(names[1..]));
}

#[tokio::test]
async fn a_file_is_read_by_its_url_without_a_key() {
    let library = library();
    // One utterance a page, so that the file is written in pieces.
    let world = library.world_with(|state| state.settings.store_page = 1);
    let lines = fetch(
        &world,
        &url(&world, "utterances-2021-11-23-12.jsonl", "jsonl").await,
    )
    .await;
    assert_eq!(lines.header("content-type"), "application/jsonl");
    let text = lines.text();
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["text"], "hello, \"you\"");
    assert_eq!(rows[1]["externalConversationId"], "CA1");
    assert_eq!(rows[1]["clientTimestamp"], "2021-11-23T12:13:14.565Z");
    let csv = fetch(
        &world,
        &url(&world, "utterances-2021-11-23-12.csv", "csv").await,
    )
    .await;
    assert!(
        csv.header("content-disposition")
            .contains("utterances-2021-11-23-12.csv")
    );
    let text = csv.text();
    let mut lines = text.split("\r\n");
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("conversationId,namespace,")
    );
    assert!(lines.next().unwrap().ends_with(",\"hello, \"\"you\"\"\""));
    assert_eq!(lines.clone().count(), 2);
}

#[tokio::test]
async fn a_url_that_was_changed_or_is_old_opens_nothing() {
    let library = library();
    let world = library.world();
    let good = url(&world, "utterances-2021-11-23-12.jsonl", "jsonl").await;
    for bad in [
        good.replace("-12.jsonl", "-13.jsonl"),
        good.replace("expires=", "expires=9"),
        good.replace("signature=", "tenant=north&signature="),
        good.replace("signature=", "signature=A"),
        good.split('?').next().unwrap().to_owned(),
    ] {
        assert_eq!(fetch(&world, &bad).await.code(), "403-01", "{bad}");
    }
    assert_eq!(fetch(&world, &good).await.status, 200);
    let elsewhere = library.world();
    assert_eq!(
        fetch(&elsewhere, &good).await.code(),
        "403-01",
        "another process"
    );
    let world = library.world_with(|state| state.settings.file_url_ttl = Duration::ZERO);
    let old = url(&world, "utterances-2021-11-23-12.jsonl", "jsonl").await;
    assert_eq!(fetch(&world, &old).await.code(), "403-01");
}

#[tokio::test]
async fn with_a_configured_key_a_url_outlives_the_process() {
    let library = library();
    let keyed = || {
        library.world_with(|state| {
            state.settings.signing_key = Some("k".repeat(32).into());
        })
    };
    let good = url(&keyed(), "utterances-2021-11-23-12.jsonl", "jsonl").await;
    assert_eq!(fetch(&keyed(), &good).await.status, 200);
}

#[tokio::test]
async fn a_tenant_s_url_shows_what_the_tenant_may_see() {
    let library = Library::new();
    library.began("CA1", Some("north"));
    library.said("CA1", Role::Customer, "mine", 0);
    library.began("CA2", Some("south"));
    library.said("CA2", Role::Customer, "theirs", 0);
    let world = library.world_with(|state| {
        let of = |id, tenant: &str| ApiKey {
            tenant: Some(tenant.into()),
            ..key(id, "secret")
        };
        state.keys = ApiKeys::new(&[of("key", "north"), of("other", "west")]);
    });
    let text = fetch(
        &world,
        &url(&world, "utterances-2021-11-23-12.jsonl", "jsonl").await,
    )
    .await;
    assert!(text.text().contains("mine") && !text.text().contains("theirs"));
}

#[tokio::test]
async fn what_is_not_exported_is_refused() {
    let library = library();
    let world = library.world();
    for (name, body, code) in [
        ("listfeedversions", json!({"feed": "messages"}), "400-01"),
        ("listfeedversions", json!({}), "400-01"),
        (
            "listfeedformats",
            json!({"feed": "utterances", "version": "2"}),
            "400-01",
        ),
        (
            "getfeedfile",
            file("utterances-2021-11-23-12.csv", "jsonl"),
            "404-01",
        ),
        (
            "getfeedfile",
            file("utterances-2021-11-23-14.jsonl", "jsonl"),
            "404-01",
        ),
        (
            "getfeedfile",
            file("../../antiphon.toml", "jsonl"),
            "404-01",
        ),
        (
            "getfeedfile",
            file("utterances-2021-11-23-12.jsonl", "parquet"),
            "400-01",
        ),
    ] {
        assert_eq!(
            list(&world, name, &body).await.code(),
            code,
            "{name} {body}"
        );
    }
}
