//! What the control API is asked.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Number, Value};
use utoipa::ToSchema;

/// Start or resume the transcription of a call. Members that are not listed are ignored.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartRequest {
    #[serde(deserialize_with = "word")]
    pub(crate) namespace: Platform,
    /// The globally unique id of the call, also called UCID. Twilio: the CallSid. SIPREC: any
    /// identifier of the session, in any of its spellings; a Cisco-Guid may have blanks.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^([!-~]+|[0-9]{1,10}( ?- ?[0-9]{1,10}){3})$"
    )]
    pub(crate) guid: String,
    /// Id of the customer on the call, usually from the call center's CTI.
    #[schema(min_length = 1, max_length = 256)]
    pub(crate) customer_id: String,
    /// Id of the agent on the call, usually from the call center's CTI.
    #[schema(min_length = 1, max_length = 256)]
    pub(crate) agent_id: String,
    #[serde(default, deserialize_with = "object")]
    #[schema(nullable = false)]
    pub(crate) autotranscribe_params: Option<AutotranscribeParams>,
    #[serde(default, deserialize_with = "object")]
    #[schema(nullable = false)]
    pub(crate) siprec_params: Option<SiprecParams>,
    #[serde(default, deserialize_with = "object")]
    #[schema(nullable = false)]
    pub(crate) twilio_params: Option<TwilioParams>,
    #[serde(default, deserialize_with = "object")]
    #[schema(nullable = false)]
    pub(crate) amazon_connect_params: Option<AmazonConnectParams>,
    #[serde(default, deserialize_with = "object")]
    #[schema(nullable = false)]
    pub(crate) antiphon: Option<AntiphonParams>,
}

/// Pause or end the transcription of a call. Members that are not listed are ignored.
#[derive(Debug, serde::Deserialize, ToSchema)]
pub(crate) struct StopRequest {
    #[serde(deserialize_with = "word")]
    pub(crate) namespace: Platform,
    /// The globally unique id of the call, as in the start.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^([!-~]+|[0-9]{1,10}( ?- ?[0-9]{1,10}){3})$"
    )]
    pub(crate) guid: String,
}

/// The media gateway platform or protocol.
#[derive(Clone, Copy, Debug, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Platform {
    Siprec,
    Twilio,
    AmazonConnect,
    GenesysAudioHook,
}

/// What is asked of the recogniser.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AutotranscribeParams {
    /// IETF language tag: `en-US` or `es-US`, in upper or lower case.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        nullable = false,
        default = "en-US",
        pattern = "^([eE][nN]|[eE][sS])-[uU][sS]$"
    )]
    pub(crate) language: Option<String>,
    /// Whether words are told one by one, with their times. Then `redactionOutput` must be
    /// `unredacted`, which must be said, because its default is not.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, default = false)]
    pub(crate) detailed_token: Option<bool>,
    /// Whether the service may record and keep the sound to train its models.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, default = false)]
    pub(crate) audio_recording_allowed: Option<bool>,
    /// Whether the text is redacted. `redacted` and `redacted_and_unredacted` are rejected together
    /// with `detailedToken`.
    #[serde(default, deserialize_with = "some_word")]
    #[schema(nullable = false, default = "redacted")]
    pub(crate) redaction_output: Option<RedactionName>,
    /// Extension: phrases to boost in this start, beside those of the configuration; 200 in all.
    #[serde(default, deserialize_with = "objects")]
    #[schema(max_items = 200)]
    pub(crate) vocabulary: Vec<VocabularyEntry>,
}

/// `redacted`, `unredacted` or both.
#[derive(Clone, Copy, Debug, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RedactionName {
    Redacted,
    Unredacted,
    RedactedAndUnredacted,
}

/// A phrase to boost.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VocabularyEntry {
    /// The phrase.
    #[schema(min_length = 1, max_length = 40)]
    pub(crate) phrase: String,
    /// How it may be pronounced, each up to 40 characters.
    #[serde(default)]
    #[schema(max_items = 5, schema_with = sounds_like_schema)]
    pub(crate) sounds_like: Vec<String>,
    /// Helps the service to guess how the phrase is pronounced.
    #[serde(default, deserialize_with = "some_word")]
    #[schema(nullable = false)]
    pub(crate) category: Option<Category>,
}

/// What kind of phrase it is.
#[derive(Clone, Copy, Debug, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Category {
    Address,
    Name,
    Number,
    Company,
    Currency,
}

/// For namespace `siprec`.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SiprecParams {
    #[serde(default, deserialize_with = "some_word")]
    #[schema(nullable = false, default = "CUSTOMER_FIRST")]
    pub(crate) media_line_order: Option<MediaLineOrder>,
}

