//! Comma-separated values, RFC 4180.

use crate::api::shapes::UtteranceRow;

/// The first line.
pub(crate) const HEAD: &str = "conversationId,namespace,externalConversationId,streamId,messageId,\
    role,externalId,startMs,endMs,createdTimestamp,clientTimestamp,text\r\n";

/// An utterance's line. Further readings and single words have no column.
pub(crate) fn line(row: &UtteranceRow) -> String {
    let (start, end) = (row.start_ms.to_string(), row.end_ms.to_string());
    let fields = [
        &*row.conversation_id,
        row.namespace,
        &row.external_conversation_id,
        &row.stream_id,
        &row.message_id,
        row.role,
        row.external_id.as_deref().unwrap_or_default(),
        &start,
        &end,
        &row.created_timestamp,
        &row.client_timestamp,
        &row.text,
    ];
    let fields: Vec<String> = fields.into_iter().map(quoted).collect();
    fields.join(",") + "\r\n"
}

fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What RFC 4180 says a field means.
    fn read(field: &str) -> String {
        match field
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            Some(inner) => inner.replace("\"\"", "\""),
            None => field.to_owned(),
        }
    }

    proptest! {
        #[test]
        fn a_field_is_read_as_it_was_written(text in "[a,\"\r\n é]{0,12}") {
            let field = quoted(&text);
            prop_assert_eq!(read(&field), text);
            let is_quoted = field.starts_with('"');
            prop_assert!(is_quoted || !field.contains([',', '\n', '\r', '"']));
        }
    }
}
