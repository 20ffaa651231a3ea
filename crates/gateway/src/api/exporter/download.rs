//! A file by its signed URL, written while it is read: one page out of the store after the other.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use store::query::{Export, Scope};
use url::form_urlencoded::Serializer;

use super::{Format, Part};
use crate::api::errors::{ApiError, Code};
use crate::api::native::parameter;
use crate::api::shapes::UtteranceRow;
use crate::api::signing::Purpose;
use crate::api::{Api, kept};
use crate::clock::unix_seconds;
use crate::export::csv;

/// Where files are, under the public URL.
pub(crate) const FOLDER: &str = "fileexporter/v1/static/files";

/// Read a file
///
/// By the URL that `getfeedfile` gave, without a key. If the store fails midway the connection
/// breaks off, so that half a file is not taken for a whole one.
#[utoipa::path(
    get,
    path = "/fileexporter/v1/static/files/{fileName}",
    operation_id = "readFeedFile",
    tag = "export",
    security(()),
    params(("fileName" = String, Path, description = "As in the URL that `getfeedfile` gave")),
    responses((
        status = 200, description = "The file", content(
            (String = "text/csv"), (String = "application/jsonl"),
        ),
    )),
)]
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (part, tenant) = admitted(&api, path, &query.unwrap_or_default())
        .ok_or_else(|| ApiError::new(Code::Forbidden, "The URL is not valid, or not any more"))?;
    // Asked before anything is answered, so that a store that is not there is a clear answer.
    let (from_unix_ms, to_unix_ms) = part.span();
    let file = File {
        export: Export {
            from_unix_ms,
            to_unix_ms,
            after: None,
            most: api.state.settings.store_page,
        },
        sight: Scope { tenant },
        format: part.format,
        is_done: false,
    };
    let (first, file) = file.page(&api).await?;
    let head = match part.format {
        Format::Csv => Bytes::from_static(csv::HEAD.as_bytes()),
        Format::Jsonl => Bytes::new(),
    };
    let rest = futures_util::stream::unfold(Some(file), move |file| {
        let api = Arc::clone(&api);
        async move {
            let file = file.filter(|file| !file.is_done)?;
            Some(match file.page(&api).await {
                Ok((bytes, file)) => (Ok(bytes), Some(file)),
                Err(error) => (Err(io::Error::other(error.message)), None),
            })
        }
    });
    let begun = futures_util::stream::iter([Ok(head), Ok(first)]);
    let body = Body::from_stream(futures_util::StreamExt::chain(begun, rest));
    let name = format!("attachment; filename=\"{}\"", part.file_name());
    let kind = match part.format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Jsonl => "application/jsonl",
    };
    let headers = [(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

/// The URL of a file, for what this tenant may see.
pub(super) fn url(api: &Api, part: &Part, tenant: Option<&str>) -> String {
    let settings = &api.state.settings;
    let (name, expires) = (
        part.file_name(),
        unix_seconds() + settings.file_url_ttl.as_secs(),
    );
    let signature = api
        .signer
        .sign(Purpose::File, &signed(&name, expires, tenant));
    let mut query = Serializer::new(String::new());
    query.append_pair("expires", &expires.to_string());
    if let Some(tenant) = tenant {
        query.append_pair("tenant", tenant);
    }
    query.append_pair("signature", &signature);
    let base = settings.public_url.as_str().trim_end_matches('/');
    format!("{base}/{FOLDER}/{name}?{}", query.finish())
}

/// The file that a URL of ours names, and whose it is.
fn admitted(
    api: &Api,
    path: Result<Path<String>, PathRejection>,
    query: &str,
) -> Option<(Part, Option<Arc<str>>)> {
    let Path(name) = path.ok()?;
    let expires = parameter(query, "expires")?.parse().ok()?;
    let tenant = parameter(query, "tenant");
    let signature = parameter(query, "signature")?;
    let text = signed(&name, expires, tenant.as_deref());
    let is_ours = api.signer.is_ours(Purpose::File, &text, &signature);
    let part = Part::parse(&name).filter(|_| is_ours && expires > unix_seconds())?;
    Some((part, tenant.map(Into::into)))
}

/// What is signed: each part on a line of its own, the tenant last because it may be anything.
fn signed(name: &str, expires: u64, tenant: Option<&str>) -> String {
    match tenant {
        Some(tenant) => format!("{name}\n{expires}\nof\n{tenant}"),
        None => format!("{name}\n{expires}\nall"),
    }
}

/// A file under way.
struct File {
    export: Export,
    sight: Scope,
    format: Format,
    is_done: bool,
}

impl File {
    /// Its next lines, and how it goes on.
    async fn page(mut self, api: &Api) -> Result<(Bytes, Self), ApiError> {
        let (export, sight) = (self.export.clone(), self.sight.clone());
        let said = kept::ask(api, move |store| store.export(&export, &sight)).await?;
        self.is_done = said.len() < self.export.most;
        self.export.after = said.last().map(|said| said.message.id.clone());
        let line = |said| {
            let row = UtteranceRow::from(said);
            match self.format {
                Format::Csv => csv::line(&row),
                Format::Jsonl => row.json() + "\n",
            }
        };
        let lines: String = said.into_iter().map(line).collect();
        Ok((lines.into(), self))
    }
}
