//! The file exporter from its first question to the last byte of a file: what is in the files is
//! what was told.

use rig::{World, eventually};
use serde_json::{Value, json};
use sim::control::Gateway;

use crate::scene::{
    Said, conversation, conversation_of, finals_told, kept_in, unkeyed, until_messages,
};

const PHRASES: [&str; 3] = ["customer-greeting", "agent-greeting", "customer-account"];

async fn ask(api: &Gateway, name: &str, body: &Value) -> Value {
    let path = format!("/fileexporter/v1/static/{name}");
    let answer = api.post(&path, body).await.unwrap();
    assert_eq!(answer.status, 200, "{name}: {}", answer.complaint());
    answer.body
}

/// The texts of a list in an answer.
fn texts(answer: &Value, list: &str) -> Vec<String> {
    let list = answer[list].as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Every question, one after the other, down to URLs of all files in this format.
async fn urls(api: &Gateway, format: &str) -> Vec<String> {
    let feeds = ask(api, "listfeeds", &json!({})).await;
    assert_eq!(texts(&feeds, "feeds"), ["utterances"]);
    let mut of = json!({"feed": "utterances"});
    let versions = texts(&ask(api, "listfeedversions", &of).await, "versions");
    assert_eq!(versions, ["version=1"]);
    of["version"] = json!(versions[0]);
    let formats = texts(&ask(api, "listfeedformats", &of).await, "formats");
    assert_eq!(formats, ["csv", "jsonl"]);
    of["format"] = json!(format);
    let mut urls = Vec::new();
    for date in texts(&ask(api, "listfeeddates", &of).await, "dates") {
        let mut of = of.clone();
        of["date"] = json!(date);
        for interval in texts(&ask(api, "listfeedintervals", &of).await, "intervals") {
            of["interval"] = json!(interval);
            let files = texts(&ask(api, "listfeedfiles", &of).await, "files");
            assert_eq!(files.len(), 1, "an hour is one file: {files:?}");
            of["fileName"] = json!(files[0]);
            let file = ask(api, "getfeedfile", &of).await;
            urls.push(file["url"].as_str().unwrap().to_owned());
        }
    }
    assert!(!urls.is_empty(), "there is no file");
    urls
}

/// Reads a URL as whoever has it does, without a key.
async fn fetch(world: &World, url: &str) -> (u16, String) {
    unkeyed(&url.replacen(rig::PUBLIC_URL, &world.base, 1)).await
}

async fn refused(world: &World, url: &str) {
    let (status, text) = fetch(world, url).await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &body["error"]["code"]), (403, &json!("403-01")));
}

/// All files of a format, joined.
async fn contents(world: &World, format: &str) -> Vec<String> {
    let mut files = Vec::new();
    for url in urls(&world.api, format).await {
        let (status, text) = fetch(world, &url).await;
        assert_eq!(status, 200, "{text}");
        files.push(text);
    }
    files
}

/// The rows of a file of comma-separated values, RFC 4180, as objects by the names of the first.
fn rows(text: &str) -> Vec<Value> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut letters, mut is_quoted) = (text.chars().peekable(), false);
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut field)),
            '\r' if !is_quoted => {
                assert_eq!(letters.next(), Some('\n'));
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    assert!(
        field.is_empty() && row.is_empty(),
        "the last line breaks off"
    );
    let names = rows.remove(0);
    let named = rows.into_iter().map(|row| {
        assert_eq!(row.len(), names.len());
        let members = names.iter().cloned().zip(row.into_iter().map(Value::from));
        Value::Object(members.collect())
    });
    named.collect()
}

/// What a row says of a call, as the events told it.
fn said(row: &Value, guid: &str) -> Said {
    assert_eq!(row["externalConversationId"], *guid);
    assert_eq!(row["namespace"], "twilio");
    let role = row["role"].as_str().unwrap().to_owned();
    assert_eq!(row["externalId"], format!("{role}-1"));
    let number = |name: &str| match &row[name] {
        Value::String(text) => text.parse().unwrap(),
        number => number.as_u64().unwrap(),
    };
    let text = row["text"].as_str().unwrap().to_owned();
    (role, text, number("startMs"), number("endMs"))
}

