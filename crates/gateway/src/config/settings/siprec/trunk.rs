//! `[[siprec.trunks]]`: who may record here, and by which rules.

use std::net::IpAddr;

use call::private::Private;
use call::start::Wish;
use ingress::siprec::config::{
    BeforeStart, Codec, Credentials, Listen, MediaPolicy, RolePolicy, SrtpPolicy, Trunk,
};
use ipnet::IpNet;

use super::{Count, Field, Flag, List, Section, Settings, Siprec, Text};
use super::{address, listener, optional, preset, required, word};
use crate::config::kind::Secret;
use crate::config::kind::parsed::{Parsed, parsed};
use crate::config::parameters::{ParameterTable, Parameters};
use crate::config::section::naming;
use crate::config::words::{Service, Words};

settings! {
    /// A session border controller, or several that are treated alike. A request belongs to the
    /// first trunk all of whose `sources`, `listeners`, `tls_names` and `users` it meets; one that
    /// belongs to none is refused.
    pub struct SiprecTrunk {
        /// Its name in logs, metrics and the API.
        name: String = required(Text(1..=64), "sbc-east");
        /// The networks it sends from. Empty: any.
        sources: Vec<IpNet> = preset(List(network(), 1_000), Vec::new());
        /// At which listeners, as `siprec.listen` has them. Empty: any.
        listeners: Vec<Listen> = preset(List(listener(), 16), Vec::new());
        /// A name that its TLS certificate has. Empty: any certificate, or none.
        tls_names: Vec<String> = preset(List(Text(1..=253), 100), Vec::new());
        /// Whom it calls: the user of the request's URI or of `To`. Empty: anybody.
        users: Vec<String> = preset(List(Text(1..=128), 1_000), Vec::new());
        /// Whether an INVITE is taken that does not say that it is SIPREC, as those of some
        /// recorders' clients do not.
        accept_anyway: bool = preset(Flag, false);
        /// Which identifiers name a call, the best first; those that are not named come behind. A
        /// name that is none of ours is that of a SIP header.
        identifiers: Vec<String> = preset(List(Text(1..=64), 64), Vec::new());
        /// Whose the first media line is when a start does not say; `metadata` goes by what the
        /// session says of its participants.
        media_line_order: MediaLineOrder = preset(word(), MediaLineOrder::Metadata);
        /// Who calls whom, for metadata that tells the caller from the called: the customer, of an
        /// inbound contact centre, or the agent.
        caller: Caller = preset(word(), Caller::Customer);
        /// As `siprec.answer`, for this trunk.
        answer: Option<BeforeStart> = optional(word(), "inactive");
        /// As `siprec.pause_on_stop`, for this trunk.
        pause_on_stop: Option<bool> = optional(Flag, "true");
        /// What it may send, the best first.
        codecs: Vec<Codec> =
            preset(List(word(), 3), vec![Codec::Pcmu, Codec::Pcma, Codec::L16]);
        /// Whether media lines may, must or must not be encrypted.
        srtp: SrtpPolicy = preset(word(), SrtpPolicy::Allow);
        /// Media lines of one session; more are refused.
        lines_max: usize = preset(Count(1..=2), 2);
        /// What becomes of a session with both parties on one line: it is taken as one leg with the
        /// role `mixed`, or refused.
        mixed: Mixed = preset(word(), Mixed::Mixed);
        /// Its sessions at a time, within `siprec.sessions_max`.
        sessions_max: Option<usize> = optional(Count(1..=100_000), "500");
        /// Our address in its SDP, if it reaches us by another.
        public_address: Option<IpAddr> = optional(address(), "203.0.113.7");
        /// Our host and port in its `Contact`, if it reaches us by another.
        contact: Option<String> = optional(Text(1..=255), "sip.example.com:5060");
        /// The user by which we answer when it asks our requests who we are.
        username: Option<String> = optional(Text(1..=128), "antiphon");
        /// The password that goes with it.
        password: Option<Private<String>> = optional(Secret, "env:SIPREC_TRUNK_PASSWORD");
        /// What may be kept of participants: their address of record, their name. Nothing else of
        /// the metadata is kept that is not needed.
        keep: Vec<Kept> = preset(List(word(), 2), Vec::new());
        /// The speech service its sessions go to, if another than `upstream.service`, and if a
        /// start does not say.
        service: Option<Service> = naming(optional(word(), "assemblyai"));
        /// Parameters of that service's own, by its own names. They go before those of its section.
        parameters: Parameters = preset(ParameterTable, Parameters::default());
    }
    check usable
}

