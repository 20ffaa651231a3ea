//! The service as a program: its switches, and what it prints.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::faults::{Cut, CutAfter, EndFault, Faults, RestFault, TokenFault};
use super::record::{Recorded, Transcript};
use super::{AutoTranscribe, Config, Keep, Rules, TlsFiles, TokenRefusal, Tokens};
use crate::hearing::Lexicon;
use crate::speech::{Role, Script};

/// Switches of `antiphon-sim service autotranscribe`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// PEM file of the certificate chain; makes it https and wss.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The asapp-api-id that clients must send.
    #[arg(long, default_value = "sim-api-id")]
    api_id: String,
    /// The asapp-api-secret that clients must send.
    #[arg(long, default_value = "sim-api-secret")]
    api_secret: String,
    /// A directory with phrases.json and recordings to hear instead of the built-in ones.
    #[arg(long)]
    phrases: Option<PathBuf>,
    /// Only count and digest the sound; hear nothing.
    #[arg(long, conflicts_with = "phrases")]
    deaf: bool,
    /// Print each stream's end as a line of JSON.
    #[arg(long)]
    json: bool,
    /// The socket's receive buffer in bytes; small ones make a stall felt soon.
    #[arg(long)]
    receive_buffer: Option<u32>,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    faults: FaultArgs,
}

/// The service's limits.
#[derive(Clone, Debug, clap::Args)]
struct RuleArgs {
    /// How long a streaming URL is good.
    #[arg(long, default_value = "5m", value_parser = duration)]
    token_ttl: Duration,
    /// Let a streaming URL open any number of WebSockets.
    #[arg(long)]
    token_reusable: bool,
    /// Answer the upgrade with 401 when the token is bad, instead of closing with 1008.
    #[arg(long)]
    token_401: bool,
    /// 4083 after so long without a message.
    #[arg(long, default_value = "60s", value_parser = duration)]
    idle_timeout: Duration,
    /// 4090 after so long.
    #[arg(long, default_value = "3h", value_parser = duration)]
    duration_max: Duration,
    /// Refuse unredacted text with 4094.
    #[arg(long)]
    always_redact: bool,
    /// Refuse a bad vocabulary in the vocabularyResponse and go on.
    #[arg(long)]
    vocabulary_lenient: bool,
}

/// What goes wrong.
#[derive(Clone, Debug, clap::Args)]
struct FaultArgs {
    /// Only streams of this role.
    #[arg(long, value_parser = role)]
    fault_role: Option<Role>,
    /// Only so many times.
    #[arg(long)]
    fault_times: Option<u32>,
    /// Answer the REST call with this HTTP status.
    #[arg(long)]
    rest_status: Option<u16>,
    /// With a Retry-After of so long.
    #[arg(long, value_parser = duration, requires = "rest_status")]
    retry_after: Option<Duration>,
    /// Take so long for the REST call.
    #[arg(long, default_value = "0s", value_parser = duration)]
    rest_delay: Duration,
    /// Give URLs with a token that opens nothing.
    #[arg(long, conflicts_with = "url_expired")]
    bad_token: bool,
    /// Give URLs that have expired.
    #[arg(long)]
    url_expired: bool,
    /// Close a WebSocket as soon as it opens, with this code.
    #[arg(long)]
    accept_then_close: Option<u16>,
    /// Answer startStream with a finalResponse of this status code.
    #[arg(long)]
    refuse: Option<u16>,
    /// Answer nothing for so long after startStream.
    #[arg(long, default_value = "0s", value_parser = duration)]
    start_delay: Duration,
    /// Break the stream: WHAT or WHAT@AFTER, as in reset@2s, drop, black-hole, close:1000,
    /// final:5000, stall:10s@1s.
    #[arg(long)]
    cut: Option<CutAfter>,
    /// Close without a finalResponse.
    #[arg(long, conflicts_with = "no_end")]
    no_final: bool,
    /// Neither a finalResponse nor a close.
    #[arg(long)]
    no_end: bool,
    /// Answer nothing for so long after finishStream.
    #[arg(long, default_value = "0s", value_parser = duration)]
    final_delay: Duration,
    /// Send the finalResponse twice.
    #[arg(long)]
    final_twice: bool,
    /// Sum up so many bytes more, or less, than came.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    bytes_off: i64,
    /// Send a message of an unknown type after the startResponse.
    #[arg(long)]
    unknown_message: bool,
    /// Send a transcript of a megabyte after the startResponse.
    #[arg(long)]
    huge_message: bool,
}

