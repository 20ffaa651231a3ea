//! Whether an endpoint can be used as configured, told before anything is sent.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use url::Url;

use super::{Authentication, Endpoint, Filter, Format, OAuth2, Problem, Retries};
use crate::address::is_forbidden;
use crate::render::KINDS;
use crate::signature::Signer;

/// Headers that are ours to set.
const OURS: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// More attempts than this are no plan.
const DELAYS_MAX: usize = 100;
const DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is wrong with an endpoint, the first of it.
pub(crate) fn check(endpoint: &Endpoint) -> Result<(), Problem> {
    name(&endpoint.name)?;
    url(endpoint, "url", &endpoint.url)?;
    filter(&endpoint.filter, endpoint.format)?;
    Signer::new(&endpoint.secrets)?;
    authentication(endpoint)?;
    let proxy = endpoint.proxy.as_ref();
    if proxy.is_some_and(|proxy| !matches!(proxy.scheme(), "http" | "https")) {
        return Err(Problem::Proxy);
    }
    retries(&endpoint.retries)?;
    let range = |is_good: bool, problem| if is_good { Ok(()) } else { Err(problem) };
    range(
        !endpoint.timeout.is_zero(),
        Problem::Range("timeout must be above 0"),
    )?;
    range(
        (1..=1000).contains(&endpoint.concurrency),
        Problem::Range("concurrency must be 1 to 1000"),
    )?;
    range(
        (1..=10_000).contains(&endpoint.batch_max),
        Problem::Range("batch_max must be 1 to 10000"),
    )?;
    range(
        endpoint.pending_max > 0,
        Problem::Range("pending_max must be above 0"),
    )
}

fn name(name: &str) -> Result<(), Problem> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(is_good);
    if fits { Ok(()) } else { Err(Problem::Name) }
}

fn url(endpoint: &Endpoint, what: &'static str, url: &Url) -> Result<(), Problem> {
    let is_scheme = url.scheme() == "https" || (url.scheme() == "http" && endpoint.allow_http);
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !is_scheme || !is_bare || url.host().is_none() {
        return Err(Problem::Url(what));
    }
    if is_forbidden(url) && !endpoint.allow_private {
        return Err(Problem::Address(what));
    }
    Ok(())
}

fn filter(filter: &Filter, format: Format) -> Result<(), Problem> {
    if filter.kinds.is_empty() {
        return Err(Problem::Kinds);
    }
    for kind in &filter.kinds {
        if kind == "partial" {
            return Err(Problem::Partial);
        }
        if !KINDS.iter().any(|(known, _)| known == kind) {
            return Err(Problem::Kind(kind.clone()));
        }
        if format == Format::Asapp && kind != "transcript" {
            return Err(Problem::AsappKind(kind.clone()));
        }
    }
    Ok(())
}

fn authentication(endpoint: &Endpoint) -> Result<(), Problem> {
    match &endpoint.authentication {
        Authentication::None => Ok(()),
        Authentication::Header { name, secret } => {
            header(name)?;
            let value = HeaderValue::from_str(secret.reveal());
            value.map(|_| ()).map_err(|_| Problem::SecretText)
        }
        Authentication::Parameter { name, .. } if name.is_empty() => {
            Err(Problem::Range("the parameter of the secret has no name"))
        }
        Authentication::Parameter { .. } => Ok(()),
        Authentication::OAuth2(OAuth2 { token_url, .. }) => url(endpoint, "token_url", token_url),
    }
}

fn header(name: &str) -> Result<(), Problem> {
    let parsed: Result<HeaderName, _> = name.parse();
    let is_ours = |name: &HeaderName| {
        let name = name.as_str();
        OURS.contains(&name) || name.starts_with("webhook-")
    };
    match parsed {
        Ok(name) if !is_ours(&name) => Ok(()),
        _ => Err(Problem::Header(name.to_owned())),
    }
}

fn retries(retries: &Retries) -> Result<(), Problem> {
    let Retries::Schedule(delays) = retries else {
        return Ok(());
    };
    if delays.is_empty() || delays.len() > DELAYS_MAX {
        return Err(Problem::Range("retries must be 1 to 100 times, or off"));
    }
    if delays.iter().any(|delay| *delay > DELAY_MAX) {
        return Err(Problem::Range("a retry must come within 30 days"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