/// Whose the first media line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaLineOrder {
    /// The agent's.
    AgentFirst,
    /// The customer's.
    CustomerFirst,
    /// Whose the metadata says.
    Metadata,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The agent.
    Agent,
    /// The customer.
    Customer,
}

/// What becomes of a session with both parties on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixed {
    /// It is taken.
    Mixed,
    /// It is refused.
    Refuse,
}

/// What may be kept of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Address of record.
    Aor,
    /// Display name.
    Name,
}

impl SiprecTrunk {
    /// What the ingress is told; what the trunk does not say is as in `[siprec]`.
    pub(super) fn ingress(&self, siprec: &Siprec) -> Trunk {
        let customer_first = match self.media_line_order {
            MediaLineOrder::AgentFirst => Some(false),
            MediaLineOrder::CustomerFirst => Some(true),
            MediaLineOrder::Metadata => None,
        };
        let credentials = self.username.as_ref().zip(self.password.as_ref());
        Trunk {
            name: self.name.clone(),
            sources: self.sources.clone(),
            listeners: self.listeners.iter().map(Listen::to_string).collect(),
            tls_names: self.tls_names.clone(),
            users: self.users.clone(),
            accept_anyway: self.accept_anyway,
            identifiers: self.identifiers.clone(),
            roles: RolePolicy {
                customer_first,
                caller_is_customer: self.caller == Caller::Customer,
            },
            media: MediaPolicy {
                codecs: self.codecs.clone(),
                srtp: self.srtp,
                lines_max: self.lines_max,
            },
            answer: self.answer.unwrap_or(siprec.answer),
            pause_on_stop: self.pause_on_stop.unwrap_or(siprec.pause_on_stop),
            accept_mixed: self.mixed == Mixed::Mixed,
            sessions_max: self.sessions_max.unwrap_or(siprec.sessions_max),
            media_address: self.public_address,
            contact: self.contact.clone(),
            credentials: credentials.map(|(user, password)| Credentials {
                user: user.clone(),
                password: password.reveal().clone(),
            }),
            keep: self
                .keep
                .iter()
                .map(|kept| kept.word().to_owned())
                .collect(),
        }
    }

    /// Its name, and to which service its sessions go, if it says so.
    pub(super) fn wish(&self) -> Option<(String, Wish)> {
        let service = self.service?;
        let wish = Wish {
            service: Some(service.word().into()),
            parameters: self.parameters.wished(),
        };
        Some((self.name.clone(), wish))
    }

    /// Whether nothing says who may use it.
    pub(super) fn is_open(&self) -> bool {
        self.sources.is_empty() && self.tls_names.is_empty()
    }

    fn usable(&self, s: &mut Section<'_>) {
        match (&self.username, &self.password) {
            (Some(_), None) => s.refuse("username", "needs a password beside it"),
            (None, Some(_)) => s.refuse("password", "needs a username beside it"),
            _ => {}
        }
        match self.service {
            Some(service) => self.parameters.check(service, "parameters", s),
            None if self.parameters.is_empty() => {}
            None => s.refuse("parameters", "needs a service beside it"),
        }
        if self.codecs.is_empty() {
            s.refuse("codecs", "is empty: expected at least one");
        }
        let is_host = |text: &String| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-_[]".contains(c);
            text.chars().all(is_plain)
        };
        if self
            .contact
            .as_ref()
            .is_some_and(|contact| !is_host(contact))
        {
            s.refuse("contact", "is not a host, perhaps with a port");
        }
    }
}

fn network() -> Parsed<IpNet> {
    parsed("a network, such as \"192.0.2.0/24\", \"192.0.2.7/32\" or \"2001:db8::/64\"")
}