/// Runs the service and prints each stream's end, until `stop` is ready.
///
/// # Errors
/// The service cannot start, or nothing can be printed.
pub async fn run(args: ServiceArgs, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let json = args.json;
    let mut config = args.config()?;
    // Nobody looks at them here.
    config.keep = Keep {
        samples_max: 0,
        arrivals_max: 0,
        ..config.keep
    };
    let running = AutoTranscribe::start(config).await?;
    writeln!(std::io::stdout(), "AutoTranscribe at {}", running.url())?;
    let mut stop = std::pin::pin!(stop);
    let mut printed = std::collections::BTreeSet::new();
    loop {
        let mut ended = Vec::new();
        let news = running.wait_for(|streams| {
            let fresh = |(place, stream): &(usize, &Recorded)| {
                stream.is_closed() && !printed.contains(place)
            };
            let fresh = streams.iter().enumerate().filter(fresh);
            ended = fresh
                .map(|(place, stream)| (place, line(stream, json)))
                .collect();
            !ended.is_empty()
        });
        tokio::select! {
            () = news => {}
            () = &mut stop => break,
        }
        for (place, line) in ended {
            writeln!(std::io::stdout(), "{line}")?;
            printed.insert(place);
        }
    }
    running.stop().await;
    Ok(())
}

/// A stream as a line of text: who, how much, its digest, what was heard, what was wrong.
struct Line<'a>(&'a Recorded);

impl ServiceArgs {
    /// The configuration these switches stand for.
    ///
    /// # Errors
    /// The phrases cannot be read or heard.
    pub fn config(self) -> anyhow::Result<Config> {
        let lexicon = match (&self.phrases, self.deaf) {
            (_, true) => None,
            (Some(directory), _) => Some(Lexicon::new(Script::load(directory)?.phrases())?),
            (None, _) => Some(Lexicon::new(Script::standard().phrases())?),
        };
        let refusal = if self.rules.token_401 {
            TokenRefusal::Http401
        } else {
            TokenRefusal::Close1008
        };
        Ok(Config {
            listen: self.listen,
            tls: self
                .tls_cert
                .zip(self.tls_key)
                .map(|(cert, key)| TlsFiles { cert, key }),
            api_id: self.api_id,
            api_secret: self.api_secret,
            tokens: Tokens {
                ttl: self.rules.token_ttl,
                single_use: !self.rules.token_reusable,
                refusal,
            },
            rules: Rules {
                idle_timeout: self.rules.idle_timeout,
                duration_max: self.rules.duration_max,
                always_redact: self.rules.always_redact,
                vocabulary_refusal_ends: !self.rules.vocabulary_lenient,
                ..Rules::default()
            },
            lexicon: lexicon.map(Arc::new),
            keep: Keep::default(),
            receive_buffer_bytes: self.receive_buffer,
            faults: self.faults.faults(),
            observer: None,
        })
    }
}

impl FaultArgs {
    fn faults(self) -> Faults {
        let retry_after = self.retry_after;
        Faults {
            role: self.fault_role,
            times: self.fault_times,
            rest: self.rest_status.map(|status| RestFault {
                status,
                retry_after,
            }),
            rest_delay: self.rest_delay,
            token: match (self.bad_token, self.url_expired) {
                (true, _) => TokenFault::Bad,
                (_, true) => TokenFault::Expired,
                _ => TokenFault::None,
            },
            accept_then_close: self.accept_then_close,
            refuse: self.refuse,
            start_delay: self.start_delay,
            cut: self.cut,
            end: match (self.no_final, self.no_end) {
                (true, _) => EndFault::CloseOnly,
                (_, true) => EndFault::Silence,
                _ => EndFault::None,
            },
            final_delay: self.final_delay,
            final_twice: self.final_twice,
            bytes_off: self.bytes_off,
            unknown_message: self.unknown_message,
            huge_message: self.huge_message,
        }
    }
}

impl FromStr for CutAfter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (what, after) = text.split_once('@').unwrap_or((text, "0s"));
        let audio = duration(after)?;
        let (name, value) = what.split_once(':').unwrap_or((what, ""));
        let code = || {
            value
                .parse()
                .with_context(|| format!("{what} needs a code, as in {name}:1000"))
        };
        let cut = match name {
            "black-hole" => Cut::BlackHole,
            "close" => Cut::Close(code()?),
            "drop" => Cut::Drop,
            "final" => Cut::Final(code()?),
            "reset" => Cut::Reset,
            "stall" => Cut::Stall(duration(value)?),
            _ => bail!("{name} is none of black-hole, close, drop, final, reset, stall"),
        };
        Ok(Self { audio, cut })
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = self.0;
        let role = stream.role().map_or("nobody", Role::as_str);
        let code = stream
            .final_code
            .map_or_else(|| "none".to_owned(), |code| code.to_string());
        let sha256 = stream.sha256.as_deref().unwrap_or("-");
        write!(
            f,
            "{} {role}: {} bytes, status {code}, sha256 {sha256}",
            stream.stream_id, stream.audio_bytes
        )?;
        for transcript in &stream.transcripts {
            write!(f, "\n  {:>7} ms  {}", transcript.start_ms, transcript.text)?;
        }
        for complaint in &stream.complaints {
            write!(f, "\n  ! {complaint}")?;
        }
        Ok(())
    }
}

