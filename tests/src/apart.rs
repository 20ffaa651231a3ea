//! A gateway in a process of its own, for stories about its memory and its signals.
//!
//! The process is the test binary once more, told to run one ignored test whose body is [`serve`].

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gateway::app::Gateway;
use gateway::config::Config;
use gateway::shutdown::{Shutdown, Trigger};
use rustix::process::{Pid, Signal, kill_process};
use sim::control;
use sim::service::autotranscribe::{AutoTranscribe, Config as ServiceConfig, Running};
use tokio::task::JoinHandle;

use crate::{API_ID, API_SECRET, PATIENCE, World, config_text, install_crypto, tasks};

/// Where the process reads its configuration.
const CONFIG: &str = "ANTIPHON_RIG_CONFIG";
/// What it says before its addresses.
const LISTENING: &str = "the gateway listens on ";

/// A world whose gateway is another process.
pub struct Apart {
    /// As any world; [`World::end`] sends SIGTERM.
    pub world: World,
    /// The gateway's configuration file.
    pub config: PathBuf,
    /// What it logged.
    pub log: PathBuf,
    /// The test that is the gateway.
    body: String,
    leash: Leash,
}

/// A process that listens.
struct Process {
    api: control::Gateway,
    base: String,
    sip: Vec<SocketAddr>,
    shutdown: Trigger,
    running: JoinHandle<()>,
    leash: Leash,
}

/// Ends the process with the story, also with one that fails.
#[derive(Clone)]
struct Leash {
    pid: Pid,
    ended: Arc<AtomicBool>,
}

impl Apart {
    /// A service here and a gateway there. `body` is the full name of the ignored test that calls
    /// [`serve`]; its files are kept in `folder`.
    pub async fn new(service: ServiceConfig, more: &str, body: &str, folder: &Path) -> Self {
        install_crypto();
        let service = AutoTranscribe::start(service).await.unwrap();
        let text = config_text(&service.url(), more);
        Self::of(service, &text, body, folder).await
    }

    /// The same with a service that runs already, and the whole text of the configuration.
    pub async fn of(service: Running, text: &str, body: &str, folder: &Path) -> Self {
        install_crypto();
        let (config, log) = (folder.join("antiphon.toml"), folder.join("antiphon.log"));
        std::fs::write(&config, text).unwrap();
        let transports = crate::transports(&Config::load(&config).unwrap());
        let process = Process::launch(body, &config, &log).await;
        Self {
            world: World {
                service,
                api: process.api,
                base: process.base,
                sip: process.sip,
                transports,
                namespace: crate::TWILIO,
                shutdown: process.shutdown,
                running: process.running,
            },
            config,
            log,
            body: body.to_owned(),
            leash: process.leash,
        }
    }

    /// Kills the process, as a machine that fails does, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.leash.send(Signal::KILL);
        self.ended().await;
    }

    /// Starts the process anew, with the configuration as it is now.
    pub async fn start_again(&mut self) {
        let process = Process::launch(&self.body, &self.config, &self.log).await;
        let namespace = self.world.namespace;
        self.world.api = process.api.on(namespace);
        self.world.base = process.base;
        self.world.sip = process.sip;
        self.world.shutdown = process.shutdown;
        self.world.running = process.running;
        self.leash = process.leash;
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        self.leash.pid.as_raw_nonzero().get()
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.leash.send(Signal::HUP);
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.leash.send(Signal::TERM);
    }

    /// Waits until the process has ended well.
    pub async fn ended(&mut self) {
        self.world.ended().await;
    }

    /// Ends the process as an orchestrator does, and waits for it.
    pub async fn end(mut self) {
        self.terminate();
        self.ended().await;
    }
}

impl Process {
    /// Waits until it is ready.
    async fn launch(body: &str, config: &Path, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                body,
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CONFIG, config)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        let leash = Leash {
            pid,
            ended: Arc::default(),
        };
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (addresses, stdout) = tasks()
            .spawn_blocking(move || (addresses(&mut stdout), stdout))
            .await
            .unwrap();
        let base = format!("http://{}", addresses[0]);
        let api = control::Gateway::new(&base, API_ID, API_SECRET, None).unwrap();
        api.ready(PATIENCE).await.unwrap();
        let (shutdown, asked) = Shutdown::manual();
        let at_drain = leash.clone();
        tasks().spawn(async move {
            asked.drain.cancelled().await;
            at_drain.send(Signal::TERM);
        });
        let ended = Arc::clone(&leash.ended);
        Self {
            api,
            base,
            sip: addresses[1..].to_vec(),
            shutdown,
            running: tasks().spawn_blocking(move || wait(child, stdout, &ended)),
            leash,
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.leash.send(Signal::KILL);
    }
}

impl Leash {
    fn send(&self, signal: Signal) {
        if !self.ended.load(Ordering::Acquire) {
            // It may have ended just now.
            let _gone = kill_process(self.pid, signal);
        }
    }
}

/// The body of the process: the gateway as `antiphon serve` runs it. Does nothing in any other.
pub fn serve() {
    let Some(file) = std::env::var_os(CONFIG) else {
        return;
    };
    install_crypto();
    let config = Config::load(Path::new(&file)).unwrap();
    gateway::log::start(&config.log).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals(&tasks()).unwrap();
        let gateway = Gateway::bind(config).await.unwrap();
        let addresses = gateway.addresses();
        let all = std::iter::once(&addresses.http).chain(&addresses.siprec);
        let all: Vec<String> = all.map(ToString::to_string).collect();
        println!("{LISTENING}{}", all.join(" "));
        gateway.run(shutdown).await.unwrap();
    });
}

/// That of HTTP, then those of SIP.
fn addresses(stdout: &mut BufReader<ChildStdout>) -> Vec<SocketAddr> {
    for line in stdout.lines() {
        if let Some((_, addresses)) = line.unwrap().split_once(LISTENING) {
            return addresses
                .split(' ')
                .map(|one| one.parse().unwrap())
                .collect();
        }
    }
    panic!("the process ended before it listened; is the name of its test right?");
}

fn wait(mut child: Child, stdout: BufReader<ChildStdout>, ended: &AtomicBool) {
    let status = child.wait().unwrap();
    ended.store(true, Ordering::Release);
    drop(stdout);
    let is_ours = status.signal() == Some(Signal::KILL.as_raw());
    assert!(
        status.success() || is_ours,
        "the gateway ended with {status}"
    );
}
