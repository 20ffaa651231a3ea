//! The recordings that come with the program.

/// Which phrases there are.
pub(super) const INDEX: &str = include_str!("../../speech/phrases.json");

/// The recordings, by the ids of their phrases.
pub(super) const WAVS: [(&str, &[u8]); 16] = [
    (
        "agent-greeting",
        include_bytes!("../../speech/agent-greeting.wav"),
    ),
    (
        "agent-sorry",
        include_bytes!("../../speech/agent-sorry.wav"),
    ),
    (
        "agent-balance",
        include_bytes!("../../speech/agent-balance.wav"),
    ),
    (
        "agent-pause",
        include_bytes!("../../speech/agent-pause.wav"),
    ),
    (
        "agent-read-back",
        include_bytes!("../../speech/agent-read-back.wav"),
    ),
    ("agent-paid", include_bytes!("../../speech/agent-paid.wav")),
    (
        "agent-anything-else",
        include_bytes!("../../speech/agent-anything-else.wav"),
    ),
    (
        "agent-goodbye",
        include_bytes!("../../speech/agent-goodbye.wav"),
    ),
    (
        "customer-greeting",
        include_bytes!("../../speech/customer-greeting.wav"),
    ),
    (
        "customer-account",
        include_bytes!("../../speech/customer-account.wav"),
    ),
    (
        "customer-pay",
        include_bytes!("../../speech/customer-pay.wav"),
    ),
    (
        "customer-card",
        include_bytes!("../../speech/customer-card.wav"),
    ),
    (
        "customer-code",
        include_bytes!("../../speech/customer-code.wav"),
    ),
    (
        "customer-relieved",
        include_bytes!("../../speech/customer-relieved.wav"),
    ),
    (
        "customer-receipt",
        include_bytes!("../../speech/customer-receipt.wav"),
    ),
    (
        "customer-goodbye",
        include_bytes!("../../speech/customer-goodbye.wav"),
    ),
];
