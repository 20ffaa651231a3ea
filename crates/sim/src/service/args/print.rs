//! What a service prints: where it is, and each stream's end.

use std::fmt;
use std::io::Write;

use crate::service::record::{Recorded, Transcript};
use crate::service::running::Running;
use crate::speech::Role;

/// A stream as a line of text: who, how much, its digest, what was heard, what was wrong.
struct Line<'a>(&'a Recorded);

/// Prints where the service is and each stream's end, until `stop` is ready; then stops it.
///
/// # Errors
/// Nothing can be printed.
pub(in crate::service) async fn print(
    running: Running,
    json: bool,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (name, url) = (running.name(), running.url());
    writeln!(std::io::stdout(), "{name} at {url}")?;
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
        for fault in &stream.faults {
            write!(f, "\n  * {fault}")?;
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
        "query": stream.query,
        "unknownParameters": stream.unknown_parameters,
        "said": stream.said,
        "audioBytes": stream.audio_bytes,
        "audioSamples": stream.audio_samples,
        "lateBytes": stream.late_bytes,
        "messages": stream.messages,
        "sha256": stream.sha256,
        "finalCode": stream.final_code,
        "transcripts": stream.transcripts.iter().map(transcript).collect::<Vec<_>>(),
        "complaints": stream.complaints,
        "faults": stream.faults,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
