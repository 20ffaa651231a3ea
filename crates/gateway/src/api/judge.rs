//! Whether a request that can be read makes sense, and what it then asks for.

use std::sync::Arc;

use call::name::{CallName, Namespace, Role, StreamId};
use call::private::Private;
use call::start::{Phrase, Redaction, Start, StreamOptions, StreamSpec, Wish};
use upstream::service::BadParameter;

use super::body::wrong;
use super::errors::ApiError;
use super::named::Named;
use super::shapes::{
    AmazonConnectParams, AntiphonParams, AutotranscribeParams, FragmentSelector, MediaLineOrder,
    Platform, RoleName, StartRequest, StopRequest, VocabularyEntry,
};

/// Phrases of one start, those of the configuration included.
pub(crate) const PHRASES_MAX: usize = 200;
const PHRASE_CHARS_MAX: usize = 40;
const SOUNDS_LIKE_MAX: usize = 5;
const PERSON_CHARS_MAX: usize = 256;
const STREAM_ARN_CHARS_MAX: usize = 1024;
const FRAGMENT_DIGITS_MAX: usize = 128;

/// Which side is whose.
struct Order {
    roles: [Role; 2],
    is_given: bool,
}

/// What a start asks for. `phrases` are those of the configuration, `ids` makes stream ids.
pub(crate) fn start(
    request: StartRequest,
    phrases: &[Phrase],
    ids: impl Fn() -> String,
) -> Result<Start, ApiError> {
    let Named { call, written } = name(request.namespace, &request.guid)?;
    length("customerId", &request.customer_id, PERSON_CHARS_MAX)?;
    length("agentId", &request.agent_id, PERSON_CHARS_MAX)?;
    let Order { roles, is_given } = order(&request)?;
    amazon_connect(request.amazon_connect_params.unwrap_or_default())?;
    let params = request.autotranscribe_params.unwrap_or_default();
    let options = Arc::new(options(params, phrases)?);
    let wish = wish(request.antiphon.unwrap_or_default())?;
    let (agent, customer) = (
        Private::new(request.agent_id),
        Private::new(request.customer_id),
    );
    let spec = |role| StreamSpec {
        id: StreamId::new(&ids()),
        call: call.clone(),
        external: Arc::clone(&written),
        role,
        sender: if role == Role::Agent {
            agent.clone()
        } else {
            customer.clone()
        },
        options: Arc::clone(&options),
        wish: wish.clone(),
    };
    let [first, second] = roles.map(spec);
    Ok(Start {
        first,
        second,
        is_ordered: is_given,
    })
}

/// Whether what a start wishes for can be had, by `check`, for both of its streams.
pub(crate) fn fulfillable(
    start: &Start,
    check: impl Fn(Role, &Wish) -> Result<(), BadParameter>,
) -> Result<(), ApiError> {
    for spec in [&start.first, &start.second] {
        check(spec.role, &spec.wish).map_err(|bad| {
            let path = match bad.name.as_str() {
                "service" => "antiphon.service".to_owned(),
                name => format!("{PARAMETERS}.{name}"),
            };
            wrong(&path, &bad.what)
        })?;
    }
    Ok(())
}

/// Which call a stop means.
pub(crate) fn stop(request: &StopRequest) -> Result<CallName, ApiError> {
    name(request.namespace, &request.guid).map(|named| named.call)
}

pub(super) fn name(platform: Platform, guid: &str) -> Result<Named, ApiError> {
    let namespace = match platform {
        Platform::AmazonConnect => Namespace::AmazonConnect,
        Platform::GenesysAudioHook => Namespace::GenesysAudioHook,
        Platform::Siprec => Namespace::Siprec,
        Platform::Twilio => Namespace::Twilio,
    };
    Named::new(namespace, guid).map_err(|bad| wrong("guid", &bad.to_string()))
}

/// Who speaks on the first side and who on the second, and whether the start says so. Only a SIPREC
/// session has an opinion of its own, so for every other platform the defaults are the word of the
/// start. Parameters of another platform than the call's are read but have no say.
fn order(request: &StartRequest) -> Result<Order, ApiError> {
    let tracks = request
        .twilio_params
        .as_ref()
        .and_then(|params| params.track_map.as_ref());
    let inbound = tracks
        .and_then(|map| map.inbound)
        .unwrap_or(RoleName::Customer);
    let outbound = tracks
        .and_then(|map| map.outbound)
        .unwrap_or(RoleName::Agent);
    if inbound == outbound {
        let what = "maps both tracks to the same role; a track that is not named has its default: \
                    inbound is the customer, outbound the agent";
        return Err(wrong("twilioParams.trackMap", what));
    }
    let order = request
        .siprec_params
        .as_ref()
        .and_then(|params| params.media_line_order);
    let agent_first = match request.namespace {
        Platform::AmazonConnect | Platform::GenesysAudioHook => false,
        Platform::Siprec => matches!(order, Some(MediaLineOrder::AgentFirst)),
        Platform::Twilio => inbound == RoleName::Agent,
    };
    let roles = match agent_first {
        true => [Role::Agent, Role::Customer],
        false => [Role::Customer, Role::Agent],
    };
    let is_given = !matches!(request.namespace, Platform::Siprec) || order.is_some();
    Ok(Order { roles, is_given })
}

