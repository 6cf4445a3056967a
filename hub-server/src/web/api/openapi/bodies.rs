//! What endpoints take and answer, where the code that handles it reads it by hand.

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::web::api::paging::Page;

type Object = Map<String, Value>;

macro_rules! models {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })+) => {
        $(
            $(#[$doc])*
            #[derive(JsonSchema)]
            #[schemars(deny_unknown_fields)]
            #[expect(dead_code, reason = "only its schema is of interest")]
            pub(super) struct $name { $($(#[$field_doc])* $field: $kind,)* }
        )+
    };
}

models! {
    /// What went wrong.
    Error {
        status: u16,
        message: String,
    }

    /// A server to be made or started. An object without these two fields counts as
    /// `user_options`.
    ServerRequest {
        display_name: Option<String>,
        user_options: Option<Object>,
    }

    /// What to change about a server that is not running.
    ServerChange {
        name: Option<String>,
        display_name: Option<String>,
        user_options: Option<Object>,
    }

    /// Whether a named server is to be forgotten as well.
    ServerStop {
        #[schemars(default)]
        remove: bool,
    }

    /// What to stop with the hub.
    Shutdown {
        #[schemars(default)]
        proxy: bool,
        #[schemars(default)]
        servers: bool,
    }
}

/// A list, or a page of one for who accepts `application/jupyterhub-pagination+json`.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is of interest")]
pub(super) enum ListOf<T> {
    /// All of it.
    Bare(T),
    /// A page.
    Page(Page<T>),
}
