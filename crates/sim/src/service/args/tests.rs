//! Switches in, settings out.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    args: SettingsArgs,
}

fn settings(switches: &str) -> anyhow::Result<Settings> {
    let words = std::iter::once("sim").chain(switches.split_whitespace());
    Program::try_parse_from(words)?.args.settings()
}

#[test]
fn without_switches_nothing_goes_wrong_and_everything_is_heard() {
    let settings = settings("").unwrap();
    assert_eq!(settings.faults, Faults::default());
    assert_eq!(settings.chaos, None);
    assert!(settings.lexicon.is_some());
}

#[test]
fn switches_make_faults() {
    let settings = settings(
        "--deaf --fault-role agent --fault-times 2 --rest-status 429 --retry-after 3s \
         --cut stall:10s@1500ms --no-final --bytes-off -320",
    )
    .unwrap();
    let retry_after = Some(Duration::from_secs(3));
    let cut = Cut::Stall(Duration::from_secs(10));
    let faults = Faults {
        role: Some(Role::Agent),
        times: Some(2),
        rest: Some(RestFault {
            status: 429,
            retry_after,
        }),
        cut: Some(CutAfter {
            audio: Duration::from_millis(1500),
            cut,
        }),
        end: EndFault::CloseOnly,
        bytes_off: -320,
        ..Faults::default()
    };
    assert_eq!(settings.faults, faults);
    assert!(settings.lexicon.is_none());
}

#[test]
fn each_fault_of_a_stream_has_a_switch_and_a_name() {
    let names = "start-delay final-delay bytes-off final-twice no-end transcript-late \
                 transcript-twice unflagged";
    let settings = settings(
        "--deaf --start-delay 1s --final-delay 1s --bytes-off 1 --final-twice --huge-message \
         --no-end --transcript-late --transcript-twice --unflagged --unknown-message --warning",
    )
    .unwrap();
    let faults = settings.faults;
    assert_eq!(faults.names().join(" "), names);
    assert!(faults.huge_message && faults.unknown_message && faults.warning);
}

#[test]
fn a_break_is_written_as_it_is_read() {
    for text in [
        "black-hole",
        "close:1011",
        "drop",
        "final:5000",
        "reset",
        "stall:1500ms",
        "tear",
    ] {
        let read: CutAfter = text.parse().unwrap();
        assert_eq!(read.cut.to_string(), text);
    }
    assert_eq!(
        "error:3005@2s".parse::<CutAfter>().unwrap(),
        "final:3005@2000ms".parse().unwrap()
    );
}

#[test]
fn a_seed_makes_chaos() {
    let settings = settings("--deaf --chaos 7 --chaos-mean 5s --chaos-refused 0").unwrap();
    let chaos = Chaos {
        mean: Duration::from_secs(5),
        refused_percent: 0,
        ..Chaos::new(7)
    };
    assert_eq!(settings.chaos, Some(chaos));
}

#[test]
fn nonsense_is_refused_in_words() {
    assert!(
        settings("--cut explode")
            .err()
            .unwrap()
            .to_string()
            .contains("explode is none of")
    );
    assert!(
        settings("--cut close:soon")
            .err()
            .unwrap()
            .to_string()
            .contains("needs a code")
    );
    assert!(
        settings("--start-delay 5")
            .err()
            .unwrap()
            .to_string()
            .contains("does not end in")
    );
    assert!(
        settings("--fault-role boss")
            .err()
            .unwrap()
            .to_string()
            .contains("neither agent nor customer")
    );
}
