//! The user agent: one way to the recording server, the transactions on it, and a task that keeps
//! them going and answers while nobody looks. RFC 3261 §17.

mod task;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use self::task::Task;
use super::dialog::Dialog;
use super::message::Message;
use super::options::Options;
use super::wire::{Transport, Wire};

/// Commands that may wait for the task.
const COMMANDS_MAX: usize = 1024;
/// Responses to one request that may wait to be read.
const RESPONSES_MAX: usize = 32;

/// A dialog that its call and the agent's task share.
pub(super) type Shared = Arc<Mutex<Dialog>>;

/// A way to the recording server. Cheap to clone; the last one to be dropped ends the task.
#[derive(Clone, Debug)]
pub struct UserAgent {
    commands: Sender<Command>,
    local: SocketAddr,
    transport: Transport,
    _task: Arc<JoinSet<()>>,
}

/// The responses to one request.
#[derive(Debug)]
pub(super) struct Exchange {
    responses: Receiver<Message>,
}

#[derive(Debug)]
enum Command {
    /// An ACK of a 2xx: sent now, and again whenever the 2xx comes again.
    Acknowledge(Message, Option<SocketAddr>),
    Begin(Message, Option<SocketAddr>, Option<Sender<Message>>),
    Join(String, SharedDialog),
    Leave(String),
}

/// Has a `Debug` that tells nothing.
struct SharedDialog(Shared);

pub(super) fn lock(dialog: &Shared) -> MutexGuard<'_, Dialog> {
    dialog.lock().unwrap_or_else(PoisonError::into_inner)
}

impl UserAgent {
    /// Opens the way that these options name.
    ///
    /// # Errors
    /// What the network or the TLS handshake says.
    pub async fn connect(options: &Options) -> io::Result<Self> {
        let Options {
            target, tls, seed, ..
        } = options;
        let wire = Wire::connect(target, tls, options.signalling_loss, *seed).await?;
        let (local, transport) = (wire.local(), wire.transport());
        let (commands, receiver) = channel(COMMANDS_MAX);
        let task = Task::new(wire, options.t1, receiver);
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run());
        Ok(Self {
            commands,
            local,
            transport,
            _task: Arc::new(tasks),
        })
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What carries it.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// From now on requests with its Call-ID are this dialog's.
    pub(super) async fn join(&self, dialog: &Shared) {
        let call_id = lock(dialog).call_id.clone();
        let shared = SharedDialog(Arc::clone(dialog));
        self.tell(Command::Join(call_id, shared)).await;
    }

    /// The dialog is over.
    pub(super) async fn leave(&self, dialog: &Shared) {
        let call_id = lock(dialog).call_id.clone();
        self.tell(Command::Leave(call_id)).await;
    }

    /// Sends a request and keeps sending it until it is answered.
    pub(super) async fn begin(&self, request: Message, to: Option<SocketAddr>) -> Exchange {
        let (sender, responses) = channel(RESPONSES_MAX);
        self.tell(Command::Begin(request, to, Some(sender))).await;
        Exchange { responses }
    }

    /// Acknowledges a 2xx.
    pub(super) async fn acknowledge(&self, ack: Message, to: Option<SocketAddr>) {
        self.tell(Command::Acknowledge(ack, to)).await;
    }

    async fn tell(&self, command: Command) {
        // A task that is gone has lost its connection; whoever waits for an answer will see that.
        drop(self.commands.send(command).await);
    }
}

impl Exchange {
    /// The next response; `None` when there will be none: time is up or the way is gone.
    pub(super) async fn next(&mut self) -> Option<Message> {
        self.responses.recv().await
    }

    /// The response that ends it.
    pub(super) async fn last(&mut self) -> Option<Message> {
        loop {
            let response = self.next().await?;
            if response.status() >= 200 {
                return Some(response);
            }
        }
    }
}

impl std::fmt::Debug for SharedDialog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialog(..)")
    }
}
