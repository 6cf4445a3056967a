//! How much of the disk volumes take.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Engine, EngineError, transport};

const ACTION: &str = "measure volumes";

/// How long the daemon may take: it looks at every file.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(300);

/// As much of the answer as is about volumes: before API 1.52 a list, since then in a
/// summary, too (API-2).
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Usage {
    volumes: Option<Vec<Volume>>,
    volume_usage: Option<Summary>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Summary {
    items: Option<Vec<Volume>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Volume {
    name: String,
    usage_data: Option<Size>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Size {
    size: i64,
}

impl Engine {
    /// The size in bytes of each volume that the daemon can measure. It looks at every
    /// file for that: do not ask often.
    pub async fn volume_sizes(&self) -> Result<BTreeMap<String, u64>, EngineError> {
        let Some(host) = &self.shared.host else { return Ok(BTreeMap::new()) };
        // Not counted as a call in flight: it mostly waits.
        let asked = tokio::time::timeout(DEADLINE, transport::get(host, "/system/df"));
        let answer = match asked.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(source)) => return Err(EngineError::Broken { action: ACTION, source }),
            Err(_) => return Err(EngineError::TimedOut { action: ACTION, after: DEADLINE }),
        };
        let usage: Usage = serde_json::from_slice(&answer)
            .map_err(|error| EngineError::Broken { action: ACTION, source: error.into() })?;
        Ok(sizes(usage))
    }
}

fn sizes(usage: Usage) -> BTreeMap<String, u64> {
    let listed = usage.volumes.or(usage.volume_usage.and_then(|summary| summary.items));
    let measured = listed.into_iter().flatten().filter_map(|volume| {
        // -1: the driver cannot tell.
        let size = volume.usage_data?.size.try_into().ok()?;
        Some((volume.name, size))
    });
    measured.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_2_sizes_are_read_from_old_and_new_daemons() {
        for json in [
            r#"{"Volumes": [{"Name": "a", "UsageData": {"Size": 7, "RefCount": 1}},
                            {"Name": "b", "UsageData": {"Size": -1}}, {"Name": "c"}],
                "Images": null}"#,
            r#"{"VolumeUsage": {"Items": [{"Name": "a", "UsageData": {"Size": 7}}]}}"#,
        ] {
            let sizes = sizes(serde_json::from_str(json).unwrap());
            assert_eq!(sizes, [("a".to_owned(), 7)].into(), "{json}");
        }
        assert!(sizes(serde_json::from_str("{}").unwrap()).is_empty());
    }
}
