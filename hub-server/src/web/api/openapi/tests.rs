use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use super::document::document;

/// What JupyterHub's own description says, reduced to paths, statuses, queries,
/// scopes and the fields of its schemas.
const JUPYTERHUB: &str = include_str!("fixtures/jupyterhub-6.0.json");

/// What we do otherwise, and why.
const DELIBERATE: [(&str, &str, &str); 3] = [
    ("/authorizations/token", "post", "gone since JupyterHub 2: 404 with an explanation"),
    ("/oauth2/authorize", "get", "a page, not the API"),
    ("/oauth2/token", "post", "RFC 6749, not the API"),
];

#[test]
#[expect(clippy::disallowed_methods, reason = "whether to write is no configuration of a hub")]
fn the_document_is_what_the_types_say() {
    let made = document();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/api/openapi/openapi.json");
    if std::env::var("HUB_WRITE_DOCS").is_ok() {
        let text = serde_json::to_string_pretty(&sorted(&made)).unwrap();
        fs::write(&file, format!("{text}\n")).unwrap();
    }
    let carried: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(
        carried == made,
        "openapi.json is stale; make it anew: HUB_WRITE_DOCS=1 cargo test -p hub-server openapi"
    );
}

/// The same with the fields of each object in alphabetical order, which a build with
/// other features of serde_json would not keep by itself.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, Value> =
                fields.iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.into_iter().map(|(key, value)| (key.clone(), value)).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[test]
fn everything_that_jupyterhub_describes_is_there() {
    let official: Value = serde_json::from_str(JUPYTERHUB).unwrap();
    let ours = document();
    let mut missing = Vec::new();
    for (path, methods) in official["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if DELIBERATE.iter().any(|(at, how, _)| at == path && how == method) {
                continue;
            }
            let Some(own) = ours["paths"].get(renamed(path)).and_then(|own| own.get(method)) else {
                missing.push(format!("{method} {path}"));
                continue;
            };
            for status in operation["statuses"].as_array().unwrap() {
                // Ours is 403 where theirs says 401, as theirs really answers.
                let status = if *status == 401 { 403 } else { status.as_u64().unwrap() };
                if own["responses"].get(status.to_string()).is_none() {
                    missing.push(format!("{method} {path}: status {status}"));
                }
            }
            let query: BTreeSet<&str> = own["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|one| one["in"] == "query")
                .filter_map(|one| one["name"].as_str())
                .collect();
            for name in operation["query"].as_array().unwrap() {
                let name = name.as_str().unwrap();
                // Their description says so; their hub never read it (hub-contract 5.1).
                let never_read = path == "/services";
                if !query.contains(name) && !never_read {
                    missing.push(format!("{method} {path}: query {name}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not described here:\n{}", missing.join("\n"));
}

#[test]
fn every_field_that_jupyterhub_describes_is_there() {
    let official: Value = serde_json::from_str(JUPYTERHUB).unwrap();
    let ours = document();
    let mut missing = Vec::new();
    for (schema, fields) in official["schemas"].as_object().unwrap() {
        let name = match schema.as_str() {
            "User" => "UserModel",
            "Server" => "ServerModel",
            // Of two parts here: a page of something.
            "PaginatedList" => continue,
            name => name,
        };
        let own = &ours["components"]["schemas"][name]["properties"];
        for field in fields.as_object().unwrap().keys() {
            if own.get(field).is_none() {
                missing.push(format!("{schema}.{field}"));
            }
        }
    }
    assert!(missing.is_empty(), "not described here: {missing:?}");
}

/// Their names of path parameters, as ours.
fn renamed(path: &str) -> String {
    let kind = path.split('/').nth(1).unwrap_or_default();
    let name = match kind {
        "users" => "{user}",
        "groups" => "{group}",
        "services" => "{service}",
        other => other,
    };
    path.replace("{name}", name)
        .replace("{server_name}", "{server}")
        .replace("{token_id}", "{id}")
        .replace("{cookie_name}", "{name}")
        .replace("{cookie_value}", "{value}")
}
