//! A browser without pages: cookies with their paths, redirects one by one,
//! forms with their hidden fields.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, Method, header};
use serde_json::Value;
use url::Url;

use crate::{TestHub, hub::PASSWORD, wait::eventually};

/// Most redirects in a row, as browsers allow.
const MOST_REDIRECTS: usize = 20;

/// One person's browser.
#[derive(Clone, Debug)]
pub struct Browser {
    client: Client,
    hub: Url,
    /// What all paths begin with; without a slash at its end.
    base: String,
    ca: Option<String>,
    jar: BTreeMap<Key, String>,
}

/// Cookies are told apart by host, name and path (RFC 6265 section 5.3); ports
/// do not matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    host: String,
    name: String,
    path: String,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where it came from, after redirects.
    pub url: Url,
    /// Its header fields.
    pub headers: header::HeaderMap,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// Where the answer sends the browser, if it does.
    pub fn location(&self) -> Option<Url> {
        let location = self.headers.get(header::LOCATION)?.to_str().unwrap();
        Some(self.url.join(location).unwrap())
    }

    /// The value of a hidden field.
    pub fn field(&self, name: &str) -> String {
        let after = self
            .text
            .split(&format!("name=\"{name}\" value=\""))
            .nth(1)
            .unwrap_or_else(|| panic!("no field {name} in {self:#?}"));
        after.split('"').next().unwrap().to_owned()
    }
}

impl Browser {
    /// A browser in which nobody is signed in.
    pub fn new(hub: &TestHub) -> Self {
        Self::at(&hub.url, hub.client().clone(), hub.ca.clone())
    }

    /// The same for a hub that is not a [`TestHub`]. `client` follows no redirect.
    pub fn at(hub: &str, client: Client, ca: Option<String>) -> Self {
        let base = String::new();
        Self { client, hub: hub.parse().unwrap(), base, ca, jar: BTreeMap::new() }
    }

