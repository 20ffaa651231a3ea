use super::*;
use crate::answer::{MediaPolicy, SrtpPolicy};
use crate::roles::RolePolicy;
use crate::trunk::BeforeStart;

fn trunk(change: impl Fn(&mut Trunk)) -> Arc<Trunk> {
    let mut trunk = Trunk {
        name: String::new(),
        sources: Vec::new(),
        listeners: Vec::new(),
        tls_names: Vec::new(),
        users: Vec::new(),
        accept_anyway: false,
        identifiers: Vec::new(),
        roles: RolePolicy {
            customer_first: None,
            caller_is_customer: true,
        },
        media: MediaPolicy {
            codecs: Vec::new(),
            srtp: SrtpPolicy::Allow,
            lines_max: 2,
        },
        answer: BeforeStart::RecvOnly,
        pause_on_stop: false,
        accept_mixed: true,
        sessions_max: 1,
        media_address: None,
        contact: None,
        credentials: None,
        keep: Vec::new(),
    };
    change(&mut trunk);
    Arc::new(trunk)
}

fn flow(peer: &str) -> Flow {
    Flow {
        listener: 0,
        transport: Transport::Udp,
        local: "192.0.2.10:5060".parse().unwrap(),
        peer: peer.parse().unwrap(),
        connection: 0,
    }
}

fn request(uri: &str, to: &str) -> Request {
    let mut request = Request::new(Method::Invite, uri);
    request.headers.push("To", to);
    request
}

#[test]
fn the_first_trunk_whose_every_rule_fits_is_taken() {
    let trunks = [
        trunk(|trunk| {
            trunk.sources = vec!["198.51.100.0/24".parse().unwrap()];
            trunk.users = vec!["gold".to_owned()];
        }),
        trunk(|trunk| trunk.sources = vec!["198.51.100.0/24".parse().unwrap()]),
        trunk(|trunk| trunk.tls_names = vec!["sbc.example.org".to_owned()]),
    ];
    let names = ["SBC.example.org".to_owned()];
    let chosen = |peer: &str, uri: &str, names: &[String]| {
        select(
            &trunks,
            &flow(peer),
            None,
            names,
            &request(uri, "<sip:any@192.0.2.10>"),
        )
    };
    assert_eq!(
        chosen("198.51.100.1:5060", "sip:gold@192.0.2.10", &[]),
        Some(0)
    );
    assert_eq!(
        chosen("198.51.100.1:5060", "sip:other@192.0.2.10", &[]),
        Some(1)
    );
    assert_eq!(
        chosen("203.0.113.1:5060", "sip:gold@192.0.2.10", &names),
        Some(2)
    );
    assert_eq!(chosen("203.0.113.1:5060", "sip:gold@192.0.2.10", &[]), None);
}

#[test]
fn an_ipv4_source_seen_through_an_ipv6_socket_is_itself() {
    let trunks = [trunk(|trunk| {
        trunk.sources = vec!["198.51.100.0/24".parse().unwrap()]
    })];
    let flow = flow("[::ffff:198.51.100.7]:5060");
    let request = request("sip:a@192.0.2.10", "<sip:b@192.0.2.10>");
    assert_eq!(select(&trunks, &flow, None, &[], &request), Some(0));
}

#[test]
fn a_listener_is_known_by_transport_and_port_and_by_its_address_if_it_has_one() {
    let flow = flow("198.51.100.7:5060");
    let reached = Some("203.0.113.40:6060".parse().unwrap());
    assert!(is_listener("udp:0.0.0.0:5060", &flow, None));
    assert!(is_listener("udp:192.0.2.10:5060", &flow, None));
    assert!(is_listener("udp:203.0.113.40:6060", &flow, reached));
    assert!(!is_listener("udp:192.0.2.11:5060", &flow, None));
    assert!(!is_listener("tcp:0.0.0.0:5060", &flow, None));
    assert!(!is_listener("udp:0.0.0.0:5061", &flow, None));
    assert!(!is_listener("udp", &flow, None));
}

#[test]
fn media_goes_to_the_trunks_address_then_to_where_the_message_came() {
    let flow = flow("198.51.100.7:5060");
    let plain = trunk(|_| {});
    let named = trunk(|trunk| trunk.media_address = Some("203.0.113.41".parse().unwrap()));
    assert_eq!(media_address(&plain, &flow, None).to_string(), "192.0.2.10");
    assert_eq!(
        media_address(&named, &flow, None).to_string(),
        "203.0.113.41"
    );
    let mut anywhere = flow;
    anywhere.local = "0.0.0.0:5060".parse().unwrap();
    let reached = Some("203.0.113.40:5060".parse().unwrap());
    assert_eq!(
        media_address(&plain, &anywhere, reached).to_string(),
        "203.0.113.40"
    );
}
