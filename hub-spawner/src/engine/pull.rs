//! How far a pull is, from what the daemon says about single layers.

use std::collections::BTreeMap;

/// Share of a layer's work that is downloading; the rest is unpacking.
const DOWNLOAD_SHARE: f64 = 0.7;

/// One line of the daemon's report on a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullEvent {
    /// The layer it is about; `None` for remarks on the whole.
    pub layer: Option<String>,
    /// What happens, such as `Downloading` or `Pull complete`.
    pub status: String,
    /// Bytes done in this step.
    pub current: Option<u64>,
    /// Bytes to do in this step.
    pub total: Option<u64>,
}

/// Adds up [`PullEvent`]s to a percentage that never falls (SPN-13).
#[derive(Debug, Default)]
pub struct PullMeter {
    layers: BTreeMap<String, Layer>,
    percent: u8,
}

#[derive(Debug, Default)]
struct Layer {
    total: Option<u64>,
    downloaded: f64,
    unpacked: f64,
}

impl PullMeter {
    /// Takes in an event and returns how far the pull is, from 0 to 99.
    ///
    /// 100 is for the caller to say: only the end of the stream is the end.
    pub fn on(&mut self, event: &PullEvent) -> u8 {
        if let Some(id) = &event.layer {
            self.note(id, event);
            // New layers make the sum smaller; people read that as a fault.
            self.percent = self.percent.max(self.reckon());
        }
        self.percent
    }

    /// Bytes downloaded and bytes to download, as far as known.
    pub fn bytes(&self) -> (u64, u64) {
        let known = self.layers.values().filter_map(|l| l.total.map(|total| (l, total)));
        known.fold((0, 0), |(done, all), (layer, total)| {
            (done + (layer.downloaded * total as f64) as u64, all + total)
        })
    }

    fn note(&mut self, id: &str, event: &PullEvent) {
        let share = match (event.current, event.total) {
            (Some(current), Some(total)) if total > 0 => (current as f64 / total as f64).min(1.0),
            _ => 0.0,
        };
        // The tag itself is announced with its name in place of a layer.
        if event.status.starts_with("Pulling from") {
            return;
        }
        let layer = self.layers.entry(id.to_owned()).or_default();
        match event.status.as_str() {
            "Downloading" => {
                layer.total = event.total.filter(|total| *total > 0).or(layer.total);
                layer.downloaded = layer.downloaded.max(share);
            }
            "Verifying Checksum" | "Download complete" => layer.downloaded = 1.0,
            "Extracting" => {
                layer.downloaded = 1.0;
                layer.unpacked = layer.unpacked.max(share);
            }
            "Pull complete" | "Already exists" => {
                layer.downloaded = 1.0;
                layer.unpacked = 1.0;
            }
            _ => {}
        }
    }

    /// Layers weigh what they measure; one of unknown size weighs the mean.
    fn reckon(&self) -> u8 {
        let known: Vec<u64> = self.layers.values().filter_map(|layer| layer.total).collect();
        let mean = match known.len() {
            0 => 1.0,
            count => known.iter().sum::<u64>() as f64 / count as f64,
        };
        let (mut done, mut all) = (0.0, 0.0);
        for layer in self.layers.values() {
            let weight = layer.total.map_or(mean, |total| total as f64);
            let share = DOWNLOAD_SHARE * layer.downloaded + (1.0 - DOWNLOAD_SHARE) * layer.unpacked;
            done += weight * share;
            all += weight;
        }
        if all > 0.0 { (done / all * 100.0).min(99.0) as u8 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(layer: &str, status: &str, bytes: Option<(u64, u64)>) -> PullEvent {
        PullEvent {
            layer: Some(layer.to_owned()),
            status: status.to_owned(),
            current: bytes.map(|b| b.0),
            total: bytes.map(|b| b.1),
        }
    }

    #[test]
    fn spn_13_layer_bytes_become_one_percentage() {
        let mut meter = PullMeter::default();
        let rows = [
            (event("latest", "Pulling from lab", None), 0),
            (event("a", "Pulling fs layer", None), 0),
            (event("b", "Already exists", None), 50),
            (event("a", "Downloading", Some((50, 100))), 67),
            (event("a", "Download complete", None), 85),
            (event("a", "Extracting", Some((50, 100))), 92),
            (event("a", "Pull complete", None), 99),
        ];
        for (event, percent) in rows {
            assert_eq!(meter.on(&event), percent, "{}", event.status);
        }
        assert_eq!(meter.bytes(), (100, 100));
    }

    #[test]
    fn spn_13_the_percentage_never_falls() {
        let mut meter = PullMeter::default();
        meter.on(&event("a", "Downloading", Some((90, 100))));
        let before = meter.on(&event("a", "Download complete", None));
        assert_eq!(meter.on(&event("b", "Pulling fs layer", None)), before);
        assert_eq!(meter.on(&event("b", "Downloading", Some((1, 10_000)))), before);
    }
}