/// Another last character of the signature.
fn forged(url: &str) -> String {
    let (head, last) = url.split_at(url.len() - 2);
    let other = if last.starts_with('A') { "B" } else { "A" };
    format!("{head}{other}{}", &last[1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_have_what_was_told_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(&kept_in(folder.path())).await;
    let guid = conversation(&world, &PHRASES).await;
    let mut told = finals_told(&world, &guid).await;
    let messages = until_messages(&world, &guid, told.len()).await;
    told.sort();

    let lines: Vec<Value> = contents(&world, "jsonl")
        .await
        .iter()
        .flat_map(|file| file.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cells: Vec<Value> = contents(&world, "csv")
        .await
        .iter()
        .flat_map(|file| rows(file))
        .collect();
    for rows in [&lines, &cells] {
        let mut exported: Vec<Said> = rows.iter().map(|row| said(row, &guid)).collect();
        exported.sort();
        assert_eq!(exported, told);
        let ids = |of: &[Value]| {
            let mut ids: Vec<_> = of.iter().map(|one| one["messageId"].to_string()).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(rows), ids(&messages), "as the messages API calls them");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_good_for_its_file_its_time_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let short = "[api]\nfile_url_ttl = \"2s\"\n";
    let world = World::with(&(kept_in(folder.path()) + short)).await;
    let guid = conversation(&world, &["customer-greeting"]).await;
    until_messages(&world, &guid, 1).await;
    let url = urls(&world.api, "jsonl").await.remove(0);
    refused(&world, &forged(&url)).await;
    refused(&world, &url.replace(".jsonl?", ".csv?")).await;
    refused(&world, &url.replace("expires=", "expires=9")).await;
    refused(&world, url.split('?').next().unwrap()).await;
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(100));
    let expired = async {
        while fetch(&world, &url).await.0 == 200 {
            looks.tick().await;
        }
    };
    eventually("the URL to expire", expired).await;
    refused(&world, &url).await;
    let again = urls(&world.api, "jsonl").await.remove(0);
    assert_eq!(fetch(&world, &again).await.0, 200, "a new one is good");
    world.end().await;
}

/// Who watches, two tenants, and one who may read what is said but export nothing.
const KEYS: &str = "[[api_keys]]\nid = \"rig\"\nsecret = \"rig-api-secret\"\n\
    [[api_keys]]\nid = \"north\"\nsecret = \"north-api-secret\"\ntenant = \"north\"\n\
    [[api_keys]]\nid = \"south\"\nsecret = \"south-api-secret\"\ntenant = \"south\"\n\
    [[api_keys]]\nid = \"reader\"\nsecret = \"reader-api-secret\"\nscopes = [\"transcripts\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_given_no_file_of_another_nor_a_key_without_the_scope_any() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(&(kept_in(folder.path()) + KEYS)).await;
    let north = world.api.with_key("north", "north-api-secret");
    let guid = conversation_of(&world, &north, &["customer-greeting"]).await;
    until_messages(&world, &guid, 1).await;
    let url = urls(&north, "jsonl").await.remove(0);
    assert!(fetch(&world, &url).await.1.contains(&guid));
    refused(&world, &url.replace("tenant=north", "tenant=south")).await;

    let south = world.api.with_key("south", "south-api-secret");
    let of = json!({"feed": "utterances", "version": "version=1", "format": "jsonl"});
    let dates = "/fileexporter/v1/static/listfeeddates";
    let answer = south.post(dates, &of).await.unwrap();
    assert_eq!(answer.body["dates"], json!([]));
    let mut file = of.clone();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let date = &name["utterances-".len().."utterances-2026-01-31".len()];
    file["date"] = json!(date);
    file["fileName"] = json!(name);
    let path = "/fileexporter/v1/static/getfeedfile";
    let answer = south.post(path, &file).await.unwrap();
    assert_eq!(answer.code(), Some("404-01"));
    let reader = world.api.with_key("reader", "reader-api-secret");
    for path in [dates, path] {
        let answer = reader.post(path, &file).await.unwrap();
        assert_eq!(answer.code(), Some("403-01"), "{path}");
    }
    world.end().await;
}
