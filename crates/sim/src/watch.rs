//! `antiphon-sim watch`: a running gateway on a terminal, seen through its native API only.

mod board;
mod screen;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEventKind, KeyModifiers};
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

pub use self::board::Board;

use crate::control::{Event, Gateway};

/// How often calls are asked for.
const REFRESH: Duration = Duration::from_millis(500);
/// How often keys are looked for and the screen is drawn.
const DRAW: Duration = Duration::from_millis(100);
/// How long to wait before a broken event stream is opened again.
const RECONNECT: Duration = Duration::from_secs(1);
/// News that may wait for the screen.
const NEWS_MAX: usize = 256;

/// What `watch` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The gateway's API, `http://host:port`.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    api: String,
    /// The API key's id.
    #[arg(long, env = "ANTIPHON_API_ID", default_value = "")]
    api_id: String,
    /// The API key's secret.
    #[arg(
        long,
        env = "ANTIPHON_API_SECRET",
        default_value = "",
        hide_env_values = true
    )]
    api_secret: String,
    /// What TLS trusts; the system's roots without.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Print how it stands now and end.
    #[arg(long)]
    once: bool,
}

/// What the gateway has told.
enum News {
    Calls(Value),
    Event(Event),
    Trouble(String),
}

/// Shows the gateway until `q` is pressed.
///
/// # Errors
/// When the gateway cannot be asked (with `--once`), or the terminal not be used.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments {
        api,
        api_id,
        api_secret,
        ca,
        once,
    } = arguments;
    let gateway = Gateway::new(&api, &api_id, &api_secret, ca.as_deref())?;
    if once {
        print!("{}", snapshot(&gateway).await?);
        return Ok(());
    }
    let (tell, news) = channel(NEWS_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(poll_calls(gateway.clone(), tell.clone()));
    tasks.spawn(follow_events(gateway, tell));
    let mut terminal = ratatui::try_init().context("this is no terminal; try --once")?;
    let ended = show(&mut terminal, news, &api).await;
    ratatui::restore();
    ended
}

/// How the gateway stands, as text.
///
/// # Errors
/// When it does not answer with its calls.
pub async fn snapshot(gateway: &Gateway) -> anyhow::Result<String> {
    let answer = gateway.calls().await?;
    ensure!(answer.status == 200, "{}", answer.complaint());
    let mut board = Board::default();
    board.refresh(&answer.body);
    Ok(board.to_string())
}

async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    mut news: Receiver<News>,
    title: &str,
) -> anyhow::Result<()> {
    let mut board = Board::default();
    let mut tick = interval(DRAW);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        while let Ok(news) = news.try_recv() {
            match news {
                News::Calls(calls) => board.refresh(&calls),
                News::Event(event) => board.tell(&event.json()),
                News::Trouble(why) => board.trouble(why),
            }
        }
        terminal.draw(|frame| screen::draw(frame, &board, title))?;
        if quits()? {
            return Ok(());
        }
    }
}

/// Whether one of the keys pressed since the last look ends it.
fn quits() -> anyhow::Result<bool> {
    while event::poll(Duration::ZERO)? {
        let TerminalEvent::Key(key) = event::read()? else {
            continue;
        };
        let interrupts =
            key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
        let leaves = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
        if key.kind == KeyEventKind::Press && (interrupts || leaves) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn poll_calls(gateway: Gateway, tell: Sender<News>) {
    let mut tick = interval(REFRESH);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let news = match gateway.calls().await {
            Ok(answer) if answer.status == 200 => News::Calls(answer.body),
            Ok(answer) => News::Trouble(answer.complaint()),
            Err(error) => News::Trouble(format!("{error:#}")),
        };
        if tell.send(news).await.is_err() {
            return;
        }
    }
}

async fn follow_events(gateway: Gateway, tell: Sender<News>) {
    let mut last_id = None;
    while !tell.is_closed() {
        if let Err(error) = follow_once(&gateway, &tell, &mut last_id).await {
            // When nobody listens any more the loop ends above.
            drop(tell.send(News::Trouble(format!("{error:#}"))).await);
        }
        sleep(RECONNECT).await;
    }
}

async fn follow_once(
    gateway: &Gateway,
    tell: &Sender<News>,
    last_id: &mut Option<String>,
) -> anyhow::Result<()> {
    let mut events = gateway.events(last_id.as_deref()).await?;
    while let Some(event) = events.next().await? {
        last_id.clone_from(&event.id);
        if tell.send(News::Event(event)).await.is_err() {
            return Ok(());
        }
    }
    bail!("the gateway has ended the event stream")
}
