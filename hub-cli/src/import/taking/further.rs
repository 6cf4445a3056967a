//! Further fields of Docker's create call, of which some have keys of their own.

use super::{Outcome, Taken, Taking, Value};

/// Where a field goes.
enum Field {
    /// To this key.
    Key(&'static str),
    /// It stays where it is.
    Stays,
    /// Nothing has to be set, because of this.
    Needless(&'static str),
    /// What to do instead.
    Instead(&'static str),
}

impl Taking<'_> {
    /// Fields that have a key of their own go there, unless that is set; the others stay
    /// in `key`.
    pub(super) fn further(&mut self, key: &str, value: &Value, line: usize) -> Taken {
        let Value::Table(fields) = value else { return self.put(key, value, line) };
        let (mut stay, mut keys) = (Vec::new(), Vec::new());
        let (mut needless, mut left) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            let text = name.as_text().unwrap_or_default();
            let told = match field(text) {
                Field::Stays => {
                    stay.push((name.clone(), value.clone()));
                    continue;
                }
                Field::Needless(why) => Err(Outcome::Needless(why.to_owned())),
                Field::Instead(what) => Err(Outcome::Left(what.to_owned())),
                Field::Key(own) => match adapted(own, value) {
                    Ok(value) => self.put(own, &value, line),
                    Err(why) => Err(Outcome::Left(format!("{why}; the key is {own}"))),
                },
            };
            match told {
                Ok(own) | Err(Outcome::Taken(own)) => keys.push(own),
                Err(Outcome::Needless(why)) => needless.push(format!("{text}: {why}")),
                Err(Outcome::Left(why)) => left.push(format!("{text}: {why}")),
            }
        }
        if !stay.is_empty() || fields.is_empty() {
            keys.push(self.put(key, &Value::Table(stay), line)?);
        }
        if !left.is_empty() {
            if !keys.is_empty() {
                left.push(format!("the rest is {}", keys.join(", ")));
            }
            return Err(Outcome::Left(left.join("; ")));
        }
        if keys.is_empty() {
            return Err(Outcome::Needless(needless.join("; ")));
        }
        Ok(keys.join(", "))
    }
}

/// By docker-py's word or the daemon's.
fn field(name: &str) -> Field {
    match snake(name).as_str() {
        "user" => Field::Key("spawner.docker.user"),
        "command" | "cmd" => Field::Key("spawner.docker.cmd"),
        "volume_driver" => Field::Key("spawner.docker.volume_driver"),
        "network_mode" => Field::Key("spawner.docker.network"),
        "mem_limit" | "memory" => Field::Key("spawner.docker.mem_limit"),
        "pids_limit" => Field::Key("spawner.docker.pids_limit"),
        "links" => Field::Key("spawner.docker.links"),
        "storage_opt" => Field::Key("spawner.docker.storage_size"),
        "image" => Field::Instead("the key is spawner.docker.image"),
        "binds" => Field::Instead("the key is spawner.docker.volumes"),
        "mounts" => Field::Instead("the key is spawner.docker.mounts"),
        "port_bindings" => Field::Instead("the key is spawner.docker.host_ip"),
        "cpu_quota" => Field::Instead("the key is spawner.docker.cpu_limit, in processors"),
        "cap_drop" => Field::Instead(
            "add them to those that spawner.docker.drop_capabilities names unless it is set",
        ),
        "log_config" => Field::Instead("there are spawner.docker.log_max_bytes and log_max_files"),
        "networking_config" => Field::Instead("the key is spawner.docker.networks"),
        "auto_remove" => Field::Needless("spawner.docker.remove says it"),
        "restart_policy" => Field::Needless("only the hub starts servers"),
        "init" => Field::Needless("servers have an init process"),
        "memswap_limit" | "memory_swap" => {
            Field::Needless("there is no swap on top of the limit of memory")
        }
        _ => Field::Stays,
    }
}

/// The value as the key has it, where Docker writes it otherwise.
fn adapted(key: &str, value: &Value) -> Result<Value, String> {
    Ok(match (key, value) {
        ("spawner.docker.user", Value::Integer(number)) => Value::Text(number.to_string()),
        ("spawner.docker.mem_limit", Value::Text(text)) => Value::Text(amount(text)),
        ("spawner.docker.mem_limit", Value::Integer(..=0)) => Value::Text("none".to_owned()),
        ("spawner.docker.pids_limit", Value::Integer(..=0)) => {
            return Err("there is always a limit".to_owned());
        }
        ("spawner.docker.storage_size", options) => match options.only("size") {
            Some(Value::Text(text)) => Value::Text(amount(text)),
            Some(size) => size.clone(),
            None => return Err("of these there is size".to_owned()),
        },
        (_, value) => value.clone(),
    })
}

/// Docker takes `8g` and `8gb` as well as `8G`.
fn amount(text: &str) -> String {
    let text = text.to_uppercase();
    match text.strip_suffix('B') {
        Some(amount) => amount.to_owned(),
        None => text,
    }
}

/// `NetworkMode` as `network_mode`.
fn snake(name: &str) -> String {
    let mut word = String::with_capacity(name.len());
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}
