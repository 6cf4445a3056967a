//! One request that is expected, and its answer.

use serde_json::{Value, json};
use tokio::sync::{mpsc::UnboundedReceiver, oneshot};

use super::Body;

/// An expected request and its answer. Answered once, unless it is
/// [`repeated`](Self::repeated).
#[derive(Debug)]
pub(crate) struct Route {
    name: String,
    wanted: Value,
    accept: Option<&'static str>,
    open: bool,
    optional: bool,
    repeated: bool,
    used: bool,
    answer: Option<Answer>,
    opens: Option<oneshot::Sender<()>>,
    repeat: Option<(u16, &'static str, String)>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
    pub(super) gate: Option<oneshot::Receiver<()>>,
}

impl Answer {
    pub(super) fn json(status: u16, json: &Value) -> Self {
        Self::text(status, "application/json", &json.to_string())
    }

    fn text(status: u16, content_type: &str, text: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: Body::Whole(text.to_owned().into()),
            gate: None,
        }
    }
}

impl Route {
    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub(crate) fn patch(path: &str) -> Self {
        Self::new("PATCH", path)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    fn new(method: &str, path: &str) -> Self {
        Self {
            name: format!("{method} {path}"),
            wanted: Value::Null,
            accept: None,
            open: false,
            optional: false,
            repeated: false,
            used: false,
            answer: Some(Answer::text(204, "text/plain", "")),
            opens: None,
            repeat: None,
        }
    }

    /// The request has to have this body.
    pub(crate) fn with(mut self, body: Value) -> Self {
        self.wanted = body;
        self
    }

    /// The request has to have this `Accept` header.
    pub(crate) fn accepting(mut self, accept: &'static str) -> Self {
        self.accept = Some(accept);
        self
    }

    /// The request must come without a token.
    pub(crate) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// The request may come or not, and more than once. Goes before the answer.
    pub(crate) fn repeated(mut self) -> Self {
        self.optional = true;
        self.repeated = true;
        self
    }

    /// Answered with JSON.
    pub(crate) fn json(self, status: u16, json: Value) -> Self {
        self.text(status, "application/json", &json.to_string())
    }

    /// Answered with an error of the API.
    pub(crate) fn error(self, status: u16, message: &str) -> Self {
        self.json(status, json!({ "status": status, "message": message }))
    }

    /// Answered with a body that need not be JSON.
    pub(crate) fn text(mut self, status: u16, content_type: &'static str, text: &str) -> Self {
        self.repeat = self.repeated.then(|| (status, content_type, text.to_owned()));
        self.answer = Some(Answer::text(status, content_type, text));
        self
    }

    /// Answered with a stream of these server-sent events, and then its end.
    pub(crate) fn told(self, events: &[Value]) -> Self {
        let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        self.text(200, "text/event-stream", &format!("\n\n{events}"))
    }

    /// Answered with server-sent events, as they come.
    pub(crate) fn events(mut self, events: UnboundedReceiver<String>) -> Self {
        let mut answer = Answer::text(200, "text/event-stream", "");
        answer.body = Body::Stream(events);
        self.answer = Some(answer);
        self
    }

    /// The answer has one more header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.answer.as_mut().unwrap().headers.push((name, value.to_owned()));
        self
    }

    /// Not answered before `gate` opens.
    pub(crate) fn after(mut self, gate: oneshot::Receiver<()>) -> Self {
        self.answer.as_mut().unwrap().gate = Some(gate);
        self
    }

    /// The request opens `gate`.
    pub(crate) fn opening(mut self, gate: oneshot::Sender<()>) -> Self {
        self.opens = Some(gate);
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn accept(&self) -> Option<&'static str> {
        self.accept
    }

    pub(super) fn body(&self) -> &Value {
        &self.wanted
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.answer.is_none() && self.repeat.is_none()
    }

    pub(super) fn is_missing(&self) -> bool {
        !self.used && !self.optional
    }

    pub(super) fn take(&mut self) -> Answer {
        self.used = true;
        if let Some(gate) = self.opens.take() {
            let _ = gate.send(());
        }
        let repeat =
            self.repeat.as_ref().map(|(status, kind, text)| Answer::text(*status, kind, text));
        self.answer.take().or(repeat).expect("a route that is used up is not asked")
    }
}
