//! A store that cannot do its work: calls go on, it is said, and what can be saved is.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rig::World;
use rig::apart::Apart;
use rig::shown::until_metric;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use sim::webhook::Faults;

use crate::GATEWAY;
use crate::files::names_in;
use crate::scene::{
    Scene, begin, conversation, delivered, end, finals_told, kept_in, receiver, until_messages,
    webhook,
};

const PHRASES: [&str; 3] = ["customer-greeting", "agent-greeting", "customer-account"];

/// Another program that holds the lock of the database for writing.
struct Holder(Child);

impl Holder {
    fn of(database: &Path) -> Self {
        let program = "import sqlite3, sys\n\
            held = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)\n\
            held.execute('BEGIN IMMEDIATE')\n\
            print('locked', flush=True)\n\
            sys.stdin.read()\n\
            held.execute('ROLLBACK')\n";
        let mut child = Command::new("python3")
            .args(["-c", program])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        assert_eq!(line, "locked\n");
        Self(child)
    }

    fn release(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

/// A process whose files may not grow any more is told so by a signal, which would end it.
pub(crate) fn outlive_a_full_disk() {
    const SIGXFSZ: i32 = 25;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kind = tokio::signal::unix::SignalKind::from_raw(SIGXFSZ);
    // Once it is listened to it ends nothing any more, whoever listens.
    runtime.block_on(async { drop(tokio::signal::unix::signal(kind).unwrap()) });
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_locked_calls_go_on_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver(Faults::default()).await;
    let world = World::with(&format!(
        "{}busy_timeout = \"50ms\"\n{}",
        kept_in(folder.path()),
        webhook("story", &receiver.url(), "")
    ))
    .await;
    let before = conversation(&world, &PHRASES).await;
    until_messages(&world, &before, PHRASES.len()).await;
    let holder = Holder::of(&folder.path().join("antiphon.db"));
    let during = conversation(&world, &PHRASES).await;
    let told = finals_told(&world, &during).await;
    let errors = "antiphon_store_errors_total{kind=\"locked\"}";
    until_metric(&world, errors, |errors| errors > 0.0).await;
    assert_eq!(world.api.get("/health/ready").await.unwrap().status, 200);
    assert_eq!(
        until_messages(&world, &before, 3).await.len(),
        3,
        "it can still be read"
    );

    holder.release();
    until_messages(&world, &during, told.len()).await;
    delivered(&receiver, &during, &told).await;
    assert_eq!(
        world.metric("antiphon_store_events_dropped_total").await,
        0.0
    );
    until_metric(&world, "antiphon_store_up", |up| up == 1.0).await;
    world.end().await;
}

/// What a process may write has an end: the same as a disk that is full.
#[tokio::test(flavor = "multi_thread")]
async fn while_there_is_no_room_calls_go_on_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver(Faults::default()).await;
    // The log is a file as well, and has to go on.
    let logs = tempfile::tempdir().unwrap();
    let more = kept_in(folder.path()) + &webhook("story", &receiver.url(), "");
    let gateway = Apart::new(rig::service_config(), &more, GATEWAY, logs.path()).await;
    let world = &gateway.world;
    let before = conversation(world, &PHRASES).await;
    until_messages(world, &before, PHRASES.len()).await;
    allow_files_of(&gateway, Some(4096));
    let during = conversation(world, &PHRASES).await;
    let told = finals_told(world, &during).await;
    assert_eq!(told.len(), PHRASES.len(), "every word was heard");
    until_metric(world, "antiphon_store_up", |up| up == 0.0).await;
    assert_eq!(world.api.get("/health/ready").await.unwrap().status, 200);

    allow_files_of(&gateway, None);
    until_messages(world, &during, told.len()).await;
    delivered(&receiver, &during, &told).await;
    assert_eq!(
        world.metric("antiphon_store_events_dropped_total").await,
        0.0
    );
    until_messages(world, &before, PHRASES.len()).await;
    gateway.end().await;
}

/// How long the files of a process may become.
fn allow_files_of(gateway: &Apart, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Pid::from_raw(gateway.pid()), Resource::Fsize, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_moved_aside_and_a_new_one_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("antiphon.db");
    let rubbish = vec![b'x'; 64 << 10];
    std::fs::File::create(&database)
        .unwrap()
        .write_all(&rubbish)
        .unwrap();
    let scene = Scene::new(folder.path(), Faults::default(), "").await;
    until_metric(&scene.world, "antiphon_store_up", |up| up == 1.0).await;
    assert_eq!(
        scene.world.metric("antiphon_store_moved_aside_total").await,
        1.0
    );
    let guid = scene.call(&PHRASES).await;
    scene.is_delivered(&guid).await;
    until_messages(&scene.world, &guid, PHRASES.len()).await;
    let names = names_in(folder.path());
    let aside = names
        .iter()
        .find(|name| name.starts_with("antiphon.db.corrupt-"));
    let kept = std::fs::read(folder.path().join(aside.unwrap())).unwrap();
    assert_eq!(kept, rubbish);
    scene.world.end().await;
}

/// Nothing can be kept, so nothing can be asked; but what is said is delivered. Once the folder is
/// there everything is as it should be.
#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_written_the_gateway_serves_and_delivers_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let receiver = receiver(Faults::times(sim::webhook::Fault::Status(500), 2)).await;
    let more = format!(
        "{}retry_max = \"200ms\"\n{}",
        kept_in(&missing),
        webhook("story", &receiver.url(), "")
    );
    let world = World::with(&more).await;
    let guid = conversation(&world, &PHRASES).await;
    let told = finals_told(&world, &guid).await;
    delivered(&receiver, &guid, &told).await;
    assert_eq!(world.metric("antiphon_store_up").await, 0.0);
    assert_eq!(world.api.get("/health/ready").await.unwrap().status, 200);
    let path = format!("/conversation/v1/conversation/messages?externalId={guid}");
    assert_eq!(world.api.get(&path).await.unwrap().status, 503);

    std::fs::create_dir(&missing).unwrap();
    until_metric(&world, "antiphon_store_up", |up| up == 1.0).await;
    let later = conversation(&world, &PHRASES).await;
    let told = finals_told(&world, &later).await;
    until_messages(&world, &later, told.len()).await;
    delivered(&receiver, &later, &told).await;
    world.end().await;
}

/// A call that begins before the store fails and ends after it is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_outlasts_the_trouble_is_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let more = format!("{}busy_timeout = \"50ms\"\n", kept_in(folder.path()));
    let world = World::with(&more).await;
    let mut call = begin(&world).await;
    world.say(&mut call, "customer-greeting").await;
    until_messages(&world, call.call_sid(), 1).await;
    let holder = Holder::of(&folder.path().join("antiphon.db"));
    world.say(&mut call, "agent-greeting").await;
    world.pause(&call).await;
    world.resume(&call).await;
    holder.release();
    world.say(&mut call, "customer-account").await;
    let guid = end(&world, call).await;
    until_messages(&world, &guid, 3).await;
    let shown = world
        .api
        .get(&format!("/v1/conversations/twilio/{guid}"))
        .await;
    let commands = shown.unwrap().body["commands"].as_array().unwrap().len();
    assert!(commands >= 3, "{commands}");
    world.end().await;
}
