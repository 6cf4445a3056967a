//! Services of a swarm, their tasks and the nodes they run on.

use std::{collections::HashMap, time::Duration};

use bollard::{
    models::{NetworkCreateRequest, Node, SecretSpec, Service, ServiceSpec, Task},
    query_parameters::{
        InspectServiceOptions, ListNodesOptions, ListSecretsOptionsBuilder,
        ListServicesOptionsBuilder, ListTasksOptions, LogsOptionsBuilder,
    },
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::{CALL_DEADLINE, Credentials, Engine, EngineError, Labels, label_filters};

/// How long a service's log may take: its nodes are asked one by one.
const LOG_DEADLINE: Duration = Duration::from_secs(10);

impl Engine {
    /// Whether the daemon manages a swarm.
    pub(crate) async fn is_swarm_manager(&self) -> Result<bool, EngineError> {
        let info = self.read("tell about itself", || self.docker.info()).await?;
        Ok(info.swarm.and_then(|swarm| swarm.control_available).unwrap_or_default())
    }

    /// Makes sure that there is a network called `name`: an existing one as it is, else
    /// a new overlay to which containers may be attached.
    pub(crate) async fn ensure_overlay(
        &self,
        name: &str,
        labels: &Labels,
    ) -> Result<(), EngineError> {
        if self.network(name).await?.is_some() {
            return Ok(());
        }
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("overlay".to_owned()),
            attachable: Some(true),
            labels: Some(labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        match self.change("create a network", self.docker.create_network(request)).await {
            // Somebody else was faster.
            Ok(_) | Err(EngineError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a service and returns its id. Nodes get the login for its image along.
    pub(crate) async fn create_service(
        &self,
        spec: ServiceSpec,
        credentials: Option<Credentials>,
    ) -> Result<String, EngineError> {
        let credentials = credentials.as_ref().map(Credentials::to_wire);
        let call = Box::pin(self.docker.create_service(spec, credentials));
        Ok(self.change("create a service", call).await?.id.unwrap_or_default())
    }

    /// All services with these labels.
    pub(crate) async fn services(&self, labels: &Labels) -> Result<Vec<Service>, EngineError> {
        let options = ListServicesOptionsBuilder::new().filters(&label_filters(labels)).build();
        let list = || self.docker.list_services(Some(options.clone()));
        let mut found = self.read("list services", list).await?;
        // To a swarm a label without a value is one with any.
        found.retain(|service| {
            has_all(service.spec.as_ref().and_then(|spec| spec.labels.as_ref()), labels)
        });
        Ok(found)
    }

    /// The service of this id or name, if there is one.
    pub(crate) async fn service(&self, id: &str) -> Result<Option<Service>, EngineError> {
        let call = || self.docker.inspect_service(id, None::<InspectServiceOptions>);
        match self.read("look at a service", call).await {
            Ok(found) => Ok(Some(found)),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a service. Succeeds if there is none.
    pub(crate) async fn remove_service(&self, id: &str) -> Result<(), EngineError> {
        match self.once("remove a service", CALL_DEADLINE, self.docker.delete_service(id)).await {
            Ok(()) | Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The tasks of all services.
    pub(crate) async fn tasks(&self) -> Result<Vec<Task>, EngineError> {
        self.read("list tasks", || self.docker.list_tasks(None::<ListTasksOptions>)).await
    }

    /// The tasks of one service, which may be gone already.
    pub(crate) async fn tasks_of(&self, service: &str) -> Result<Vec<Task>, EngineError> {
        // The daemon's filter knows no service that was removed.
        let mut all = self.tasks().await?;
        all.retain(|task| task.service_id.as_deref() == Some(service));
        Ok(all)
    }

    /// The machines of the swarm.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, EngineError> {
        self.read("list nodes", || self.docker.list_nodes(None::<ListNodesOptions>)).await
    }

    /// Keeps a secret for services and returns its id.
    pub(crate) async fn create_secret(
        &self,
        name: &str,
        labels: &Labels,
        base64: String,
    ) -> Result<String, EngineError> {
        let spec = SecretSpec {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            data: Some(base64),
            ..SecretSpec::default()
        };
        Ok(self.change("keep a secret", self.docker.create_secret(spec)).await?.id)
    }

    /// Removes the secrets with these labels.
    pub(crate) async fn remove_secrets(&self, labels: &Labels) -> Result<(), EngineError> {
        let options = ListSecretsOptionsBuilder::new().filters(&label_filters(labels)).build();
        let found =
            self.read("list secrets", || self.docker.list_secrets(Some(options.clone()))).await?;
        let ours = found.into_iter().filter(|secret| {
            has_all(secret.spec.as_ref().and_then(|spec| spec.labels.as_ref()), labels)
        });
        for id in ours.filter_map(|secret| secret.id) {
            match self.change("remove a secret", self.docker.delete_secret(&id)).await {
                Ok(()) | Err(EngineError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The last lines a service's tasks printed. What cannot be had is left out: a
    /// machine may be gone.
    pub(crate) async fn service_log(&self, id: &str, lines: usize) -> String {
        let mut text = Vec::new();
        let mut parts = std::pin::pin!(self.service_log_follow(id, lines, false));
        let read = async {
            while let Some(Ok(part)) = parts.next().await {
                text.extend_from_slice(&part);
            }
        };
        // What came until then is told.
        let _ = tokio::time::timeout(LOG_DEADLINE, read).await;
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The same, and what they will print with `follow`, without end.
    pub(crate) fn service_log_follow(
        &self,
        id: &str,
        lines: usize,
        follow: bool,
    ) -> impl Stream<Item = Result<Bytes, EngineError>> + Send + use<> {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(follow)
            .tail(&lines.to_string())
            .build();
        let engine = self.clone();
        self.docker.service_logs(id, Some(options)).map(move |part| match part {
            Ok(part) => Ok(part.into_bytes()),
            Err(cause) => Err(engine.failed("read a service's log", cause)),
        })
    }
}

fn has_all(found: Option<&HashMap<String, String>>, wanted: &Labels) -> bool {
    wanted.iter().all(|(name, value)| found.and_then(|found| found.get(name)) == Some(value))
}
