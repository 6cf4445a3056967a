//! What happens to containers, as it happens.

use std::collections::HashMap;

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt};

use super::{Engine, EngineError, Labels};

/// A moment of the daemon's clock, in nanoseconds. Zero: unknown.
pub(crate) type Moment = i64;

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    /// The labels of the container, and some values of the event itself.
    pub(crate) labels: Labels,
    /// When it happened.
    pub(crate) at: Moment,
}

impl Engine {
    /// Reports `actions` on containers that carry every one of `labels`, from
    /// `since` on, until the connection ends.
    pub(crate) fn happenings(
        &self,
        actions: &[&str],
        labels: &Labels,
        since: Option<Moment>,
    ) -> impl Stream<Item = Result<Happening, EngineError>> + '_ {
        let wanted: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters: HashMap<&str, Vec<String>> = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("event", actions.iter().map(|&action| action.to_owned()).collect()),
            ("label", wanted),
        ]);
        let mut options = EventsOptionsBuilder::new().filters(&filters);
        if let Some(since) = since {
            options = options.since(&format!("{}.{:09}", since / NANOS, since % NANOS));
        }
        self.docker.events(Some(options.build())).map(|event| {
            let event = event.map_err(|cause| self.failed("report events", cause))?;
            let labels = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
            Ok(Happening {
                labels: labels.into_iter().collect(),
                at: event.time_nano.unwrap_or_default(),
            })
        })
    }
}

const NANOS: i64 = 1_000_000_000;
