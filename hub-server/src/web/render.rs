//! The pages' templates: loaded once, overridable by a directory.
//!
//! Templates are Jinja2 with JupyterHub's names for files and blocks. The shipped ones
//! are embedded; a file of the same name in the operator's directory takes their place,
//! and can extend what it replaces under the prefix `templates/`, as in JupyterHub:
//!
//! ```jinja
//! {% extends "templates/login.html" %}
//! {% block login_container %}<p>House rules ...</p>{{ super() }}{% endblock %}
//! ```

use std::{
    error::Error as StdError,
    fs, io,
    path::{Path, PathBuf},
};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use crate::{config::Config, startup::StartupError, web::assets};

/// Under this prefix the shipped templates can be named even when overridden.
const SHIPPED_PREFIX: &str = "templates/";

macro_rules! template {
    ($name:literal) => {
        ($name, concat!("templates/", $name), include_str!(concat!("../../templates/", $name)))
    };
}

/// Name, name that cannot be overridden, source.
const SHIPPED: &[(&str, &str, &str)] = &[
    template!("404.html"),
    template!("accept-share.html"),
    template!("admin.html"),
    template!("authorize.html"),
    template!("change-password.html"),
    template!("error.html"),
    template!("home.html"),
    template!("log.html"),
    template!("login.html"),
    template!("logout.html"),
    template!("message.html"),
    template!("not_running.html"),
    template!("oauth.html"),
    template!("page.html"),
    template!("parts/enrolment.html"),
    template!("parts/failure.html"),
    template!("recovery-codes.html"),
    template!("second-factor.html"),
    template!("second-step.html"),
    template!("signup.html"),
    template!("spawn.html"),
    template!("parts/services.html"),
    template!("parts/shared.html"),
    template!("parts/which_server.html"),
    template!("spawn_failed.html"),
    template!("spawn_pending.html"),
    template!("stop_pending.html"),
    template!("token.html"),
];

/// Whether the hub would start with the templates that `config` names.
///
/// # Errors
///
/// What would keep it from starting.
pub fn check_pages(config: &Config) -> Result<(), StartupError> {
    Render::load(config.templates.as_deref())?;
    Ok(())
}

/// The hub's pages, ready to be filled in.
#[derive(Debug)]
pub(crate) struct Render {
    env: Environment<'static>,
}

/// Why pages cannot be loaded, or one cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A template of the operator's directory, or the directory, cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A template is not what a template may be; the hub does not start with it.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A file lies where it would hide the shipped templates from those that extend them.
    #[error(
        "{}: a folder named `templates` cannot be overridden, put its files one level up",
        path.display()
    )]
    Misplaced {
        /// The file.
        path: PathBuf,
    },
    /// A page could not be filled in: a value it needs was not given, or an override
    /// asks for a template or a filter that does not exist.
    #[error("page {page} cannot be rendered")]
    Page {
        /// The page asked for.
        page: String,
        /// Why, with template and line.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl Render {
    /// Compiles the shipped templates and those in `overrides`, which win.
    ///
    /// Every `.html` file below the directory is a template, named by its path in it;
    /// other files and hidden ones are left alone.
    ///
    /// # Errors
    ///
    /// The first file that cannot be read or is not a template, so that a broken
    /// override is found at start and not by the first visitor.
    pub(crate) fn load(overrides: Option<&Path>) -> Result<Self, RenderError> {
        let mut env = Environment::new();
        // Whatever a template is called, what it prints lands in a page.
        env.set_auto_escape_callback(|_| AutoEscape::Html);
        // Asking whether a value is there is fine; printing one that is not would, say,
        // send a form without its `_xsrf`.
        env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        env.add_function("static_url", static_url);
        for &(name, shipped_name, source) in SHIPPED {
            for name in [name, shipped_name] {
                env.add_template(name, source).map_err(|error| syntax(Path::new(name), &error))?;
            }
        }
        if let Some(root) = overrides {
            add_overrides(&mut env, root, "")?;
        }
        Ok(Self { env })
    }

    /// Fills in the page `name` with `context`.
    ///
    /// # Errors
    ///
    /// [`RenderError::Page`].
    pub(crate) fn render(&self, name: &str, context: Value) -> Result<String, RenderError> {
        self.env
            .get_template(name)
            .and_then(|template| template.render(context))
            .map_err(|error| RenderError::Page { page: name.to_owned(), source: Box::new(error) })
    }
}

fn add_overrides(
    env: &mut Environment<'static>,
    folder: &Path,
    prefix: &str,
) -> Result<(), RenderError> {
    let unreadable = |source| RenderError::Unreadable { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let file_name = entry.file_name();
        // A name that is not text cannot be asked for by a template. Hidden files are
        // editors' leftovers, and the `..data` of a mounted configuration volume.
        let Some(file_name) = file_name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let name = format!("{prefix}{file_name}");
        if path.is_dir() {
            add_overrides(env, &path, &format!("{name}/"))?;
        } else if name.ends_with(".html") {
            if name.starts_with(SHIPPED_PREFIX) {
                return Err(RenderError::Misplaced { path });
            }
            let source = fs::read_to_string(&path)
                .map_err(|source| RenderError::Unreadable { path: path.clone(), source })?;
            env.add_template_owned(name, source).map_err(|error| syntax(&path, &error))?;
        }
    }
    Ok(())
}

fn syntax(path: &Path, error: &Error) -> RenderError {
    RenderError::Syntax {
        path: path.to_owned(),
        line: error.line().unwrap_or(1),
        message: error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned),
    }
}

/// `static_url("css/hub.css")` in a template: the file's address, which changes with
/// its content so that browsers may keep it.
///
/// A file we do not ship gets a plain address: the proxy in front may serve it.
fn static_url(state: &State<'_, '_>, path: &str) -> Result<String, Error> {
    let prefix = state.lookup("hub_prefix").ok_or_else(|| {
        Error::new(ErrorKind::UndefinedError, "static_url needs the page's hub_prefix")
    })?;
    Ok(match assets::version(path) {
        Some(version) => format!("{prefix}static/{path}?v={version}"),
        None => format!("{prefix}static/{path}"),
    })
}

#[cfg(test)]
mod tests;
