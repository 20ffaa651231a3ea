//! Utterances as a Parquet file. The only file that names the crate.

use std::fs::File;
use std::io;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::Sheet;
use crate::api::shapes::UtteranceRow;

/// Names as in the other formats. Further readings are not there, nor are single words.
const SCHEMA: &str = "message utterance {
    required binary conversationId (STRING);
    required binary namespace (STRING);
    required binary externalConversationId (STRING);
    required binary streamId (STRING);
    required binary messageId (STRING);
    required binary role (STRING);
    optional binary externalId (STRING);
    required int64 startMs;
    required int64 endMs;
    required int64 createdTimestamp (TIMESTAMP(MILLIS, true));
    required int64 clientTimestamp (TIMESTAMP(MILLIS, true));
    required binary text (STRING);
}";

/// A file of columns, a group of rows for each page.
pub(super) struct Columns {
    writer: SerializedFileWriter<File>,
}

/// One column of a group.
enum Column {
    Numbers(Vec<i64>),
    /// `None` only in the optional column.
    Texts(Vec<Option<ByteArray>>),
}

impl Columns {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(other)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let properties = Arc::new(properties.build());
        let writer = SerializedFileWriter::new(file, schema, properties).map_err(other)?;
        Ok(Self { writer })
    }
}

impl Sheet for Columns {
    fn add(&mut self, rows: &[UtteranceRow]) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(other)?;
        let mut columns = columns(rows).into_iter();
        while let Some(mut writer) = group.next_column().map_err(other)? {
            let column = columns.next().expect("the schema has as many columns");
            column.write(writer.untyped()).map_err(other)?;
            writer.close().map_err(other)?;
        }
        group.close().map(drop).map_err(other)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        let file = self.writer.into_inner().map_err(other)?;
        file.sync_all()
    }
}

/// In the order of the schema.
fn columns(rows: &[UtteranceRow]) -> [Column; 12] {
    let texts = |of: fn(&UtteranceRow) -> &str| {
        let text = |row| Some(ByteArray::from(of(row)));
        Column::Texts(rows.iter().map(text).collect())
    };
    let numbers = |of: fn(&UtteranceRow) -> u64| {
        let number = |row| i64::try_from(of(row)).unwrap_or(i64::MAX);
        Column::Numbers(rows.iter().map(number).collect())
    };
    let sender = |row: &UtteranceRow| row.external_id.as_deref().map(ByteArray::from);
    [
        texts(|row| &row.conversation_id),
        texts(|row| row.namespace),
        texts(|row| &row.external_conversation_id),
        texts(|row| &row.stream_id),
        texts(|row| &row.message_id),
        texts(|row| row.role),
        Column::Texts(rows.iter().map(sender).collect()),
        numbers(|row| row.start_ms),
        numbers(|row| row.end_ms),
        numbers(|row| row.created_unix_ms),
        numbers(|row| row.said_unix_ms),
        texts(|row| &row.text),
    ]
}

impl Column {
    fn write(self, writer: &mut ColumnWriter<'_>) -> Result<usize, ParquetError> {
        match (self, writer) {
            (Self::Numbers(numbers), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(&numbers, None, None)
            }
            (Self::Texts(texts), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let levels: Vec<i16> = texts.iter().map(|text| text.is_some().into()).collect();
                let is_optional = writer.get_descriptor().max_def_level() > 0;
                let texts: Vec<ByteArray> = texts.into_iter().flatten().collect();
                writer.write_batch(&texts, is_optional.then_some(&levels), None)
            }
            _ => Err(ParquetError::General("the schema is another".to_owned())),
        }
    }
}

fn other(error: ParquetError) -> io::Error {
    io::Error::other(error)
}
