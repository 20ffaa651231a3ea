use super::*;

fn invite(contact: &str, record_route: &[&str]) -> Request {
    let mut request = Request::new(Method::Invite, "sip:srs@192.0.2.10");
    let headers = &mut request.headers;
    headers.push("From", "<sip:src@198.51.100.20>;tag=theirs");
    headers.push("To", "<sip:srs@192.0.2.10>");
    headers.push("Call-ID", "one");
    headers.push("CSeq", "7 INVITE");
    headers.push("Contact", contact);
    for route in record_route {
        headers.push("Record-Route", route);
    }
    request
}

fn flow(transport: Transport, peer: &str, connection: u64) -> Flow {
    Flow {
        listener: 0,
        transport,
        local: "192.0.2.10:5060".parse().unwrap(),
        peer: peer.parse().unwrap(),
        connection,
    }
}

fn hop(contact: &str, routes: &[&str], flow: &Flow) -> String {
    let dialog = Dialog::accept(&invite(contact, routes), "ours").unwrap();
    dialog.next_hop(flow).peer.to_string()
}

#[test]
fn requests_go_to_the_remote_target_or_to_the_first_route() {
    let udp = flow(Transport::Udp, "198.51.100.20:33000", 0);
    assert_eq!(
        hop("<sip:a@198.51.100.20:5070>", &[], &udp),
        "198.51.100.20:5070"
    );
    assert_eq!(
        hop("<sip:a@198.51.100.99>", &[], &udp),
        "198.51.100.99:5060"
    );
    let routes = ["<sip:203.0.113.5:5080;lr>", "<sip:203.0.113.6;lr>"];
    assert_eq!(
        hop("<sip:a@198.51.100.99>", &routes, &udp),
        "203.0.113.5:5080"
    );
}

#[test]
fn a_name_or_a_private_address_behind_a_translator_leads_back_where_messages_come_from() {
    let udp = flow(Transport::Udp, "198.51.100.20:33000", 0);
    assert_eq!(
        hop("<sip:a@sbc.example.org>", &[], &udp),
        "198.51.100.20:33000"
    );
    assert_eq!(
        hop("<sip:a@10.0.0.9:5060>", &[], &udp),
        "198.51.100.20:33000"
    );
    assert_eq!(
        hop("<sip:a@0.0.0.0:5060>", &[], &udp),
        "198.51.100.20:33000"
    );
    let inside = flow(Transport::Udp, "10.0.0.7:5060", 0);
    assert_eq!(hop("<sip:a@10.0.0.9:5060>", &[], &inside), "10.0.0.9:5060");
}

#[test]
fn a_connection_that_stands_is_used_and_a_new_one_goes_to_the_target() {
    let stands = flow(Transport::Tcp, "198.51.100.20:33000", 4);
    assert_eq!(
        hop("<sip:a@198.51.100.20:5070>", &[], &stands),
        "198.51.100.20:33000"
    );
    let gone = flow(Transport::Tls, "198.51.100.20:33000", 0);
    assert_eq!(
        hop("<sips:a@198.51.100.20>", &[], &gone),
        "198.51.100.20:5061"
    );
}

#[test]
fn a_dialog_needs_a_contact_that_can_be_read() {
    assert!(Dialog::accept(&invite("<sip:>", &[]), "ours").is_none());
    assert!(Dialog::accept(&invite("", &[]), "ours").is_none());
}

#[test]
fn sequence_numbers_of_the_peer_never_go_down() {
    let request = invite("<sip:a@198.51.100.20>", &[]);
    let mut dialog = Dialog::accept(&request, "ours").unwrap();
    let mut headers = request.headers.clone();
    headers.set("CSeq", "9 BYE");
    assert_eq!(dialog.take(&headers), Ok(()));
    headers.set("CSeq", "8 INFO");
    assert_eq!(dialog.take(&headers), Err(BadInDialog::OldCseq));
    headers.set("Call-ID", "two");
    assert_eq!(dialog.take(&headers), Err(BadInDialog::NotThisDialog));
}

#[test]
fn our_requests_count_up_and_an_ack_has_the_number_of_its_invite() {
    let mut dialog = Dialog::accept(&invite("<sip:a@198.51.100.20>", &[]), "ours").unwrap();
    let first = dialog.request(Method::Invite);
    assert_eq!(first.headers.get("CSeq"), Some("1 INVITE"));
    assert_eq!(
        first.headers.get("From"),
        Some("<sip:srs@192.0.2.10>;tag=ours")
    );
    assert_eq!(
        first.headers.get("To"),
        Some("<sip:src@198.51.100.20>;tag=theirs")
    );
    assert_eq!(
        dialog.request(Method::Bye).headers.get("CSeq"),
        Some("2 BYE")
    );
    assert_eq!(dialog.ack(1).headers.get("CSeq"), Some("1 ACK"));
}
