//! A stand-in for the hub: answers what it is told to, and notes every request
//! that nobody told it of.

mod body;
mod route;

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::oneshot,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls};

pub(crate) use self::route::Route;
use self::{body::Body, route::Answer};
use super::program::{self, Run, TOKEN};

/// A hub that answers from a script.
pub(crate) struct StandIn {
    address: SocketAddr,
    scheme: &'static str,
    script: Arc<Script>,
    _stop: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Script {
    routes: Mutex<Vec<Route>>,
    problems: Mutex<Vec<String>>,
}

impl StandIn {
    /// Starts to answer, without TLS.
    pub(crate) fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        Self::start(routes, None)
    }

    /// Starts to answer, with TLS and a certificate that signs itself. Returns the
    /// certificate too, in PEM form.
    pub(crate) fn with_tls(
        certificate: CertificateParams,
        routes: impl IntoIterator<Item = Route>,
    ) -> (Self, String) {
        let key = KeyPair::generate().unwrap();
        let cert = certificate.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.serialize_der().try_into().unwrap())
            .unwrap();
        (Self::start(routes, Some(TlsAcceptor::from(Arc::new(config)))), cert.pem())
    }

    /// The address to give to the program.
    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// Runs the program against this hub and checks that it asked for all that
    /// was expected and for nothing else.
    pub(crate) fn run(self, args: &[&str]) -> Run {
        let run = program::run(&mut self.command(args));
        self.check(&run);
        run
    }

    /// The program, told of this hub.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program::hub(args);
        command.env("HUB_URL", self.url());
        command
    }

    /// Checks that all that was expected was asked for, and nothing else.
    pub(crate) fn check(&self, run: &Run) {
        let problems = self.script.problems.lock().unwrap().clone();
        assert_eq!(problems, [""; 0], "{run:?}");
        let routes = self.script.routes.lock().unwrap();
        let unused: Vec<&str> =
            routes.iter().filter(|route| route.is_missing()).map(Route::name).collect();
        assert_eq!(unused, [""; 0], "never asked for; {run:?}");
    }

    fn start(routes: impl IntoIterator<Item = Route>, tls: Option<TlsAcceptor>) -> Self {
        let script = Arc::new(Script {
            routes: Mutex::new(routes.into_iter().collect()),
            problems: Mutex::default(),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("localhost:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener, shared, tls) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address: address.recv().unwrap(), scheme, script, _stop: stop }
    }
}

async fn serve(listener: TcpListener, script: Arc<Script>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (script, tls) = (Arc::clone(&script), tls.clone());
        connections.spawn(async move {
            match tls {
                None => converse(stream, script).await,
                // A client that does not trust us goes away; that is its test.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, script).await;
                    }
                }
            }
        });
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, script: Arc<Script>) {
    let service = service_fn(|request| {
        let script = Arc::clone(&script);
        async move { Ok::<_, std::convert::Infallible>(script.answer(request).await) }
    });
    // The program may leave in the middle of an answer.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Script {
    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Response<BoxBody<bytes::Bytes, std::convert::Infallible>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let name = format!("{} {}", head.method, head.uri);
        let answer = match self.take(&name, &head.headers, &body) {
            Ok(answer) => answer,
            Err(problem) => {
                self.problems.lock().unwrap().push(format!("{name}: {problem}"));
                Answer::json(500, &json!({ "status": 500, "message": "the test failed" }))
            }
        };
        if let Some(gate) = answer.gate {
            let _ = gate.await;
        }
        let mut response = Response::new(answer.body.into_boxed());
        *response.status_mut() = answer.status.try_into().unwrap();
        for (name, value) in answer.headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    }

    /// The answer of the first route of this name that still has one.
    fn take(&self, name: &str, headers: &HeaderMap, body: &[u8]) -> Result<Answer, String> {
        let mut routes = self.routes.lock().unwrap();
        let route = routes
            .iter_mut()
            .find(|route| route.name() == name && !route.is_used_up())
            .ok_or("nobody expected this")?;
        let given = headers.get(http::header::AUTHORIZATION).map(|value| value.to_str().unwrap());
        let expected = format!("token {TOKEN}");
        if given != (!route.is_open()).then_some(expected.as_str()) {
            return Err(format!("wrong authorization: {given:?}"));
        }
        if let Some(wanted) = route.accept()
            && headers.get(http::header::ACCEPT).is_none_or(|value| value != wanted)
        {
            return Err(format!("does not accept {wanted}"));
        }
        let body: Value = match body {
            [] => Value::Null,
            body => serde_json::from_slice(body).map_err(|error| error.to_string())?,
        };
        if &body != route.body() {
            return Err(format!("wrong body: {body}"));
        }
        Ok(route.take())
    }
}