/// Whose sound the top audio m-line of the SDP is.
#[derive(Clone, Copy, Debug, serde::Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum MediaLineOrder {
    CustomerFirst,
    AgentFirst,
}

/// For namespace `twilio`.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TwilioParams {
    #[serde(default, deserialize_with = "object")]
    #[schema(nullable = false)]
    pub(crate) track_map: Option<TrackMap>,
}

/// Who speaks on which track. The two must differ.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
pub(crate) struct TrackMap {
    /// The inbound track.
    #[serde(default, deserialize_with = "some_word")]
    #[schema(nullable = false, default = "customer")]
    pub(crate) inbound: Option<RoleName>,
    /// The outbound track.
    #[serde(default, deserialize_with = "some_word")]
    #[schema(nullable = false, default = "agent")]
    pub(crate) outbound: Option<RoleName>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoleName {
    Customer,
    Agent,
}

/// For namespace `amazonconnect`.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AmazonConnectParams {
    /// ARN of the Kinesis video stream.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 1024)]
    pub(crate) stream_arn: Option<String>,
    #[serde(default, deserialize_with = "some_word")]
    #[schema(nullable = false)]
    pub(crate) start_selector_type: Option<FragmentSelector>,
    /// The fragment after which to begin; mandatory with `FRAGMENT_NUMBER`.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 128,
        pattern = "^[0-9]+$"
    )]
    pub(crate) after_fragment_number: Option<String>,
}

/// Where in the stream to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FragmentSelector {
    Now,
    FragmentNumber,
}

/// Extension: to which speech service the call shall go, and what is asked of it.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
pub(crate) struct AntiphonParams {
    /// One of the services that are configured: `assemblyai`, `autotranscribe`, `deepgram` or
    /// `vosk`. Without it the call goes where the configuration says, or what brings its media.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9._-]+$"
    )]
    pub(crate) service: Option<String>,
    /// The service's own parameters, by its own names; they go before those of the configuration.
    #[serde(default)]
    #[schema(schema_with = parameters_schema)]
    pub(crate) parameters: BTreeMap<String, Value>,
}

impl From<RedactionName> for call::start::Redaction {
    fn from(name: RedactionName) -> Self {
        match name {
            RedactionName::Redacted => Self::Redacted,
            RedactionName::RedactedAndUnredacted => Self::RedactedAndUnredacted,
            RedactionName::Unredacted => Self::Unredacted,
        }
    }
}

impl Category {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Company => "company",
            Self::Currency => "currency",
            Self::Name => "name",
            Self::Number => "number",
        }
    }
}

fn sounds_like_schema() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
    let item = ObjectBuilder::new().schema_type(Type::String);
    let item = item.min_length(Some(1)).max_length(Some(40));
    let description = "How it may be pronounced.";
    ArrayBuilder::new()
        .items(item)
        .max_items(Some(5))
        .description(Some(description))
        .build()
}

fn parameters_schema() -> utoipa::openapi::schema::Object {
    let description = "The service's own parameters, by its own names; they go before those of \
        the configuration. Each value is a text, a number, true or false, or a list of these.";
    utoipa::openapi::schema::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::Object)
        .description(Some(description))
        .build()
}

// Derived code takes more than the schemas promise: an array for a struct, an object for a word,
// null for nothing. These readers do not.

/// A value that, if it is there, is not null.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A whole number, however it is written: to a schema 60.0 is an integer.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number = Number::deserialize(from)?;
    let of_float = |float: f64| (float.fract() == 0.0 && float >= 0.0).then_some(float as u64);
    let whole = number.as_u64();
    match whole.or_else(|| number.as_f64().and_then(of_float)) {
        None => Err(D::Error::custom("must be a whole number")),
        whole => Ok(whole),
    }
}

/// A struct, from an object only.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Object::deserialize(from).map(|Object(inner)| Some(inner))
}

/// As [`object`], of what must be given.
pub(super) fn of_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Object::deserialize(from).map(|Object(inner)| inner)
}

fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(from)?;
    Ok(objects.into_iter().map(|Object(inner)| inner).collect())
}

/// A unit variant, from a string only.
pub(super) fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_str(Only(PhantomData))
}

fn some_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    word(from).map(Some)
}

/// A struct that was read from an object.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OnlyObject(PhantomData))
    }
}

struct Only<T>(PhantomData<T>);
struct OnlyObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Only<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::deserialize(StrDeserializer::new(text))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyObject<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}
