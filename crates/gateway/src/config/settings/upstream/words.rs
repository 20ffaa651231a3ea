//! The words of the services' own enumerations, as the services spell them.

use upstream::{assemblyai, deepgram};

use crate::config::words::Words;

impl Words for assemblyai::Auth {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Header, "header"), (Self::Token, "token")];
}

impl Words for assemblyai::Encoding {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Mulaw, "pcm_mulaw"), (Self::Linear, "pcm_s16le")];
}

impl Words for deepgram::Auth {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Bearer, "bearer"), (Self::Token, "token")];
}

impl Words for deepgram::Encoding {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Linear, "linear16"), (Self::Mulaw, "mulaw")];
}
