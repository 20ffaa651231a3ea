//! The four machines of RFC 3261 §17, with RFC 6026, as tables: (state, signal) → (state, acts).
//!
//! Pure: what a timer lasts and where a message goes is known to those who carry the acts out.

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// RFC 3261 §17.1.1, RFC 6026 §7.2.
    InviteClient,
    /// RFC 3261 §17.2.1, RFC 6026 §7.1.
    InviteServer,
    /// RFC 3261 §17.1.2: any method but INVITE.
    OtherClient,
    /// RFC 3261 §17.2.2, RFC 4320 §4.
    OtherServer,
}

/// Named as in the RFCs' figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum State {
    Accepted,
    Calling,
    Completed,
    Confirmed,
    Proceeding,
    Terminated,
    Trying,
}

/// What can happen to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Signal {
    /// An ACK arrived.
    Ack,
    /// The request came again.
    Again,
    /// It begins.
    Begin,
    /// A response of 300 to 699, from the wire or from the user.
    Failure,
    /// The transport failed.
    Lost,
    /// The timer that ends the state has fired.
    Over,
    /// A response of 100 to 199.
    Provisional,
    /// The timer that repeats has fired.
    Repeat,
    /// A response of 200 to 299.
    Success,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Send an ACK for the refusal that came.
    Acknowledge,
    /// Run the timer again, twice as long as the last time, T2 at most where it has a limit.
    Double(Timer),
    /// Tell the user that no answer will come.
    Fail,
    /// Give what came to the user.
    Pass,
    /// Send once more what was sent last.
    Resend,
    /// Send what is given, and keep it for [`Act::Resend`].
    Send,
    /// Run the timer again, for T2.
    Slow(Timer),
    /// Run the timer from its beginning.
    Start(Timer),
    /// Let the timer be.
    Stop(Timer),
}

/// RFC 3261 table 4. Of A, E, G, which repeat, and of the others, which end a state, at most one
/// each runs in a transaction; starting one takes the place of its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// INVITE is repeated: T1, doubling.
    A,
    /// INVITE has failed: 64 × T1.
    B,
    /// INVITE got no final response after a provisional one: 360 × T1, which is three minutes.
    /// Only proxies must have it (RFC 3261 §16.6); here it keeps a peer that answers 100 and no
    /// more from holding a request for ever.
    C,
    /// Repeated refusals of INVITE are acknowledged: 64 × T1.
    D,
    /// Another request is repeated: T1, doubling to T2.
    E,
    /// Another request has failed: 64 × T1. The server keeps it too: after that nobody waits for
    /// its answer (RFC 4320 §4.2).
    F,
    /// The refusal of an INVITE is repeated: T1, doubling to T2.
    G,
    /// No ACK came: 64 × T1.
    H,
    /// Repeated ACKs are absorbed: T4.
    I,
    /// Repeated requests are answered: 64 × T1.
    J,
    /// Repeated responses are absorbed: T4.
    K,
    /// Repeated INVITEs are absorbed after a 2xx: 64 × T1. RFC 6026.
    L,
    /// Repeated 2xx are passed on: 64 × T1. RFC 6026.
    M,
}

impl Signal {
    /// What a status says to a machine.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            ..200 => Self::Provisional,
            200..300 => Self::Success,
            _ => Self::Failure,
        }
    }
}

