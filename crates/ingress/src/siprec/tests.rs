//! Whole sessions over loopback sockets: a peer that speaks SIP as text and RTP as bytes, and an
//! intake that hears of legs.

mod peer;
mod sessions;
mod tls;
mod world;
