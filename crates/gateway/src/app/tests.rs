use tokio::net::UdpSocket;

use super::*;

const LEAST: &str = r#"
[http]
listen = "127.0.0.1:0"
public_url = "https://voice.example.com"
[[api_keys]]
id = "desktop"
secret = "open sesame"
[twilio]
auth_tokens = ["12345678901234567890123456789012"]
token_secret = "0123456789abcdef0123456789abcdef"
[store]
enabled = false
[upstream.autotranscribe]
base_url = "http://127.0.0.1:1"
api_id = "our-id"
api_secret = "our-secret"
"#;

async fn bound(more: &str) -> Gateway {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let text = format!("{LEAST}{more}");
    let config = Config::parse(std::path::Path::new("antiphon.toml"), &text, []).unwrap();
    Gateway::bind(config).await.unwrap()
}

/// Asks whether a session would be taken; the status.
async fn options(server: SocketAddr, number: u32) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let here = socket.local_addr().unwrap();
    let request = format!(
        "OPTIONS sip:srs@{server} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {here};branch=z9hG4bK{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:src@{here}>;tag=1\r\nTo: <sip:srs@{server}>\r\n\
         Call-ID: {number}@{here}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), server).await.unwrap();
    let mut answer = vec![0; 65_535];
    let length = socket.recv(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer[..length].to_vec()).unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn without_listeners_nobody_listens_for_sip() {
    let gateway = bound("").await;
    assert!(gateway.addresses().siprec.is_empty());
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_told_before_anything_is_served() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!("{LEAST}[siprec]\nlisten = [\"udp:{address}\"]\n");
    let config = Config::parse(std::path::Path::new("antiphon.toml"), &text, []).unwrap();
    let told = Gateway::bind(config).await.err().unwrap().to_string();
    assert!(
        told.starts_with(&format!("siprec.listen: udp:{address}: ")),
        "{told}"
    );
}

#[tokio::test]
async fn a_recording_server_is_served_and_ends_with_the_gateway() {
    let gateway = bound(
        "[siprec]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n\
         [[siprec.trunks]]\nname = \"here\"\nsources = [\"127.0.0.0/8\"]\n",
    )
    .await;
    let addresses = gateway.addresses().siprec.clone();
    assert_eq!(addresses.len(), 2);
    let (trigger, shutdown) = Shutdown::manual();
    let tasks = TaskTracker::new();
    let running = tasks.spawn(gateway.run(shutdown));
    assert_eq!(options(addresses[0], 1).await, "SIP/2.0 200 OK");
    trigger.drain();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_happened_until_the_end_is_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.db");
    let text = LEAST.replace(
        "enabled = false",
        &format!("path = {:?}", path.display().to_string()),
    );
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let config = Config::parse(std::path::Path::new("antiphon.toml"), &text, []).unwrap();
    let gateway = Gateway::bind(config).await.unwrap();
    let (bus, keeping) = (Arc::clone(&gateway.bus), Arc::clone(&gateway.kept.keeping));
    let (trigger, shutdown) = Shutdown::manual();
    let tasks = TaskTracker::new();
    let running = tasks.spawn(gateway.run(shutdown));
    let call = call::name::CallName {
        namespace: Namespace::Twilio,
        guid: call::name::Guid::parse("CA1").unwrap(),
    };
    bus.publish(&call, crate::events::Event::CallStarted);
    trigger.drain();
    running.await.unwrap().unwrap();
    let store = keeping.store().unwrap();
    let by = store::query::ByName::Call(call);
    let scope = store::query::Scope::default();
    assert!(store.conversation(&by, &scope).unwrap().is_some());
    assert_eq!(store.newest_event().unwrap().unwrap().number, 1);
}

/// A log to look at.
#[derive(Clone, Default)]
struct Page(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What becomes of a gateway of which one of two tasks panics, and what it logs.
async fn without(is_exchange: bool) -> (StartError, String) {
    let page = Page::default();
    let config = Config::parse(std::path::Path::new("antiphon.toml"), LEAST, []).unwrap();
    let pen = page.clone();
    let subscriber = crate::log::subscriber(&config.log, move || pen.clone(), false).unwrap();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (_trigger, shutdown) = Shutdown::manual();
    let tasks = TaskTracker::new();
    let (well, unwell) = (
        tasks.spawn(std::future::pending()),
        tasks.spawn(async { panic!("planted") }),
    );
    let (exchange, signalling) = match is_exchange {
        true => (unwell, well),
        false => (well, unwell),
    };
    let fallen = watch_over(exchange, Some(signalling), &shutdown).await;
    let log = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    (fallen.unwrap_err(), log)
}

#[tokio::test]
async fn a_panic_of_the_exchange_or_of_the_signalling_ends_the_gateway_with_a_line_in_the_log() {
    let (fallen, log) = without(true).await;
    assert!(matches!(fallen, StartError::Exchange));
    assert!(
        log.contains("The exchange ended; ending the process."),
        "{log}"
    );
    let (fallen, log) = without(false).await;
    assert!(matches!(fallen, StartError::Signalling));
    let line = "The SIPREC signalling ended; ending the process.";
    assert!(log.contains(line) && log.contains("panicked"), "{log}");
}
