//! How an entry of the access log is written.

use std::{fmt::Write, mem};

use http::StatusCode;
use serde_json::json;

use super::LogFormat;
use crate::AccessEntry;

/// Lines that are to be written.
#[derive(Debug)]
pub(super) struct Lines {
    format: LogFormat,
    text: String,
}

impl Lines {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, text: String::new() }
    }

    pub(super) fn add(&mut self, entry: &AccessEntry) {
        // Writing to a string cannot fail.
        let _ = match self.format {
            LogFormat::Text => writeln!(self.text, "{}", text(entry)),
            LogFormat::Json => writeln!(self.text, "{}", object(entry)),
        };
    }

    /// Bytes that are there.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn take(&mut self) -> String {
        mem::take(&mut self.text)
    }
}

/// As the combined format of other servers, with nobody's name, without referrer and user
/// agent, and with seconds, target and id behind it.
fn text(entry: &AccessEntry) -> String {
    let client = or_dash(entry.client.map(|client| client.to_string()));
    let time = entry.ended.strftime("%d/%b/%Y:%H:%M:%S +0000");
    let (method, path) = (escaped(&entry.method), escaped(&entry.path));
    let status = or_dash(entry.status.map(|status| status.as_u16().to_string()));
    let seconds = entry.duration.as_secs_f64();
    let target = or_dash(entry.target.as_ref().map(|target| escaped(&target.to_string())));
    let AccessEntry { version, bytes_out, request_id, .. } = entry;
    format!(
        "{client} - - [{time}] \"{method} {path} {version:?}\" {status} {bytes_out} \"-\" \"-\" \
         {seconds:.3} {target} {request_id}"
    )
}

/// With the names that the log of the hub has.
fn object(entry: &AccessEntry) -> String {
    let ms = entry.duration.as_secs_f64() * 1000.0;
    json!({
        "timestamp": entry.ended.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        "log": "access",
        "http.ip": entry.client.map(|client| client.to_string()),
        "http.method": entry.method,
        "http.path": entry.path,
        "http.protocol": format!("{:?}", entry.version),
        "http.status": entry.status.as_ref().map(StatusCode::as_u16),
        "http.bytes_out": entry.bytes_out,
        "http.ms": (ms * 1000.0).round() / 1000.0,
        "http.target": entry.target.as_ref().map(ToString::to_string),
        "request_id": entry.request_id,
    })
    .to_string()
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// A text that ends neither its field nor its line.
fn escaped(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let _ = match byte {
            b'"' | b'\\' | ..=b' ' | 0x7f.. => write!(escaped, "\\x{byte:02X}"),
            _ => {
                escaped.push(char::from(byte));
                Ok(())
            }
        };
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Request, Version};

    use super::*;
    use crate::{AccessLog, TrustForwarded};

    fn entry() -> AccessEntry {
        let (log, mut entries) = AccessLog::with_room_for(1, None);
        let request = Request::builder().uri("/user/ada/a?token=x").body(()).unwrap();
        drop(log.begin(&request, &TrustForwarded::Nobody));
        let mut entry = entries.try_next().unwrap();
        entry.ended = "2026-11-22T22:18:34.616697Z".parse().unwrap();
        entry.duration = Duration::from_micros(12_410);
        entry.request_id = "019ab1c2".to_owned();
        entry
    }

    fn full() -> AccessEntry {
        let mut entry = entry();
        entry.client = Some([192, 0, 2, 7].into());
        entry.version = Version::HTTP_2;
        entry.status = Some(StatusCode::OK);
        entry.bytes_out = 5123;
        entry.target = Some("http://10.0.0.7:8888/base?token=x".parse().unwrap());
        entry
    }

    #[test]
    fn g_06_a_line_is_as_others_write_it() {
        assert_eq!(
            text(&full()),
            "192.0.2.7 - - [22/Nov/2026:22:18:34 +0000] \"GET /user/ada/a HTTP/2.0\" 200 5123 \
             \"-\" \"-\" 0.012 http://10.0.0.7:8888/base 019ab1c2"
        );
        assert_eq!(
            text(&entry()),
            "- - - [22/Nov/2026:22:18:34 +0000] \"GET /user/ada/a HTTP/1.1\" - 0 \"-\" \"-\" \
             0.012 - 019ab1c2"
        );
    }

    #[test]
    fn g_06_an_object_has_names_for_all_of_it() {
        let object: serde_json::Value = serde_json::from_str(&object(&full())).unwrap();
        let expected = json!({
            "timestamp": "2026-11-22T22:18:34.616697Z",
            "log": "access",
            "http.ip": "192.0.2.7",
            "http.method": "GET",
            "http.path": "/user/ada/a",
            "http.protocol": "HTTP/2.0",
            "http.status": 200,
            "http.bytes_out": 5123,
            "http.ms": 12.41,
            "http.target": "http://10.0.0.7:8888/base",
            "request_id": "019ab1c2",
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn g_06_what_a_client_writes_ends_no_line() {
        let mut entry = entry();
        entry.path = "/a\"b\\c\r\nd \u{e9}".to_owned();
        entry.method = String::new();
        let line = text(&entry);
        assert!(line.contains("\"- /a\\x22b\\x5Cc\\x0D\\x0Ad\\x20\\xC3\\xA9 HTTP/1.1\""), "{line}");
    }
}