fn amazon_connect(params: AmazonConnectParams) -> Result<(), ApiError> {
    if let Some(arn) = &params.stream_arn {
        length("amazonConnectParams.streamArn", arn, STREAM_ARN_CHARS_MAX)?;
    }
    let path = "amazonConnectParams.afterFragmentNumber";
    match (&params.after_fragment_number, params.start_selector_type) {
        (None, Some(FragmentSelector::FragmentNumber)) => Err(wrong(
            path,
            "is missing; it is mandatory with startSelectorType FRAGMENT_NUMBER",
        )),
        (Some(digits), _) => {
            length(path, digits, FRAGMENT_DIGITS_MAX)?;
            match digits.bytes().all(|byte| byte.is_ascii_digit()) {
                true => Ok(()),
                false => Err(wrong(path, "must have digits only")),
            }
        }
        (None, _) => Ok(()),
    }
}

fn options(params: AutotranscribeParams, phrases: &[Phrase]) -> Result<StreamOptions, ApiError> {
    let defaults = StreamOptions::default();
    let redaction = params
        .redaction_output
        .map_or(defaults.redaction, Into::into);
    let detailed_token = params.detailed_token.unwrap_or(defaults.detailed_token);
    if detailed_token && redaction != Redaction::Unredacted {
        let path = "autotranscribeParams.redactionOutput";
        let what = match params.redaction_output {
            Some(_) => "must be \"unredacted\" when detailedToken is true",
            None => {
                "is missing, so it is \"redacted\", which cannot be combined with detailedToken \
                 true; set it to \"unredacted\", or leave detailedToken out"
            }
        };
        return Err(wrong(path, what));
    }
    let language = match params.language {
        Some(language) => canonical(&language)?.to_owned(),
        None => defaults.language,
    };
    Ok(StreamOptions {
        language,
        detailed_token,
        audio_recording_allowed: params
            .audio_recording_allowed
            .unwrap_or(defaults.audio_recording_allowed),
        redaction,
        vocabulary: vocabulary(params.vocabulary, phrases)?,
    })
}

fn canonical(language: &str) -> Result<&'static str, ApiError> {
    let known = LANGUAGES
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(language));
    known.ok_or_else(|| wrong("autotranscribeParams.language", "must be en-US or es-US"))
}

const LANGUAGES: [&str; 2] = ["en-US", "es-US"];

fn vocabulary(entries: Vec<VocabularyEntry>, phrases: &[Phrase]) -> Result<Vec<Phrase>, ApiError> {
    if phrases.len() + entries.len() > PHRASES_MAX {
        let what = format!(
            "has {} phrases and the configuration {}; together they may be {PHRASES_MAX}",
            entries.len(),
            phrases.len(),
        );
        return Err(wrong("autotranscribeParams.vocabulary", &what));
    }
    let mut all = phrases.to_vec();
    for (index, entry) in entries.into_iter().enumerate() {
        all.push(phrase(
            &format!("autotranscribeParams.vocabulary[{index}]"),
            entry,
        )?);
    }
    Ok(all)
}

fn phrase(path: &str, entry: VocabularyEntry) -> Result<Phrase, ApiError> {
    length(&format!("{path}.phrase"), &entry.phrase, PHRASE_CHARS_MAX)?;
    if entry.sounds_like.len() > SOUNDS_LIKE_MAX {
        let what = format!("may have {SOUNDS_LIKE_MAX} entries at most");
        return Err(wrong(&format!("{path}.soundsLike"), &what));
    }
    for (index, one) in entry.sounds_like.iter().enumerate() {
        length(
            &format!("{path}.soundsLike[{index}]"),
            one,
            PHRASE_CHARS_MAX,
        )?;
    }
    Ok(Phrase {
        phrase: entry.phrase.into(),
        sounds_like: entry.sounds_like.into_iter().map(Private::new).collect(),
        category: entry.category.map(|category| category.as_str().to_owned()),
    })
}

/// Texts are told on as JSON, so that a text that looks like a number stays one.
fn wish(params: AntiphonParams) -> Result<Wish, ApiError> {
    if let Some(service) = &params.service {
        name_of_wish("antiphon.service", service)?;
    }
    if params.parameters.len() > Wish::PARAMETERS_MAX {
        let what = format!("may have {} members at most", Wish::PARAMETERS_MAX);
        return Err(wrong(PARAMETERS, &what));
    }
    let mut parameters = Vec::with_capacity(params.parameters.len());
    for (name, value) in params.parameters {
        name_of_wish(PARAMETERS, &name)?;
        let value = value.to_string();
        if value.len() > Wish::VALUE_BYTES_MAX {
            let what = format!("is longer than {} bytes", Wish::VALUE_BYTES_MAX);
            return Err(wrong(&format!("{PARAMETERS}.{name}"), &what));
        }
        parameters.push((name.into(), Private::new(value)));
    }
    Ok(Wish {
        service: params.service.map(Into::into),
        parameters,
    })
}

/// A name at `path`, or among the members there.
fn name_of_wish(path: &str, name: &str) -> Result<(), ApiError> {
    if Wish::is_name(name) {
        return Ok(());
    }
    let what = format!(
        "names must have 1 to {} letters, digits, dots, dashes or underscores",
        Wish::NAME_BYTES_MAX
    );
    Err(wrong(path, &what))
}

const PARAMETERS: &str = "antiphon.parameters";

fn length(path: &str, text: &str, chars_max: usize) -> Result<(), ApiError> {
    // The first test spares counting the characters of a long text.
    let fits = text.len() <= chars_max * 4 && text.chars().count() <= chars_max;
    if text.is_empty() || !fits {
        return Err(wrong(
            path,
            &format!("must have 1 to {chars_max} characters"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
