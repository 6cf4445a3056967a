//! What happens to containers, as it happens.

use std::{collections::HashMap, time::Duration};

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

/// How long a report may be on its way.
const REPORT_DEADLINE: Duration = Duration::from_secs(1);

impl Engine {
    /// Whether the daemon has reported that a process of a container, named by
    /// its id, was ended for want of memory. The report may come later than that
    /// of the container's end, which then says nothing of it (seen with 20.10).
    ///
    /// # Errors
    ///
    /// When the daemon cannot be asked.
    pub(crate) async fn reported_out_of_memory(&self, id: &str) -> Result<bool, EngineError> {
        let filters: HashMap<&str, Vec<String>> =
            HashMap::from([("container", vec![id.to_owned()]), ("event", vec!["oom".to_owned()])]);
        // The daemon remembers the last hundreds of all containers' events.
        let options = EventsOptionsBuilder::new().since("1").filters(&filters).build();
        let mut reports = std::pin::pin!(self.docker.events(Some(options)));
        match tokio::time::timeout(REPORT_DEADLINE, reports.next()).await {
            Ok(Some(Ok(_))) => Ok(true),
            Ok(Some(Err(cause))) => Err(self.failed("report events", cause)),
            Ok(None) | Err(_) => Ok(false),
        }
    }

    /// Reports each start of a container that is called by one of `names`, from now on,
    /// until the connection ends.
    pub(crate) fn starts_of(
        &self,
        names: &[String],
    ) -> impl Stream<Item = Result<(), EngineError>> + '_ {
        let filters: HashMap<&str, Vec<String>> = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("event", vec!["start".to_owned()]),
            ("container", names.to_vec()),
        ]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let events = self.docker.events(Some(options));
        events.map(|event| match event {
            Ok(_) => Ok(()),
            Err(cause) => Err(self.failed("report events", cause)),
        })
    }

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
