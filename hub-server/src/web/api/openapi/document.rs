//! The document, made from the table of endpoints and the types.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::bodies::*;
use crate::{
    COMPATIBLE_VERSION,
    web::api::{
        Endpoint, Needs, Verb, activity, endpoints,
        groups::{self, GroupModel},
        info::{IdentityModel, InfoModel, VersionModel},
        log::ServerLogModel,
        model::{ServerModel, UserModel},
        owner::OwnerModel,
        paging::Page,
        proxy::{NewPlace, RouteModel},
        services::{NewService, ServiceModel},
        shares::{
            self,
            view::{LeftModel, NewShareCodeModel, ShareCodeModel, ShareModel},
        },
        shutdown::MessageModel,
        tokens::{self, NewTokenModel, TokenModel, TokensModel},
        users,
    },
};

/// What one operation takes and answers.
#[derive(Default)]
struct Operation {
    query: &'static [&'static str],
    body: Option<Value>,
    answers: Vec<(u16, Option<Value>)>,
    stream: bool,
}

const PAGES: &[&str] = &["offset", "limit"];

/// The whole document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut types = settings.into_generator();
    let error = schema::<Error>(&mut types);
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints() {
        // The same as without the slash.
        if endpoint.path == "/" {
            continue;
        }
        let path = if endpoint.path.is_empty() { "/" } else { endpoint.path };
        let described = operation(&endpoint, &mut types)
            .unwrap_or_else(|| panic!("{:?} {path} is not described", endpoint.verb));
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[endpoint.verb.name()] = describe(&endpoint, path, described, &error);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Notebook Hub REST API",
            "description": "JupyterHub's REST API as this hub speaks it, and what it adds.",
            "version": COMPATIBLE_VERSION,
        },
        "servers": [{ "url": "/hub/api" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": types.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "apiKey", "name": "Authorization", "in": "header",
                    "description": "`token TEXT` or `bearer TEXT`",
                },
            },
        },
    })
}

/// What the operation takes and answers.
fn operation(endpoint: &Endpoint, types: &mut SchemaGenerator) -> Option<Operation> {
    use Verb::{Delete, Get, Patch, Post, Put};
    let t = types;
    let path = endpoint.path;
    let server =
        ["/server", "/servers/", "/servers/{server}"].iter().any(|end| path.ends_with(end));
    Some(match (endpoint.verb, path) {
        (Get, "") => answer::<VersionModel>(t, 200),
        (Get, "/openapi.json") => Operation {
            answers: vec![(200, Some(json!({ "type": "object" })))],
            ..Operation::default()
        },
        (Get, "/info") => answer::<InfoModel>(t, 200),
        (Get, "/user") => answer::<IdentityModel>(t, 200),
        (Get, "/users") => answer::<ListOf<Vec<UserModel>>>(t, 200).query(&[
            "offset",
            "limit",
            "state",
            "sort",
            "name_filter",
            "include_stopped_servers",
        ]),
        (Post, "/users") => answer::<Vec<UserModel>>(t, 201).body::<users::NewUsers>(t).or(409),
        (Get, "/users/{user}") => answer::<UserModel>(t, 200).query(&["include_stopped_servers"]),
        (Post, "/users/{user}") => answer::<UserModel>(t, 201).body::<users::NewUser>(t).or(409),
        (Patch, "/users/{user}") => answer::<UserModel>(t, 200).body::<users::Change>(t),
        (Post, "/users/{user}/activity") => empty(200).body::<activity::Report>(t),
        (Post, "/users/{user}/admin-access") => empty(200),
        (Get, "/users/{user}/tokens") => answer::<TokensModel>(t, 200),
        (Post, "/users/{user}/tokens") => {
            answer::<NewTokenModel>(t, 201).body::<tokens::Body>(t).or(429)
        }
        (Get, "/users/{user}/tokens/{id}") => answer::<TokenModel>(t, 200),
        (Get, _) if server => answer::<ServerModel>(t, 200),
        (Put, _) if server => answer::<ServerModel>(t, 201).body::<ServerRequest>(t).or(409),
        (Post, _) if server => empty(201).or(202).or(429).or(500).body::<ServerRequest>(t),
        (Patch, _) if server => answer::<ServerModel>(t, 200).body::<ServerChange>(t).or(409),
        (Delete, _) if server => empty(204).or(202).body::<ServerStop>(t),
        (Get, _) if path.ends_with("/progress") => stream(),
        (Get, _) if path.ends_with("/log") => {
            answer::<ServerLogModel>(t, 200).query(&["lines", "follow"])
        }
        (Get, "/groups") => answer::<ListOf<Vec<GroupModel>>>(t, 200).query(PAGES),
        (Post, "/groups") => answer::<Vec<GroupModel>>(t, 201).body::<groups::NewGroups>(t).or(409),
        (Get, "/groups/{group}") => answer::<GroupModel>(t, 200),
        (Post, "/groups/{group}") => {
            answer::<GroupModel>(t, 201).body::<groups::NewGroup>(t).or(409)
        }
        (Post | Delete, "/groups/{group}/users") => {
            answer::<GroupModel>(t, 200).body::<groups::Members>(t)
        }
        (Put, "/groups/{group}/properties") => {
            answer::<GroupModel>(t, 200).body::<Map<String, Value>>(t)
        }
        (Get, _) if path.ends_with("/shared") => {
            answer::<Page<Vec<ShareModel>>>(t, 200).query(PAGES)
        }
        (Get, _) if path.contains("/shared/") => answer::<ShareModel>(t, 200),
        (Get, _) if path.starts_with("/shares/") => {
            answer::<Page<Vec<ShareModel>>>(t, 200).query(PAGES)
        }
        (Patch, _) if path.starts_with("/shares/") => {
            answer::<LeftModel>(t, 200).body::<shares::Request>(t)
        }
        (Post, _) if path.starts_with("/shares/") => {
            answer::<ShareModel>(t, 200).body::<shares::Request>(t)
        }
        (Get, _) if path.starts_with("/share-codes/") => {
            answer::<Page<Vec<ShareCodeModel>>>(t, 200).query(PAGES)
        }
        (Post, _) if path.starts_with("/share-codes/") => {
            answer::<NewShareCodeModel>(t, 200).body::<shares::CodeRequest>(t)
        }
        (Delete, _) if path.starts_with("/share-codes/") => empty(204).query(&["code", "id"]),
        (Get, "/services") => answer::<std::collections::BTreeMap<String, ServiceModel>>(t, 200),
        (Get, "/services/{service}") => answer::<ServiceModel>(t, 200),
        (Post, "/services/{service}") => {
            answer::<ServiceModel>(t, 201).body::<NewService>(t).or(409)
        }
        (Delete, "/services/{service}") => empty(200).or(405),
        (Get, "/proxy") => {
            answer::<ListOf<std::collections::BTreeMap<String, RouteModel>>>(t, 200).query(PAGES)
        }
        (Post, "/proxy") => empty(200),
        (Patch, "/proxy") => empty(200).body::<NewPlace>(t),
        (Post, "/shutdown") => answer::<MessageModel>(t, 202).body::<Shutdown>(t),
        (Post, "/reload") => Operation {
            answers: vec![(200, Some(json!({ "type": "object" })))],
            ..Operation::default()
        }
        .or(422),
        (Get, _) if path.starts_with("/authorizations/") => answer::<OwnerModel>(t, 200),
        (Post, "/authorizations/token") => Operation::default().or(404),
        (Delete, _) => empty(204),
        _ => return None,
    })
}

