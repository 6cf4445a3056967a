//! Graphics processors of servers (SPN-35). Pure.

use std::{collections::BTreeSet, fmt};

use bollard::models::DeviceRequest;
use serde::{Deserialize, Deserializer, de};

use crate::{InvalidConfig, SpawnError};

/// The graphics processors of one server. Written `"all"`, as a number, or as a list
/// of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gpus {
    /// It has none.
    #[default]
    None,
    /// All of the machine, which it may share with others.
    All,
    /// So many: of `gpu_pool` if there is one, else whichever the daemon picks.
    Count(u32),
    /// These, which it may share with others.
    Ids(Vec<String>),
}

impl Gpus {
    /// How many of a pool a server gets; `None` where there is no choosing.
    fn of_pool(&self) -> Option<u32> {
        match self {
            Self::Count(count) if *count > 0 => Some(*count),
            Self::None | Self::All | Self::Count(_) | Self::Ids(_) => None,
        }
    }

    /// Whether a server gets any.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::None | Self::Count(0))
    }

    /// Checks against the pool.
    ///
    /// # Errors
    ///
    /// If the pool is too small for a single server, or names one twice.
    pub(super) fn check(&self, pool: &[String]) -> Result<(), InvalidConfig> {
        if pool.iter().collect::<BTreeSet<_>>().len() != pool.len() {
            return Err(InvalidConfig::new("gpu_pool", "names one processor twice"));
        }
        match self {
            Self::All | Self::Ids(_) if !pool.is_empty() => Err(InvalidConfig::new(
                "gpus",
                "has to be a number where there is a gpu_pool: so many each server gets",
            )),
            Self::Count(count) if !pool.is_empty() && *count as usize > pool.len() => {
                Err(InvalidConfig::new("gpus", "is more than gpu_pool has"))
            }
            Self::None | Self::All | Self::Count(_) | Self::Ids(_) => Ok(()),
        }
    }

    /// The ids a new server gets of `pool`, of which `taken` are in use; `None` if it
    /// gets none of a pool.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoCapacity`] if too few are free.
    pub(super) fn assign(
        &self,
        pool: &[String],
        taken: &BTreeSet<String>,
    ) -> Result<Option<Vec<String>>, SpawnError> {
        let Some(count) = self.of_pool().filter(|_| !pool.is_empty()) else { return Ok(None) };
        let free = pool.iter().filter(|id| !taken.contains(*id));
        let ids: Vec<String> = free.take(count as usize).cloned().collect();
        if ids.len() < count as usize {
            return Err(SpawnError::NoCapacity {
                reason: "all graphics processors are in use",
                source: format!("{count} wanted, {} free of gpu_pool", ids.len()).into(),
            });
        }
        Ok(Some(ids))
    }

    /// What the daemon is asked for, where `assigned` are those of a pool.
    pub(super) fn request(&self, assigned: Option<&[String]>) -> Option<Vec<DeviceRequest>> {
        let (count, ids) = match (self, assigned) {
            (_, Some(ids)) => (None, Some(ids.to_vec())),
            (Self::None | Self::Count(0), None) => return None,
            (Self::All, None) => (Some(-1), None),
            (Self::Count(count), None) => (Some(i64::from(*count)), None),
            (Self::Ids(ids), None) => (None, Some(ids.clone())),
        };
        Some(vec![DeviceRequest {
            count,
            device_ids: ids,
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        }])
    }
}

impl<'de> Deserialize<'de> for Gpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> de::Visitor<'de> for Words {
            type Value = Gpus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\", a number, or a list of ids")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Gpus, E> {
                match text {
                    "all" => Ok(Gpus::All),
                    "" | "none" => Ok(Gpus::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Gpus, E> {
                u32::try_from(count)
                    .map(Gpus::Count)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(count), &self))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Gpus, E> {
                u64::try_from(count)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(count), &self))
                    .and_then(|count| self.visit_u64(count))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Gpus, A::Error> {
                let mut ids = Vec::new();
                while let Some(id) = list.next_element::<String>()? {
                    ids.push(id);
                }
                Ok(if ids.is_empty() { Gpus::None } else { Gpus::Ids(ids) })
            }
        }

        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn spn_35_what_is_written_becomes_a_device_request() {
        let rows = [
            (json!("all"), json!([{"Count": -1, "Capabilities": [["gpu"]]}])),
            (json!(2), json!([{"Count": 2, "Capabilities": [["gpu"]]}])),
            (json!(["GPU-1"]), json!([{"DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}])),
            (json!(0), json!(null)),
            (json!([]), json!(null)),
        ];
        for (written, request) in rows {
            let gpus: Gpus = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(gpus.request(None)).unwrap(), request, "{written}");
        }
        for wrong in [json!("some"), json!(-1), json!({"a": 1})] {
            assert!(serde_json::from_value::<Gpus>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spn_35_no_two_servers_get_one_processor_of_a_pool() {
        let pool = ids(&["0", "1", "2"]);
        let mut taken = BTreeSet::new();
        let two = Gpus::Count(2);
        let first = two.assign(&pool, &taken).unwrap().unwrap();
        assert_eq!(first, ["0", "1"]);
        let asked = serde_json::to_value(two.request(Some(&first))).unwrap();
        assert_eq!(asked[0]["DeviceIDs"], json!(["0", "1"]));
        taken.extend(first);
        let refused = two.assign(&pool, &taken).unwrap_err();
        assert!(refused.is_transient() && refused.user_message().contains("graphics"));
        assert_eq!(Gpus::Count(1).assign(&pool, &taken).unwrap(), Some(ids(&["2"])));
        taken.remove("1");
        assert_eq!(two.assign(&pool, &taken).unwrap(), Some(ids(&["1", "2"])));
        assert_eq!(Gpus::Count(1).assign(&[], &taken).unwrap(), None, "without a pool");
    }

    #[test]
    fn a_pool_has_to_do_for_one_server() {
        let pool = ids(&["0", "1"]);
        assert!(Gpus::Count(2).check(&pool).is_ok());
        assert!(Gpus::Count(3).check(&pool).is_err());
        assert!(Gpus::All.check(&pool).is_err());
        assert!(Gpus::All.check(&[]).is_ok());
        assert!(Gpus::Count(1).check(&ids(&["0", "0"])).is_err());
    }
}