fn line(stream: &Recorded, json: bool) -> String {
    if json {
        object(stream).to_string()
    } else {
        Line(stream).to_string()
    }
}

/// A stream as JSON, for programs.
fn object(stream: &Recorded) -> serde_json::Value {
    let transcript = |heard: &Transcript| {
        serde_json::json!({
            "startMs": heard.start_ms,
            "endMs": heard.end_ms,
            "text": heard.text,
            "phrase": heard.phrase.as_deref(),
        })
    };
    serde_json::json!({
        "streamId": stream.stream_id,
        "externalId": stream.external_id,
        "role": stream.role().map(Role::as_str),
        "sender": stream.start.as_ref().map(|start| &start.sender),
        "audioBytes": stream.audio_bytes,
        "lateBytes": stream.late_bytes,
        "messages": stream.messages,
        "sha256": stream.sha256,
        "finalCode": stream.final_code,
        "transcripts": stream.transcripts.iter().map(transcript).collect::<Vec<_>>(),
        "complaints": stream.complaints,
    })
}

fn role(text: &str) -> anyhow::Result<Role> {
    Role::parse(text).with_context(|| format!("{text} is neither agent nor customer"))
}

// A number and ms, s, m or h.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits]
        .parse()
        .with_context(|| format!("{text} is not like 100ms or 5s"))?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => bail!("{text} does not end in ms, s, m or h"),
    };
    Ok(Duration::from_millis(number.saturating_mul(unit_ms)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: ServiceArgs,
    }

    fn config(switches: &str) -> anyhow::Result<Config> {
        let words = std::iter::once("sim").chain(switches.split_whitespace());
        Program::try_parse_from(words)?.args.config()
    }

    #[test]
    fn without_switches_nothing_goes_wrong_and_limits_are_those_of_the_guide() {
        let config = config("").unwrap();
        assert_eq!(config.faults, Faults::default());
        assert_eq!(config.rules.idle_timeout, Duration::from_secs(60));
        assert_eq!(config.rules.duration_max, Duration::from_secs(3 * 3600));
        assert_eq!(config.tokens.ttl, Duration::from_secs(300));
        assert!(config.lexicon.is_some());
    }

    #[test]
    fn a_stream_can_be_printed_for_programs() {
        let now = std::time::Instant::now();
        let mut stream = Recorded::open("s-1".to_owned(), Some("CA1".to_owned()), now);
        stream.audio_bytes = 320;
        stream.transcripts.push(Transcript {
            start_ms: 20,
            end_ms: 40,
            text: "Hello.".to_owned(),
            phrase: None,
            at: now,
        });
        let printed = line(&stream, true);
        assert!(!printed.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(read["externalId"], "CA1");
        assert_eq!(read["audioBytes"], 320);
        assert_eq!(read["role"], serde_json::Value::Null);
        assert_eq!(read["transcripts"][0]["text"], "Hello.");
    }

    #[test]
    fn switches_make_faults() {
        let config = config(
            "--deaf --fault-role agent --fault-times 2 --rest-status 429 --retry-after 3s \
             --cut stall:10s@1500ms --no-final --bytes-off -320 --idle-timeout 800ms",
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
        assert_eq!(config.faults, faults);
        assert_eq!(config.rules.idle_timeout, Duration::from_millis(800));
        assert!(config.lexicon.is_none());
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        assert!(
            config("--cut explode")
                .err()
                .unwrap()
                .to_string()
                .contains("explode is none of")
        );
        assert!(
            config("--cut close:soon")
                .err()
                .unwrap()
                .to_string()
                .contains("needs a code")
        );
        assert!(
            config("--start-delay 5")
                .err()
                .unwrap()
                .to_string()
                .contains("does not end in")
        );
        assert!(
            config("--fault-role boss")
                .err()
                .unwrap()
                .to_string()
                .contains("neither agent nor customer")
        );
    }
}
