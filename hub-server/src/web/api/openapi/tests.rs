use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use super::document::document;

/// What JupyterHub's own description says, reduced to paths, statuses, queries,
/// scopes, and the fields of schemas, bodies and answers with their types.
const JUPYTERHUB: &str = include_str!("fixtures/jupyterhub-6.0.json");

/// What is described otherwise here, and why.
const DESCRIBED: [(&str, &str); 3] = [
    ("get /services 200 is object<", "theirs answers a map by name as well"),
    ("patch /proxy body: no ip", "their hub reads api_url and auth_token"),
    ("patch /proxy body: no p", "their hub reads api_url and auth_token"),
];

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
fn every_field_that_jupyterhub_describes_is_there_and_of_the_same_type() {
    let official: Value = serde_json::from_str(JUPYTERHUB).unwrap();
    let ours = document();
    let mut wrong = Vec::new();
    for (schema, fields) in official["schemas"].as_object().unwrap() {
        let name = match schema.as_str() {
            // Of two parts here: a page of something.
            "PaginatedList" => continue,
            name => name,
        };
        let own = &ours["components"]["schemas"][name];
        compare(&schema.to_string(), fields, own, &ours, &mut wrong);
    }
    for (path, methods) in official["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if DELIBERATE.iter().any(|(at, how, _)| at == path && how == method) {
                continue;
            }
            let own = &ours["paths"][renamed(path)][method.as_str()];
            let at = format!("{method} {path}");
            if let Some(fields) = operation.get("body") {
                let body = &own["requestBody"]["content"]["application/json"]["schema"];
                compare(&format!("{at} body"), fields, body, &ours, &mut wrong);
            }
            if let Some(answer) = operation.get("answer") {
                let status = answer["status"].to_string();
                let body = &own["responses"][&status]["content"]["application/json"]["schema"];
                let (got, wanted) = (kind(body, &ours), answer["type"].as_str().unwrap());
                if got != wanted && !got.starts_with(&format!("{wanted}<")) {
                    wrong.push(format!("{at} {status} is {got} instead of {wanted}"));
                }
                let item = element(body, &ours);
                compare(&format!("{at} {status}"), &answer["fields"], item, &ours, &mut wrong);
            }
        }
    }
    wrong.retain(|one| !DESCRIBED.iter().any(|(known, _)| one.starts_with(known)));
    assert!(wrong.is_empty(), "described otherwise here:\n{}", wrong.join("\n"));
}

/// Every field of theirs against ours of the same name. `null` beside a type is ours
/// to say: their description is silent about it almost everywhere.
fn compare(at: &str, fields: &Value, own: &Value, document: &Value, wrong: &mut Vec<String>) {
    for (field, wanted) in fields.as_object().unwrap() {
        let wanted = wanted.as_str().unwrap();
        let Some(own) = property(own, field, document) else {
            wrong.push(format!("{at}: no {field}"));
            continue;
        };
        let got = kind(own, document);
        let same = got == wanted
            || wanted == "any"
            || (wanted, got.as_str()) == ("number", "integer")
            || (wanted, got.as_str()) == ("array<any>", "array<object>")
            || (wanted == "object" && got.starts_with("object<"));
        if !same {
            wrong.push(format!("{at}: {field} is {got} instead of {wanted}"));
        }
    }
}

/// What a reference stands for; of alternatives, the one that is not `null`.
fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return resolved(&document["components"]["schemas"][name], document);
    }
    let alternatives = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    match alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
        Some(first) => resolved(first, document),
        None => schema,
    }
}

/// The schema of a field: of its own, or of the parts it is put together from.
fn property<'a>(schema: &'a Value, field: &str, document: &'a Value) -> Option<&'a Value> {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return property(&document["components"]["schemas"][name], field, document);
    }
    schema["properties"].get(field).or_else(|| {
        let parts = ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| schema[key].as_array());
        parts.flatten().find_map(|part| property(part, field, document))
    })
}

/// What a list is of; anything else is itself.
fn element<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let list = resolved(schema, document);
    list.get("items").or(list.get("additionalProperties")).unwrap_or(schema)
}

/// The type of a schema without `null`: `string`, `array<string>`.
fn kind(schema: &Value, document: &Value) -> String {
    let schema = resolved(schema, document);
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().find(|name| **name != "null"),
        name => Some(name),
    };
    match name.and_then(Value::as_str) {
        Some("array") => format!("array<{}>", kind(&schema["items"], document)),
        // A map by name.
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("object<{}>", kind(&schema["additionalProperties"], document))
        }
        Some(name) => name.to_owned(),
        None if schema.get("properties").or(schema.get("allOf")).is_some() => "object".to_owned(),
        None => "any".to_owned(),
    }
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
