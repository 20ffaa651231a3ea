use prometheus::Registry;
use siprec::transaction::Transport;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::*;

const OPTIONS: &str = "OPTIONS sip:srs@192.0.2.9 SIP/2.0\r\n\
    Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
    From: <sip:a@192.0.2.1>;tag=1\r\n\
    To: <sip:srs@192.0.2.9>\r\n\
    Call-ID: 1\r\n\
    CSeq: 1 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

struct World {
    peer: DuplexStream,
    pipe: Pipe,
    heard: mpsc::Receiver<Signal>,
    task: JoinHandle<ConnectionEnd>,
}

impl World {
    fn new(queue_max: usize, room: usize) -> Self {
        let (peer, ours) = duplex(room);
        let (pipe, wire) = Pipe::new(queue_max);
        let (signals, heard) = mpsc::channel(4);
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        let limits = MessageLimits::default();
        let wire = wire.with((limits, Duration::from_secs(60)), signals, metrics);
        let flow = Flow {
            listener: 0,
            transport: Transport::Tcp,
            local: "192.0.2.9:5060".parse().unwrap(),
            peer: "192.0.2.1:40000".parse().unwrap(),
            connection: 5,
        };
        let task = TaskTracker::new().spawn(wire.run(ours, flow, Arc::from([])));
        Self {
            peer,
            pipe,
            heard,
            task,
        }
    }

    async fn read(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.peer.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_cut_out_of_the_stream_wherever_it_was_cut() {
    let mut world = World::new(4, 4096);
    for byte in [OPTIONS, OPTIONS].concat().as_bytes() {
        world.peer.write_all(&[*byte]).await.unwrap();
    }
    for _ in 0..2 {
        let Some(Signal::Message { flow, .. }) = world.heard.recv().await else {
            panic!("no message")
        };
        assert_eq!(flow.connection, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_double_crlf_is_answered_with_one() {
    let mut world = World::new(4, 4096);
    world.peer.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(world.read(2).await, "\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_followed_is_answered_and_closed() {
    let mut world = World::new(4, 4096);
    let broken = OPTIONS.replace("Content-Length: 0", "Content-Length: many");
    world.peer.write_all(broken.as_bytes()).await.unwrap();
    assert_eq!(world.read(11).await, "SIP/2.0 400");
    assert_eq!(world.task.await.unwrap(), ConnectionEnd::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_loses_its_connection_and_delays_nobody() {
    let world = World::new(2, 16);
    for _ in 0..8 {
        world.pipe.write(vec![b'x'; 64]);
        tokio::task::yield_now().await;
    }
    assert_eq!(world.task.await.unwrap(), ConnectionEnd::Slow);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_written_before_the_end() {
    let mut world = World::new(4, 4096);
    world.pipe.write(b"one".to_vec());
    world.pipe.write(b"two".to_vec());
    drop(world.pipe);
    let mut text = String::new();
    world.peer.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "onetwo");
    assert_eq!(world.task.await.unwrap(), ConnectionEnd::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_and_a_gone_one_noticed() {
    let World {
        task,
        peer: _peer,
        pipe: _pipe,
        ..
    } = World::new(4, 4096);
    assert_eq!(task.await.unwrap(), ConnectionEnd::Idle);
    let World {
        task,
        peer,
        pipe: _pipe,
        ..
    } = World::new(4, 4096);
    drop(peer);
    assert_eq!(task.await.unwrap(), ConnectionEnd::Peer);
}