type Step = (State, &'static [Act]);

/// The first state of each.
pub(super) fn first(kind: Kind) -> State {
    match kind {
        Kind::InviteClient => State::Calling,
        Kind::InviteServer => State::Proceeding,
        Kind::OtherClient | Kind::OtherServer => State::Trying,
    }
}

/// One step. A signal that means nothing in a state changes nothing.
pub(super) fn step(kind: Kind, state: State, signal: Signal) -> Step {
    #[cfg(test)]
    super::tests::visit((kind, state, signal));
    let step = match kind {
        Kind::InviteClient => invite_client(state, signal),
        Kind::InviteServer => invite_server(state, signal),
        Kind::OtherClient => other_client(state, signal),
        Kind::OtherServer => other_server(state, signal),
    };
    step.unwrap_or((state, &[]))
}

fn invite_server(state: State, signal: Signal) -> Option<Step> {
    use State::{Accepted, Completed, Confirmed, Proceeding, Terminated};
    Some(match (state, signal) {
        (Proceeding, Signal::Begin) => (Proceeding, &[Act::Pass]),
        (Proceeding, Signal::Again) => (Proceeding, &[Act::Resend]),
        (Proceeding, Signal::Provisional) => (Proceeding, &[Act::Send]),
        (Proceeding, Signal::Success) => (Accepted, &[Act::Send, Act::Start(Timer::L)]),
        (Proceeding, Signal::Failure) => (
            Completed,
            &[Act::Send, Act::Start(Timer::G), Act::Start(Timer::H)],
        ),
        (Accepted, Signal::Success) => (Accepted, &[Act::Send]),
        (Accepted, Signal::Ack) => (Accepted, &[Act::Pass]),
        (Completed, Signal::Again) => (Completed, &[Act::Resend]),
        (Completed, Signal::Repeat) => (Completed, &[Act::Resend, Act::Double(Timer::G)]),
        (Completed, Signal::Ack) => (Confirmed, &[Act::Stop(Timer::G), Act::Start(Timer::I)]),
        (Accepted | Completed | Confirmed, Signal::Over) => (Terminated, &[]),
        _ => return None,
    })
}

fn other_server(state: State, signal: Signal) -> Option<Step> {
    use State::{Completed, Proceeding, Terminated, Trying};
    Some(match (state, signal) {
        (Trying, Signal::Begin) => (Trying, &[Act::Pass, Act::Start(Timer::F)]),
        (Trying | Proceeding, Signal::Provisional) => (Proceeding, &[Act::Send]),
        (Trying | Proceeding, Signal::Success | Signal::Failure) => {
            (Completed, &[Act::Send, Act::Start(Timer::J)])
        }
        (Proceeding | Completed, Signal::Again) => (state, &[Act::Resend]),
        (Trying | Proceeding | Completed, Signal::Over) => (Terminated, &[]),
        _ => return None,
    })
}

fn invite_client(state: State, signal: Signal) -> Option<Step> {
    use State::{Accepted, Calling, Completed, Proceeding, Terminated};
    Some(match (state, signal) {
        (Calling, Signal::Begin) => (
            Calling,
            &[Act::Send, Act::Start(Timer::A), Act::Start(Timer::B)],
        ),
        (Calling, Signal::Repeat) => (Calling, &[Act::Resend, Act::Double(Timer::A)]),
        (Calling, Signal::Provisional) => (
            Proceeding,
            &[Act::Stop(Timer::A), Act::Start(Timer::C), Act::Pass],
        ),
        (Proceeding, Signal::Provisional) => (Proceeding, &[Act::Pass]),
        (Calling | Proceeding, Signal::Success) => (
            Accepted,
            &[Act::Stop(Timer::A), Act::Start(Timer::M), Act::Pass],
        ),
        (Calling | Proceeding, Signal::Failure) => (
            Completed,
            &[
                Act::Stop(Timer::A),
                Act::Start(Timer::D),
                Act::Acknowledge,
                Act::Pass,
            ],
        ),
        (Calling | Proceeding, Signal::Over | Signal::Lost) => (Terminated, &[Act::Fail]),
        (Accepted, Signal::Success) => (Accepted, &[Act::Pass]),
        (Completed, Signal::Failure) => (Completed, &[Act::Acknowledge]),
        (Accepted | Completed, Signal::Over) => (Terminated, &[]),
        _ => return None,
    })
}

fn other_client(state: State, signal: Signal) -> Option<Step> {
    use State::{Completed, Proceeding, Terminated, Trying};
    Some(match (state, signal) {
        (Trying, Signal::Begin) => (
            Trying,
            &[Act::Send, Act::Start(Timer::E), Act::Start(Timer::F)],
        ),
        (Trying, Signal::Repeat) => (Trying, &[Act::Resend, Act::Double(Timer::E)]),
        (Proceeding, Signal::Repeat) => (Proceeding, &[Act::Resend, Act::Slow(Timer::E)]),
        (Trying | Proceeding, Signal::Provisional) => (Proceeding, &[Act::Pass]),
        (Trying | Proceeding, Signal::Success | Signal::Failure) => (
            Completed,
            &[Act::Stop(Timer::E), Act::Start(Timer::K), Act::Pass],
        ),
        (Trying | Proceeding, Signal::Over | Signal::Lost) => (Terminated, &[Act::Fail]),
        (Completed, Signal::Over) => (Terminated, &[]),
        _ => return None,
    })
}
