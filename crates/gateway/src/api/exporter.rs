//! The file exporter: which files of utterances there are, and a URL for each that is good for a
//! short time. The files are made while they are read, out of the store, and exist nowhere else.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use store::query::{Export, Scope};
use store::{Store, StoreError};

use super::auth::Caller;
use super::errors::{ApiError, Code};
use super::messages::generic;
use super::shapes::{
    Dates, DatesRequest, Feeds, FeedsRequest, FileRequest, FileUrl, Files, FilesRequest, Formats,
    FormatsRequest, Intervals, IntervalsRequest, Versions, VersionsRequest,
};
use super::{Api, body, kept};

pub(crate) mod download;
mod part;

pub(crate) use part::{Format, Part};

/// Days in one answer; the oldest.
const DATES_MAX: usize = 1_000;

/// List feeds
///
/// There is one: `utterances`, every final transcript.
#[utoipa::path(
    post,
    path = "/fileexporter/v1/static/listfeeds",
    operation_id = "listFeeds",
    tag = "export",
    request_body = FeedsRequest,
    responses((status = 200, description = "Feeds", body = Feeds)),
)]
pub(crate) async fn feeds(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Json<Feeds>, ApiError> {
    let FeedsRequest {} = read(&api, request).await?;
    Ok(Json(Feeds {
        feeds: vec![part::FEED],
    }))
}

/// List a feed's versions
#[utoipa::path(
    post,
    path = "/fileexporter/v1/static/listfeedversions",
    operation_id = "listFeedVersions",
    tag = "export",
    request_body = VersionsRequest,
    responses((status = 200, description = "Versions", body = Versions)),
)]
pub(crate) async fn versions(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Json<Versions>, ApiError> {
    let of: VersionsRequest = read(&api, request).await?;
    part::is_feed(&of)?;
    Ok(Json(Versions {
        of,
        versions: vec![part::VERSION],
    }))
}

/// List a feed's formats
#[utoipa::path(
    post,
    path = "/fileexporter/v1/static/listfeedformats",
    operation_id = "listFeedFormats",
    tag = "export",
    request_body = FormatsRequest,
    responses((status = 200, description = "Formats", body = Formats)),
)]
pub(crate) async fn formats(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Json<Formats>, ApiError> {
    let of: FormatsRequest = read(&api, request).await?;
    part::is_version(&of)?;
    Ok(Json(Formats {
        of,
        formats: Format::ALL.map(Format::as_str).into(),
    }))
}

/// List a feed's days
///
/// In UTC, those on which an utterance was kept.
#[utoipa::path(
    post,
    path = "/fileexporter/v1/static/listfeeddates",
    operation_id = "listFeedDates",
    tag = "export",
    request_body = DatesRequest,
    responses((status = 200, description = "Days", body = Dates)),
)]
pub(crate) async fn dates(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Dates>, ApiError> {
    let of: DatesRequest = read(&api, request).await?;
    part::format(&of)?;
    let sight = caller.sight();
    let dates = kept::ask(&api, move |store| days(store, &sight)).await?;
    let dates = dates.iter().map(Date::to_string).collect();
    Ok(Json(Dates { of, dates }))
}

/// List a day's hours
///
/// Those in which an utterance was kept: `hr=13`.
#[utoipa::path(
    post,
    path = "/fileexporter/v1/static/listfeedintervals",
    operation_id = "listFeedIntervals",
    tag = "export",
    request_body = IntervalsRequest,
    responses((status = 200, description = "Hours", body = Intervals)),
)]
pub(crate) async fn intervals(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Intervals>, ApiError> {
    let of: IntervalsRequest = read(&api, request).await?;
    let (_, date) = part::day(&of)?;
    let hours = hours_of(&api, &caller, date).await?;
    let intervals = hours.iter().map(|hour| format!("hr={hour:02}")).collect();
    Ok(Json(Intervals { of, intervals }))
}

/// List files
///
/// One for each hour in which an utterance was kept.
#[utoipa::path(
    post,
    path = "/fileexporter/v1/static/listfeedfiles",
    operation_id = "listFeedFiles",
    tag = "export",
    request_body = FilesRequest,
    responses((status = 200, description = "Files", body = Files)),
)]
pub(crate) async fn files(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Files>, ApiError> {
    let of: FilesRequest = read(&api, request).await?;
    let (format, date) = part::day(&of.of)?;
    let only = part::hour(&of)?;
    let hours = hours_of(&api, &caller, date).await?;
    let is_wanted = |hour: &i8| only.is_none_or(|only| only == *hour);
    let name = |hour| date.map(|date| Part { date, hour, format }.file_name());
    let files = hours
        .into_iter()
        .filter(is_wanted)
        .filter_map(name)
        .collect();
    Ok(Json(Files { of, files }))
}

/// Get a file's URL
///
/// The URL is good for `api.file_url_ttl`, without a key, for what the key that asks may see. The
/// file is made while it is read: of the present hour it has what has been said so far.
#[utoipa::path(
    post,
    path = "/fileexporter/v1/static/getfeedfile",
    operation_id = "getFeedFile",
    tag = "export",
    request_body = FileRequest,
    responses((status = 200, description = "The URL: do not log it", body = FileUrl)),
)]
pub(crate) async fn file(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<FileUrl>, ApiError> {
    let of: FileRequest = read(&api, request).await?;
    let part = part::file(&of)?;
    let sight = caller.sight();
    let has = move |store: &dyn Store| first(store, &sight, part.span());
    if kept::ask(&api, has).await?.is_none() {
        return Err(ApiError::new(Code::NotFound, "There is no such file"));
    }
    let url = download::url(&api, &part, caller.tenant.as_deref());
    Ok(Json(FileUrl { of, url }))
}

async fn read<T: DeserializeOwned>(api: &Api, request: Request) -> Result<T, ApiError> {
    let settings = &api.state.settings;
    let bytes = body::read(request, settings).await?;
    let read = body::understand(&bytes, settings.json_depth_max).map_err(generic)?;
    // Members are not counted here: what one request wants, another one repeats.
    Ok(read.body)
}

async fn hours_of(api: &Api, caller: &Caller, date: Option<Date>) -> Result<Vec<i8>, ApiError> {
    let Some(date) = date else {
        return Ok(Vec::new());
    };
    let sight = caller.sight();
    kept::ask(api, move |store| hours(store, &sight, date)).await
}

/// Days with utterances, one question each.
fn days(store: &dyn Store, sight: &Scope) -> Result<Vec<Date>, StoreError> {
    let (mut days, mut from) = (Vec::new(), 0);
    while days.len() < DATES_MAX
        && let Some(at) = first(store, sight, (from, u64::MAX))?
    {
        let day = part::date_of(at);
        let (_, end) = part::span_of(day);
        days.push(day);
        from = end;
    }
    Ok(days)
}

/// Hours of a day with utterances, likewise.
fn hours(store: &dyn Store, sight: &Scope, date: Date) -> Result<Vec<i8>, StoreError> {
    let mut hours = Vec::new();
    let (mut from, to) = part::span_of(date);
    while from < to
        && let Some(at) = first(store, sight, (from, to))?
    {
        let hour = part::hour_of(at);
        hours.push(hour);
        let format = Format::Csv;
        (_, from) = Part { date, hour, format }.span();
    }
    Ok(hours)
}

/// When the first utterance of a span was kept.
fn first(
    store: &dyn Store,
    sight: &Scope,
    (from_unix_ms, to_unix_ms): (u64, u64),
) -> Result<Option<u64>, StoreError> {
    let export = Export {
        from_unix_ms,
        to_unix_ms,
        after: None,
        most: 1,
    };
    let found = store.export(&export, sight)?;
    Ok(found.first().map(|said| said.message.created_unix_ms))
}

/// Feeds arbitrary bytes to the readers of all bodies; a defect panics.
pub(super) fn fuzz(data: &[u8], depth_max: usize) {
    if let Ok(read) = body::understand::<FileRequest>(data, depth_max)
        && let Ok(part) = part::file(&read.body)
    {
        assert_eq!(Part::parse(&part.file_name()), Some(part), "another file");
    }
    if let Ok(text) = str::from_utf8(data)
        && let Some(part) = Part::parse(text)
    {
        assert_eq!(part.file_name(), text, "one file has one name");
        let (from, to) = part.span();
        assert!(from < to, "an hour is not empty");
    }
}