    /// The same for a hub whose base URL is `base`. All paths are below that.
    #[must_use]
    pub fn below(self, base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), ..self }
    }

    /// The address of a path of the hub.
    pub fn address(&self, path: &str) -> Url {
        self.hub.join(&format!("{}{path}", self.base)).unwrap()
    }

    /// The path of an address, as seen from the hub's base URL.
    pub fn path_of<'a>(&self, url: &'a Url) -> &'a str {
        url.path().strip_prefix(&self.base).expect("below the base URL")
    }

    /// Signs in with the form of the hub.
    pub async fn sign_in(&mut self, user: &str) -> Answer {
        let page = self.get("/hub/login?next=%2Fhub%2Fhome").await;
        let form = [
            ("_xsrf", page.field("_xsrf")),
            ("username", user.to_owned()),
            ("password", PASSWORD.to_owned()),
        ];
        let answer = self.submit("/hub/login?next=%2Fhub%2Fhome", &form).await;
        assert_eq!((answer.status, self.path_of(&answer.url)), (200, "/hub/home"), "{answer:?}");
        answer
    }

    /// Starts one's server with the button on the home page and waits until the
    /// browser is let into it.
    pub async fn start_server(&mut self, user: &str) {
        let home = self.get("/hub/home").await;
        self.submit(&format!("/hub/spawn/{user}"), &[("_xsrf", home.field("_xsrf"))]).await;
        self.wait_for_server(user).await;
    }

    /// Waits until the pending page leads to the server, and goes in.
    pub async fn wait_for_server(&mut self, user: &str) {
        let browser = &*self;
        let entered = eventually("the pending page leads to the server", || {
            let mut browser = browser.clone();
            async move {
                let answer = browser.get(&format!("/hub/spawn-pending/{user}")).await;
                let there = answer.status == 200
                    && browser.path_of(&answer.url).starts_with(&format!("/user/{user}/"));
                if there { Ok(browser) } else { Err((answer.status, answer.url)) }
            }
        })
        .await;
        *self = entered;
    }

    /// Opens an address of the hub and follows where it leads.
    pub async fn get(&mut self, path: &str) -> Answer {
        let url = self.address(path);
        let answer = self.once(Method::GET, url, &[], None).await;
        self.follow(answer).await
    }

    /// As [`get`](Self::get), without following redirects.
    pub async fn look(&mut self, path: &str) -> Answer {
        let url = self.address(path);
        self.once(Method::GET, url, &[], None).await
    }

    /// Sends a form and follows where that leads.
    pub async fn submit(&mut self, path: &str, fields: &[(&str, String)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let url = self.address(path);
        let kind = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        let answer = self.once(Method::POST, url, &kind, Some(form.finish())).await;
        self.follow(answer).await
    }

    /// What a page's script does: a request with JSON and the XSRF token of the
    /// cookie on `path`.
    pub async fn script(&mut self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = self.address(path);
        let xsrf = self.cookie("_xsrf", path).unwrap_or_default();
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json".to_owned()),
            ("x-xsrftoken", xsrf),
        ];
        self.once(method, url, &headers, body.map(|body| body.to_string())).await
    }

    /// The `Cookie` line for an address.
    pub fn cookie_line(&self, url: &Url) -> String {
        let mut fitting: Vec<_> = self
            .jar
            .iter()
            .filter(|(key, _)| {
                Some(key.host.as_str()) == url.host_str() && is_below(url.path(), &key.path)
            })
            .collect();
        // Longer paths first (RFC 6265 section 5.4).
        fitting.sort_by_key(|(key, _)| std::cmp::Reverse(key.path.len()));
        fitting
            .iter()
            .map(|(key, value)| format!("{}={value}", key.name))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// The cookie that the browser sends first under this name to `path`.
    pub fn cookie(&self, name: &str, path: &str) -> Option<String> {
        let url = self.address(path);
        let line = self.cookie_line(&url);
        line.split("; ")
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    }

    /// The hub's address.
    pub fn hub(&self) -> &Url {
        &self.hub
    }

    /// The authority whose certificates it trusts, PEM.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..MOST_REDIRECTS {
            let Some(next) = answer.location().filter(|_| (300..400).contains(&answer.status))
            else {
                return answer;
            };
            answer = self.once(Method::GET, next, &[], None).await;
        }
        panic!("too many redirects, the last to {answer:#?}");
    }

    async fn once(
        &mut self,
        method: Method,
        url: Url,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> Answer {
        let mut request =
            self.client.request(method, url.clone()).timeout(Duration::from_secs(120));
        let cookies = self.cookie_line(&url);
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        self.remember(&url, response.headers());
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            // Templates write every slash of a value as an entity.
            text: response.text().await.unwrap().replace("&#x2f;", "/"),
            url,
        }
    }

    fn remember(&mut self, url: &Url, headers: &header::HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let mut parts = line.split(';').map(str::trim);
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let mut path = "/".to_owned();
            let mut gone = false;
            for part in parts {
                match part.split_once('=') {
                    Some((key, text)) if key.eq_ignore_ascii_case("path") => path = text.to_owned(),
                    Some((key, text)) if key.eq_ignore_ascii_case("max-age") => gone |= text == "0",
                    Some((key, text)) if key.eq_ignore_ascii_case("expires") => {
                        gone |= is_long_ago(text)
                    }
                    _ => {}
                }
            }
            let host = url.host_str().unwrap_or_default().to_owned();
            let key = Key { host, name: name.to_owned(), path };
            match gone {
                true => self.jar.remove(&key),
                false => self.jar.insert(key, value.to_owned()),
            };
        }
    }
}

/// RFC 6265 section 5.1.4.
fn is_below(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

/// Servers delete a cookie with a date of years ago.
fn is_long_ago(date: &str) -> bool {
    let year = date
        .split([' ', '-'])
        .filter_map(|word| word.parse::<u32>().ok())
        .find(|number| *number > 1000);
    year.is_some_and(|year| year < 2026)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_to_their_path_only() {
        for (path, cookie_path, below) in [
            ("/hub/home", "/hub/", true),
            ("/hub", "/hub/", false),
            ("/user/ada/", "/hub/", false),
            ("/user/adam/", "/user/ada", false),
            ("/user/ada/x", "/user/ada", true),
        ] {
            assert_eq!(is_below(path, cookie_path), below, "{path} {cookie_path}");
        }
    }

    #[test]
    fn a_date_of_years_ago_deletes() {
        assert!(is_long_ago("Sat, 23 Nov 2024 00:00:00 GMT"));
        assert!(!is_long_ago("Wed, 23 Dec 2026 00:00:00 GMT"));
    }
}
