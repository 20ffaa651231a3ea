//! Utterances out of the store into a file, page by page, in constant memory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use store::query::{Export, Scope};
use store::{Store, StoreError};

use crate::api::shapes::UtteranceRow;

mod columns;
pub(crate) mod csv;

/// The shape of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, RFC 4180.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// What is exported, and where to.
#[derive(Clone, Debug)]
pub struct Order {
    /// Kept at or after, unix time in milliseconds.
    pub from_unix_ms: u64,
    /// Kept before.
    pub to_unix_ms: u64,
    /// How.
    pub format: Format,
    /// The file. It appears under this name when it is whole.
    pub out: PathBuf,
    /// Utterances that are read from the store in one go.
    pub page: usize,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Utterances written.
    pub utterances: u64,
    /// When the newest of them was kept, unix time in milliseconds.
    pub at_unix_ms: u64,
}

/// Why an export failed. Nothing stands under the file's name then that did not before.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
}

/// Writes utterances into a file of one format.
trait Sheet {
    fn add(&mut self, rows: &[UtteranceRow]) -> io::Result<()>;
    /// Writes what is left, down to the disk.
    fn close(self: Box<Self>) -> io::Result<()>;
}

/// Writes the file, and tells how far it is after each page.
pub fn export(
    store: &dyn Store,
    order: &Order,
    mut told: impl FnMut(Progress),
) -> Result<Progress, ExportError> {
    let unfinished = beside(&order.out);
    let written = write(store, order, &unfinished, &mut told);
    let done = written.and_then(|progress| {
        let failed = |error| failed(&order.out, error);
        std::fs::rename(&unfinished, &order.out).map_err(failed)?;
        Ok(progress)
    });
    if done.is_err() {
        // What cannot be removed was perhaps never made; why it failed is said already.
        drop(std::fs::remove_file(&unfinished));
    }
    done
}

fn write(
    store: &dyn Store,
    order: &Order,
    path: &Path,
    told: &mut impl FnMut(Progress),
) -> Result<Progress, ExportError> {
    let failed = |error| failed(path, error);
    let file = File::create(path).map_err(failed)?;
    let mut sheet: Box<dyn Sheet> = match order.format {
        Format::Csv => Box::new(Lines::new(file, csv::HEAD, csv::line).map_err(failed)?),
        Format::Jsonl => Box::new(Lines::new(file, "", json_line).map_err(failed)?),
        Format::Parquet => Box::new(columns::Columns::new(file).map_err(failed)?),
    };
    let mut wanted = Export {
        from_unix_ms: order.from_unix_ms,
        to_unix_ms: order.to_unix_ms,
        after: None,
        most: order.page.max(1),
    };
    let mut progress = Progress::default();
    loop {
        let said = store.export(&wanted, &Scope::default())?;
        let Some(last) = said.last() else {
            break;
        };
        wanted.after = Some(last.message.id.clone());
        progress.at_unix_ms = last.message.created_unix_ms;
        progress.utterances += said.len() as u64;
        let rows: Vec<UtteranceRow> = said.into_iter().map(UtteranceRow::from).collect();
        sheet.add(&rows).map_err(failed)?;
        told(progress);
    }
    sheet.close().map_err(failed)?;
    Ok(progress)
}

/// A file of lines of text.
struct Lines {
    out: BufWriter<File>,
    line: fn(&UtteranceRow) -> String,
}

impl Lines {
    fn new(file: File, head: &str, line: fn(&UtteranceRow) -> String) -> io::Result<Self> {
        let mut out = BufWriter::new(file);
        out.write_all(head.as_bytes())?;
        Ok(Self { out, line })
    }
}

impl Sheet for Lines {
    fn add(&mut self, rows: &[UtteranceRow]) -> io::Result<()> {
        let mut lines = rows.iter().map(self.line);
        lines.try_for_each(|line| self.out.write_all(line.as_bytes()))
    }

    fn close(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()
    }
}

fn json_line(row: &UtteranceRow) -> String {
    row.json() + "\n"
}

fn beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

fn failed(path: &Path, error: io::Error) -> ExportError {
    ExportError::File {
        path: path.to_owned(),
        error,
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::Jsonl),
            "parquet" => Ok(Self::Parquet),
            _ => Err("expected csv, jsonl or parquet"),
        }
    }
}

#[cfg(test)]
mod tests;
