//! A server on loopback and the gateway's end of its legs.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use call::backlog::Taken;
use call::feed::{ChunkSource, LineConfig};
use call::leg::LegConfig;
use prometheus::Registry;
use siprec::answer::{MediaPolicy, SrtpPolicy};
use siprec::offer::Codec;
use siprec::roles::RolePolicy;
use siprec::trunk::{BeforeStart, Trunk};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::intake::{Arrival, Intake, Opened};
use crate::metrics::Metrics;
use crate::siprec::Siprec;
use crate::siprec::config::{Listen, PortRange, SiprecConfig};

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct World {
    pub(super) siprec: Arc<Siprec>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) arrivals: mpsc::UnboundedReceiver<Arrival>,
}

pub(super) fn trunk() -> Trunk {
    Trunk {
        name: "loopback".to_owned(),
        sources: vec!["127.0.0.0/8".parse().unwrap()],
        listeners: Vec::new(),
        tls_names: Vec::new(),
        users: Vec::new(),
        accept_anyway: false,
        identifiers: Vec::new(),
        roles: RolePolicy {
            customer_first: Some(true),
            caller_is_customer: true,
        },
        media: MediaPolicy {
            codecs: vec![Codec::Pcmu, Codec::Pcma, Codec::L16],
            srtp: SrtpPolicy::Allow,
            lines_max: 2,
        },
        answer: BeforeStart::RecvOnly,
        pause_on_stop: false,
        accept_mixed: true,
        sessions_max: 100,
        media_address: None,
        contact: None,
        credentials: None,
        keep: Vec::new(),
    }
}

/// Listeners `texts` on ports of the kernel's choice; `first` begins a stretch of RTP ports that is
/// the test's own.
pub(super) fn config(listen: &[&str], first: u16) -> SiprecConfig {
    let listen = listen.iter();
    SiprecConfig {
        listen: listen.map(|text| text.parse::<Listen>().unwrap()).collect(),
        rtp_ports: PortRange::new(first, first + 7).unwrap(),
        trunks: vec![trunk()],
        close_timeout: Duration::from_secs(2),
        ..SiprecConfig::default()
    }
}

impl World {
    pub(super) fn new(config: SiprecConfig) -> Self {
        let (intake, arrivals) = Intake::new(LegConfig::default());
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        let siprec = Siprec::bind(config, intake, Arc::clone(&metrics)).unwrap();
        TaskTracker::new().spawn(Arc::clone(&siprec).run());
        Self {
            siprec,
            metrics,
            arrivals,
        }
    }

    pub(super) fn udp(first: u16) -> Self {
        Self::new(config(&["udp:127.0.0.1:0"], first))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.siprec.addresses()[0]
    }

    pub(super) async fn arrival(&mut self) -> Arrival {
        let arrival = timeout(PATIENCE, self.arrivals.recv()).await;
        arrival.expect("nothing arrives").expect("the intake lives")
    }

    pub(super) async fn leg(&mut self) -> Opened {
        match self.arrival().await {
            Arrival::Opened(opened) => opened,
            other => panic!("no leg but {other:?}"),
        }
    }

    /// Why a leg is not sent what it wants.
    pub(super) async fn refusal(&mut self) -> String {
        loop {
            match self.arrival().await {
                Arrival::Refused(_, why) => return why,
                Arrival::Learned(_) => {}
                other => panic!("not refused but {other:?}"),
            }
        }
    }

    pub(super) async fn ending(&mut self) -> &'static str {
        loop {
            match self.arrival().await {
                Arrival::Ended(_, ending) => return ending.reason,
                Arrival::Learned(_) => {}
                other => panic!("no ending but {other:?}"),
            }
        }
    }
}

pub(super) fn open(leg: &Opened) -> ChunkSource {
    let line = LineConfig {
        chunk_samples: 160,
        chunks_max: 100,
    };
    leg.control.open(leg.control.clock().now(), line).unwrap()
}

/// So many samples of sound, without the silence before them.
pub(super) async fn sound(source: &mut ChunkSource, count: usize) -> Vec<i16> {
    let taking = async {
        let mut samples = Vec::new();
        while samples.len() < count {
            match poll_fn(|context| source.poll_take(context)).await {
                Taken::Chunk(chunk) => samples.extend(chunk.samples),
                Taken::Nothing => {}
                other => panic!("no sound but {other:?}"),
            }
            let silent = samples.iter().take_while(|sample| **sample == 0).count();
            samples.drain(..silent);
        }
        samples.truncate(count);
        samples
    };
    timeout(PATIENCE, taking).await.expect("no sound comes")
}

/// What waits now.
pub(super) fn waiting(source: &mut ChunkSource) -> Vec<i16> {
    let context = Context::from_waker(Waker::noop());
    let mut samples = Vec::new();
    while let Poll::Ready(Taken::Chunk(chunk)) = source.poll_take(&context) {
        samples.extend(chunk.samples);
    }
    samples
}

/// Sends `count` packets of 20 ms of one byte to a port of the server's, in real time.
pub(super) async fn say(port: u16, byte: u8, count: u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for number in 0..count {
        ticks.tick().await;
        let mut packet = vec![0x80, 0];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend(u32::from(port).to_be_bytes());
        packet.extend([byte; 160]);
        socket.send_to(&packet, ("127.0.0.1", port)).await.unwrap();
    }
}
