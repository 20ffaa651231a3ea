//! What a receiver prints: where it is, each event it takes, and in the end how much there was.

use std::fmt;
use std::io::Write;

use super::event::Event;
use super::ledger::{Counts, Taken};
use super::{Format, Receiver};

/// An event as a line of text.
struct Line<'a>(&'a Event);

/// Prints what the receiver takes until `stop` is ready; then stops it.
///
/// # Errors
/// Nothing can be printed.
pub(super) async fn print(
    receiver: Receiver,
    json: bool,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "Receiver at {}", receiver.url())?;
    let mut stop = std::pin::pin!(stop);
    let mut printed = 0;
    loop {
        let mut fresh = Vec::new();
        let news = receiver.wait_for(|taken| {
            fresh = taken[printed..].to_vec();
            !fresh.is_empty()
        });
        tokio::select! {
            () = news => {}
            () = &mut stop => break,
        }
        printed += fresh.len();
        for taken in fresh {
            writeln!(std::io::stdout(), "{}", line(&taken, json))?;
        }
    }
    let (counts, complaints) = (receiver.counts(), receiver.complaints());
    receiver.stop().await;
    if json {
        writeln!(std::io::stdout(), "{}", totals(&counts, &complaints))?;
        return Ok(());
    }
    writeln!(std::io::stdout(), "{counts}")?;
    for complaint in complaints {
        writeln!(std::io::stdout(), "  ! {complaint}")?;
    }
    Ok(())
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.0;
        write!(f, "{}", event.conversation)?;
        if let Some(seq) = event.seq {
            write!(f, " #{seq}")?;
        }
        if let Some(role) = &event.role {
            write!(f, " {role}")?;
        }
        match (&event.text, event.span_ms) {
            (Some(text), Some((start_ms, _))) => write!(f, " at {start_ms} ms: {text}"),
            (Some(text), None) => write!(f, ": {text}"),
            (None, _) => write!(f, ": {}", event.kind),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} deliveries, {} events taken, {} of them again; {} forged, {} unreadable, \
             {} out of order, {} faults",
            self.deliveries,
            self.taken,
            self.twice,
            self.forged,
            self.unreadable,
            self.out_of_order,
            self.faults
        )
    }
}

impl Format {
    /// As the configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asapp => "asapp",
            Self::CloudEvents => "cloudevents",
            Self::CloudEventsBatch => "cloudevents-batch",
            Self::Envelope => "envelope",
        }
    }
}

fn line(taken: &Taken, json: bool) -> String {
    let event = &taken.event;
    if !json {
        return Line(event).to_string();
    }
    let line = serde_json::json!({
        "id": event.id,
        "kind": event.kind,
        "conversation": event.conversation,
        "seq": event.seq,
        "role": event.role,
        "text": event.text,
        "startMs": event.span_ms.map(|(start_ms, _)| start_ms),
        "endMs": event.span_ms.map(|(_, end_ms)| end_ms),
        "format": event.format.as_str(),
        "signedBy": taken.signed.by,
    });
    line.to_string()
}

fn totals(counts: &Counts, complaints: &[String]) -> String {
    let totals = serde_json::json!({
        "deliveries": counts.deliveries,
        "taken": counts.taken,
        "twice": counts.twice,
        "forged": counts.forged,
        "unreadable": counts.unreadable,
        "outOfOrder": counts.out_of_order,
        "faults": counts.faults,
        "followed": counts.followed,
        "complaints": complaints,
    });
    totals.to_string()
}
