//! The file exporter's requests, which its answers repeat, and what they add.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::requests::given;

/// Nothing is asked. Members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct FeedsRequest {}

/// A feed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct VersionsRequest {
    #[schema(inline, pattern = "^utterances$")]
    pub(crate) feed: String,
}

/// A feed's version.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct FormatsRequest {
    #[serde(flatten)]
    pub(crate) of: VersionsRequest,
    #[schema(pattern = "^(version=)?1$")]
    pub(crate) version: String,
}

/// A feed in a format.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct DatesRequest {
    #[serde(flatten)]
    pub(crate) of: FormatsRequest,
    #[schema(pattern = "^(format=)?(csv|jsonl)$")]
    pub(crate) format: String,
}

/// A feed of one day, in UTC.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct IntervalsRequest {
    #[serde(flatten)]
    pub(crate) of: DatesRequest,
    #[schema(pattern = "^(dt=)?[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    pub(crate) date: String,
}

/// A feed of one day, or of one hour of it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct FilesRequest {
    #[serde(flatten)]
    pub(crate) of: IntervalsRequest,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false, pattern = "^hr=[0-9]{2}(/mi=00)?$")]
    pub(crate) interval: Option<String>,
}

/// A file.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileRequest {
    #[serde(flatten)]
    pub(crate) of: FilesRequest,
    #[schema(max_length = 64)]
    pub(crate) file_name: String,
}

/// The feeds there are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Feeds {
    pub(crate) feeds: Vec<&'static str>,
}

/// The versions of a feed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Versions {
    #[serde(flatten)]
    pub(crate) of: VersionsRequest,
    pub(crate) versions: Vec<&'static str>,
}

/// The formats of a feed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Formats {
    #[serde(flatten)]
    pub(crate) of: FormatsRequest,
    pub(crate) formats: Vec<&'static str>,
}

/// The days with utterances.
#[derive(Serialize, ToSchema)]
pub(crate) struct Dates {
    #[serde(flatten)]
    pub(crate) of: DatesRequest,
    pub(crate) dates: Vec<String>,
}

/// The hours of a day with utterances.
#[derive(Serialize, ToSchema)]
pub(crate) struct Intervals {
    #[serde(flatten)]
    pub(crate) of: IntervalsRequest,
    pub(crate) intervals: Vec<String>,
}

/// Files, one an hour.
#[derive(Serialize, ToSchema)]
pub(crate) struct Files {
    #[serde(flatten)]
    pub(crate) of: FilesRequest,
    pub(crate) files: Vec<String>,
}

/// Where a file is.
#[derive(Serialize, ToSchema)]
pub(crate) struct FileUrl {
    #[serde(flatten)]
    pub(crate) of: FileRequest,
    /// Good for a short time, without a key: do not log it.
    #[schema(format = "uri")]
    pub(crate) url: String,
}
