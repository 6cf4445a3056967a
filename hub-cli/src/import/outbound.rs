//! `http_request_kwargs`: how JupyterHub's provider is asked, in words of its HTTP client.

use url::Url;

use super::{
    place::Place,
    value::{Unknown, Value},
};

/// What a dictionary of them says.
pub(super) struct Kwargs {
    /// Keys of ours with their values.
    pub(super) keys: Vec<(Place, Value)>,
    /// What has none, for people.
    pub(super) left: Vec<&'static str>,
}

/// Reads the dictionary.
pub(super) fn request_kwargs(value: &Value) -> Result<Kwargs, Unknown> {
    let Value::Table(pairs) = value else {
        return Err(Unknown(format!("is {}, where a dictionary is needed", value.kind())));
    };
    let mut read = Kwargs { keys: Vec::new(), left: Vec::new() };
    if let Some(url) = proxy(value)? {
        read.keys.push((Place::Key("auth.outbound.proxy_url"), Value::Text(url)));
    }
    for (name, value) in pairs {
        match name.as_text().unwrap_or_default() {
            "ca_certs" => read.keys.push((Place::Key("auth.outbound.ca_file"), value.clone())),
            "request_timeout" => read.keys.push((Place::Provider("timeout_seconds"), value.clone())),
            "proxy_host" | "proxy_port" | "proxy_username" | "proxy_password" => {}
            "proxy_auth_mode" if value.as_text() == Some("basic") => {}
            "validate_cert" if *value == Value::Boolean(true) => {}
            "proxy_auth_mode" => read.left.push("proxy_auth_mode: proxies are told a password only by \"basic\""),
            "validate_cert" => read.left.push("validate_cert: certificates are always checked; name an authority in auth.outbound.ca_file"),
            "connect_timeout" => read.left.push("connect_timeout: timeout_seconds of the provider is for all of a request"),
            _ => read.left.push("others than proxy_*, ca_certs and request_timeout"),
        }
    }
    Ok(read)
}

/// The proxy as one address.
fn proxy(kwargs: &Value) -> Result<Option<String>, Unknown> {
    let text = |name: &str| match kwargs.get(name) {
        None | Some(Value::None) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.as_str())),
        Some(other) => Err(Unknown(format!(
            "has {} as {name}, so write auth.outbound.proxy_url yourself",
            other.kind()
        ))),
    };
    let Some(host) = text("proxy_host")? else { return Ok(None) };
    let wrong = || {
        Unknown(
            "has a proxy whose address makes no URL; write auth.outbound.proxy_url yourself"
                .to_owned(),
        )
    };
    let mut url = Url::parse(&format!("http://{host}")).map_err(|_| wrong())?;
    let port = match kwargs.get("proxy_port") {
        Some(Value::Integer(port)) => u16::try_from(*port).map_err(|_| wrong())?,
        _ => return Err(wrong()),
    };
    let (name, password) = (text("proxy_username")?, text("proxy_password")?);
    url.set_username(name.unwrap_or_default())
        .and_then(|()| url.set_password(text_or_none(password)))
        .and_then(|()| url.set_port(Some(port)))
        .map_err(|()| wrong())?;
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

/// Python's `""` and `None` are both no password.
fn text_or_none(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
