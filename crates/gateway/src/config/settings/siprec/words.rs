//! The words of SIPREC's own enumerations.

use ingress::siprec::config::{BeforeStart, ClientCert, Codec, SrtpPolicy};

use super::trunk::{Caller, Kept, MediaLineOrder, Mixed};
use crate::config::words::Words;

impl Words for BeforeStart {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Inactive, "inactive"), (Self::RecvOnly, "recvonly")];
}

impl Words for Caller {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Agent, "agent"), (Self::Customer, "customer")];
}

impl Words for ClientCert {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::None, "none"),
        (Self::Optional, "optional"),
        (Self::Required, "required"),
    ];
}

/// Those that are decoded.
impl Words for Codec {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::L16, "l16"),
        (Self::Pcma, "pcma"),
        (Self::Pcmu, "pcmu"),
    ];
}

impl Words for Kept {
    const ALL: &'static [(Self, &'static str)] = &[(Self::Aor, "aor"), (Self::Name, "name")];
}

impl Words for MediaLineOrder {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::AgentFirst, "agent_first"),
        (Self::CustomerFirst, "customer_first"),
        (Self::Metadata, "metadata"),
    ];
}

impl Words for Mixed {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Mixed, "mixed"), (Self::Refuse, "refuse")];
}

impl Words for SrtpPolicy {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Allow, "allow"),
        (Self::Forbid, "forbid"),
        (Self::Require, "require"),
    ];
}
