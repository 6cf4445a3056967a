//! Limits of a container that is there, changed while it runs.

use bollard::models::ContainerUpdateBody;

use crate::engine::{Engine, EngineError};

/// Limits to set; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ContainerLimits {
    /// Memory it may use, in bytes; no swap on top.
    pub memory: Option<u64>,
    /// Processors it may use.
    pub cpus: Option<f64>,
    /// The period that they are counted in, in microseconds; `None`: Docker's default.
    pub cpu_period: Option<i64>,
    /// Processes and threads it may have.
    pub pids: Option<u32>,
}

/// The period that a processor limit is counted in, in microseconds: Docker's default.
const CPU_PERIOD: i64 = 100_000;

impl Engine {
    /// Changes a container's limits.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotFound`] if there is no such container,
    /// [`EngineError::Refused`] if it uses more memory now than it is to have.
    pub async fn set_limits(&self, id: &str, limits: ContainerLimits) -> Result<(), EngineError> {
        let call = Box::pin(self.docker.update_container(id, body(limits)));
        self.change("change a container's limits", call).await
    }
}

fn body(limits: ContainerLimits) -> ContainerUpdateBody {
    let memory = limits.memory.and_then(|bytes| i64::try_from(bytes).ok());
    let period = limits.cpu_period.unwrap_or(CPU_PERIOD);
    ContainerUpdateBody {
        memory,
        memory_swap: memory,
        cpu_period: limits.cpus.map(|_| period),
        cpu_quota: limits.cpus.map(|count| (count * period as f64) as i64),
        pids_limit: limits.pids.map(i64::from),
        ..ContainerUpdateBody::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_4_only_what_is_to_change_is_sent() {
        let body = |limits| serde_json::to_value(body(limits)).unwrap();
        assert_eq!(body(ContainerLimits::default()), serde_json::json!({}));
        let both =
            ContainerLimits { memory: Some(1024), cpus: Some(0.5), ..ContainerLimits::default() };
        assert_eq!(
            body(both),
            serde_json::json!({"Memory": 1024, "MemorySwap": 1024, "CpuPeriod": 100_000, "CpuQuota": 50_000})
        );
        let of_short_periods = ContainerLimits { cpu_period: Some(50_000), ..both };
        assert_eq!(body(of_short_periods)["CpuPeriod"], 50_000);
        assert_eq!(body(of_short_periods)["CpuQuota"], 25_000);
    }
}
