//! Any request to the REST API: an answer that the contract knows, and a table
//! that can be read afterwards.
#![no_main]

use http::{Method, Request};
use http_body_util::Full;
use hub_proxy::{
    RouteTable,
    admin::{AdminApi, Registry, Vitals},
};
use libfuzzer_sys::fuzz_target;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const METHODS: [Method; 4] = [Method::POST, Method::GET, Method::DELETE, Method::PUT];

fuzz_target!(|input: (u8, &str, &[u8])| {
    let (method, path, body) = input;
    let registry = Registry::new(RouteTable::default(), method & 0x80 != 0);
    let vitals = Vitals::new("0", CancellationToken::new(), Vec::new());
    let api = AdminApi::new(registry, None, vitals);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let ask = |method: Method, path: &str, body: &[u8]| {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Full::<hyper::body::Bytes>::new(body.to_vec().into())).ok()?;
        Some(runtime.block_on(api.clone().oneshot(request)).unwrap())
    };
    let method = METHODS[usize::from(method % 4)].clone();
    for path in [format!("/api/{path}"), "/api/routes/a".to_owned(), "/api/v2/routes".to_owned()] {
        let Some(answer) = ask(method.clone(), &path, body) else { continue };
        let status = answer.status().as_u16();
        assert!(
            matches!(status, 200 | 201 | 204 | 400 | 404 | 405 | 409 | 413),
            "{path}: {status}"
        );
        for list in ["/api/routes", "/api/v2/routes", "/api/v2/status"] {
            let listed = ask(Method::GET, list, b"").unwrap();
            let table: serde_json::Value = serde_json::from_str(listed.body()).unwrap();
            assert!(table.is_object());
        }
    }
});