impl Operation {
    fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    fn body<T: JsonSchema>(self, types: &mut SchemaGenerator) -> Self {
        Self { body: Some(schema::<T>(types)), ..self }
    }

    /// Another status, whose body is an error's or empty.
    fn or(mut self, status: u16) -> Self {
        self.answers.push((status, None));
        self
    }
}

fn schema<T: JsonSchema>(types: &mut SchemaGenerator) -> Value {
    serde_json::to_value(types.subschema_for::<T>()).unwrap()
}

fn answer<T: JsonSchema>(types: &mut SchemaGenerator, status: u16) -> Operation {
    Operation { answers: vec![(status, Some(schema::<T>(types)))], ..Operation::default() }
}

fn empty(status: u16) -> Operation {
    Operation { answers: vec![(status, None)], ..Operation::default() }
}

fn stream() -> Operation {
    Operation { stream: true, answers: vec![(200, None)], ..Operation::default() }
}

fn describe(endpoint: &Endpoint, path: &str, operation: Operation, error: &Value) -> Value {
    let mut responses: Map<String, Value> = Map::new();
    // What any request may be told.
    let mut statuses = vec![400, 403, 404, 405, 413, 503];
    if let Needs::Nothing = endpoint.needs {
        statuses = vec![405, 503];
    }
    for status in statuses {
        responses.insert(status.to_string(), response(status, Some(error), "application/json"));
    }
    for (status, body) in &operation.answers {
        let body = body.as_ref().or((*status >= 400).then_some(error));
        let kind = if operation.stream { "text/event-stream" } else { "application/json" };
        let stream = json!({ "type": "string" });
        let body = if operation.stream { Some(&stream) } else { body };
        responses.insert(status.to_string(), response(*status, body, kind));
    }
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = in_path
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .chain(operation.query.iter().map(|name| {
            json!({ "name": name, "in": "query", "schema": { "type": "string" } })
        }))
        .collect();
    let mut described = json!({
        "summary": endpoint.about,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({ "content": { "application/json": { "schema": body } } });
    }
    match endpoint.needs {
        Needs::Nothing => described["security"] = json!([]),
        Needs::Credential => {}
        Needs::AnyOf(scopes) => {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            described["x-scopes"] = json!(scopes);
        }
    }
    described
}

fn response(status: u16, body: Option<&Value>, kind: &str) -> Value {
    let reason = http::StatusCode::from_u16(status).unwrap().canonical_reason().unwrap();
    match body {
        Some(body) => json!({ "description": reason, "content": { kind: { "schema": body } } }),
        None => json!({ "description": reason }),
    }
}
