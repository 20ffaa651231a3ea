//! Getting a socket: leave, an address, a connection.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use call::start::StreamSpec;

use super::Deps;
use super::over::Lost;
use crate::guard::{Blocked, Purpose};
use crate::routes::Admission;
use crate::service::{Retry, Service};
use crate::wire::{Link, WireError};

/// A socket under way. Boxed: what it takes to open one is many times what it takes to keep one.
pub(crate) type Opening = BoxFuture<'static, Result<Opened, Unopened>>;

/// A socket that is open, on which nothing has been said.
pub(crate) struct Opened {
    /// Where, and whom to tell whether the service accepts the stream.
    pub(crate) admission: Admission,
    pub(crate) link: Link,
    /// Whether the address was asked for just before.
    pub(crate) fresh: bool,
}

/// None was had.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// No service gave leave.
    Blocked(Blocked),
    /// This one failed.
    Failed(Lost, &'static str),
}

/// Two sessions of one stream are a conflict.
const CONFLICT: u16 = 409;

/// Opens a socket at the best service that gives leave, but for those to avoid.
pub(crate) fn open(
    deps: Arc<Deps>,
    spec: Arc<StreamSpec>,
    purpose: Purpose,
    avoid: Vec<&'static str>,
    span: Span,
) -> Opening {
    let opening = async move {
        let began = Instant::now();
        let admitted = deps.routes.admit(&spec, purpose, &avoid).await;
        let admission = admitted.map_err(Unopened::Blocked)?;
        match connect(&deps, &admission).await {
            Ok((link, fresh)) => {
                deps.metrics.opened(began.elapsed());
                Ok(Opened {
                    admission,
                    link,
                    fresh,
                })
            }
            Err(lost) => {
                let Admission {
                    permit, provider, ..
                } = admission;
                permit.failed(lost.loss.blame());
                Err(Unopened::Failed(lost, provider.name()))
            }
        }
    };
    Box::pin(opening.instrument(span))
}

async fn connect(deps: &Deps, admission: &Admission) -> Result<(Link, bool), Lost> {
    let service = admission.provider.service();
    let located = service.locate(&admission.spec).await;
    let located = located.map_err(|error| Lost::new(error.to_string(), error.retry, None, true))?;
    let fresh = located.fresh;
    let link = deps.wire.connect(located.request).await;
    let link = link.map_err(|error| {
        let mut lost = Lost::new(error.to_string(), class(&*service, &error), None, fresh);
        lost.is_conflict |= matches!(
            error,
            WireError::Refused {
                status: CONFLICT,
                ..
            }
        );
        lost
    })?;
    Ok((link, fresh))
}

/// A refusal in HTTP means what the service means by it.
fn class(service: &dyn Service, error: &WireError) -> Retry {
    match error {
        WireError::Refused { status, .. } if *status != 429 && *status < 500 => {
            service.refused(*status)
        }
        _ => error.retry(),
    }
}
