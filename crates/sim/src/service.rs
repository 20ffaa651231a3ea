//! Speech services that are not real. They speak a vendor's protocol with code of their own, hold
//! their clients to it, and misbehave when asked to.

pub mod autotranscribe;
