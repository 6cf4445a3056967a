//! Providers to sign in with, on loopback: those of the tests of hub-auth, which check
//! what they are sent.

#[path = "../../../hub-auth/tests/support/github.rs"]
#[expect(dead_code, reason = "hub-auth's own tests use more of it")]
pub(crate) mod github;
#[path = "../../../hub-auth/tests/support/openid.rs"]
#[expect(dead_code, reason = "hub-auth's own tests use more of it")]
pub(crate) mod openid;

use hub_auth::Callback;
use secrecy::ExposeSecret as _;
use url::{Url, form_urlencoded};

/// Where a provider sends the browser that comes back with this.
pub(crate) fn way_back(callback: &Callback) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let pairs = [
        ("code", callback.code.as_ref().map(|code| code.expose_secret())),
        ("state", callback.state.as_deref()),
        ("iss", callback.iss.as_deref()),
        ("error", callback.error.as_deref()),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("/hub/oauth_callback?{}", query.finish())
}

/// The address that an answer sends the browser to.
pub(crate) fn address(location: &str) -> Url {
    location.parse().unwrap_or_else(|error| panic!("{location:?}: {error}"))
}
