use clap::Parser;

use super::*;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

#[test]
fn the_command_line_says_what_the_call_is_like() {
    let line = "siprec --to tls:192.0.2.1:5061 --speech --like oracle --loss 5% \
                --srtp AES_CM_128_HMAC_SHA1_80 --codec pcma,pcmu --packet 40";
    let words = line.split_whitespace();
    let arguments = Program::try_parse_from(words).unwrap().arguments;
    let options = options(&arguments).unwrap();
    assert_eq!(options.target.to_string(), "tls:192.0.2.1:5061");
    assert_eq!(options.like, Like::Oracle);
    assert_eq!(options.srtp, Some(Suite::AesCm128HmacSha1_80));
    assert_eq!(options.codecs, [Codec::Pcma, Codec::Pcmu]);
    assert_eq!(
        (options.network.loss, options.packet_samples()),
        (0.05, 320)
    );
}

#[test]
fn a_call_needs_something_to_say() {
    assert!(Program::try_parse_from(["siprec", "--to", "udp:192.0.2.1:5060"]).is_err());
    assert!(speech().unwrap().samples() > 100_000);
}
