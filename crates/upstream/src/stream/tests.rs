//! Streams and their services, fault by fault. The services are played by hand, over real sockets.

mod course;
mod ending;
mod failover;
mod framing;
mod loss;
mod replay;
mod rollover;
mod walk;
mod world;

use std::time::{Duration, Instant as StdInstant};

use call::audio::{Codec, Frame};
use call::backlog::GapReason;
use call::budget::Budget;
use call::feed::LineConfig;
use call::name::{Role, StreamId};
use call::start::{Phrase, Status, StreamOptions};
use call::transcript::Utterance;
use tokio::time::{Instant, timeout};

use self::world::*;
use super::*;
use crate::service::{Final, Heard, Limits, LocateError, Retry};
use crate::wire::testing::Said;
