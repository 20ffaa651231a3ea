//! Deliberate faults for the switchboard, to prove that its random walks would notice a real one.
//!
//! Without the feature `planted` nothing of this exists.

/// Whether a fault is planted here; plainly `false` in what ships.
#[cfg(feature = "planted")]
macro_rules! planted {
    ($desk:expr, $fault:ident) => {
        $desk.is_planted($crate::planted::Planted::$fault)
    };
}

#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($desk:expr, $fault:ident) => {
        false
    };
}

/// One fault.
#[cfg(feature = "planted")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Planted {
    /// A start for an unknown guid waits for ever.
    AwaitedNeverExpires,
    /// A call counts as over while it still has a leg.
    CallForgottenWithLeg,
    /// A leg that does not confirm is not ended.
    DeafLegKept,
    /// A stream that does not finish is drained for ever.
    DrainNeverEnds,
    /// The gate of a failed stream stays open.
    FailedGateLeftOpen,
    /// A leg that comes after `start_timeout` is opened and waited for.
    LateJoinerAwaited,
    /// What the platform learns of who speaks is not taken in.
    LearnedRoleIgnored,
    /// The other half that comes while streaming does not join.
    OtherHalfIgnored,
    /// A pause is answered before the gates have confirmed.
    PauseAnswersEarly,
    /// The pause's answer is lost when the last stream fails under it.
    PauseLostWithLastStream,
    /// A leg that comes during a pause has its gate opened at once.
    PausedLegOpened,
    /// A start whose name turns out to be another call's is lost.
    RenamedStartLost,
    /// Newer media leaves the older leg's gate open.
    ReplacedLegKept,
    /// A resume opens the gates before the pause is confirmed.
    ResumeBeforeReceipt,
    /// A start is accepted while a stop is under way.
    StartDuringStop,
    /// The start's answer is lost when the last leg ends.
    StartLostWithLastLeg,
    /// A stop is answered before the gates have confirmed.
    StopAnswersEarly,
    /// A stop that wins over a pause leaves the pause unanswered.
    StopLosesPause,
    /// Both legs of a start get one stream.
    StreamShared,
    /// What came of a stream is forgotten, its name is not.
    StreamsRemembered,
    /// A leg's role goes by its side, whatever the platform suggests.
    SuggestionIgnored,
    /// The receipt of an earlier shutting confirms a later one.
    TicketIgnored,
}

#[cfg(feature = "planted")]
impl Planted {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 22] = [
        Self::AwaitedNeverExpires,
        Self::CallForgottenWithLeg,
        Self::DeafLegKept,
        Self::DrainNeverEnds,
        Self::FailedGateLeftOpen,
        Self::LateJoinerAwaited,
        Self::LearnedRoleIgnored,
        Self::OtherHalfIgnored,
        Self::PauseAnswersEarly,
        Self::PauseLostWithLastStream,
        Self::PausedLegOpened,
        Self::RenamedStartLost,
        Self::ReplacedLegKept,
        Self::ResumeBeforeReceipt,
        Self::StartDuringStop,
        Self::StartLostWithLastLeg,
        Self::StopAnswersEarly,
        Self::StopLosesPause,
        Self::StreamShared,
        Self::StreamsRemembered,
        Self::SuggestionIgnored,
        Self::TicketIgnored,
    ];
}
