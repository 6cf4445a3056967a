//! The options of a start: the form that asks for them, and how its fields or a
//! link's query become options (hub-contract 1.5, 8.4).

use std::collections::BTreeSet;

use hub_names::ServerKey;
use hub_spawner::Choice;
use hub_store::StoreError;
use serde_json::{Map, Value, json};

use crate::{
    access::xsrf,
    hub::Hub,
    web::{
        form::{Form, Upload},
        request::Fields,
    },
};

/// Begins the names of options in a query.
const PREFIX: &str = "opt-";
/// Fields of a query that are for the hub.
const FOR_THE_HUB: [&str; 3] = ["next", "display_name", xsrf::XSRF];

/// What people are asked before a start.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OptionsForm {
    /// What the operator wrote.
    Html(String),
    /// Which image, of several.
    Images(Vec<Choice>),
}

/// A query whose options cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid user-option name opt-: it is empty")]
pub(super) struct BadOption;

impl OptionsForm {
    /// The form for the server of `key`; `None` if its user is asked nothing.
    ///
    /// # Errors
    ///
    /// If the store cannot tell the user's groups, which may have choices of their own.
    pub(super) async fn of(hub: &Hub, key: &ServerKey) -> Result<Option<Self>, StoreError> {
        if let Some(html) = &hub.live().limits.options_form {
            return Ok(Some(Self::Html(html.clone())));
        }
        let choices = hub.servers.choices(key).await?;
        Ok(Some(choices).filter(|choices| !choices.is_empty()).map(Self::Images))
    }
}

/// The options that a form asks for; `None` where there is no form and nothing was
/// filled in, so that the last ones are used.
pub(super) fn of_form(asked: Option<&OptionsForm>, form: &Form) -> Option<Value> {
    let names = names(&form.fields, |name| (name != xsrf::XSRF).then_some(name));
    let mut lists = lists(&form.fields, &names);
    for upload in &form.files {
        let list = lists.entry(format!("{}_file", upload.field)).or_insert_with(|| json!([]));
        if let Value::Array(files) = list {
            files.push(Upload::to_json(upload));
        }
    }
    match asked {
        None if lists.is_empty() => None,
        _ => Some(converted(asked, lists)),
    }
}

/// The options in a link's query; `None` if there are none.
///
/// # Errors
///
/// If an option has no name.
pub(super) fn of_query(
    asked: Option<&OptionsForm>,
    query: &Fields,
) -> Result<Option<Value>, BadOption> {
    let prefixed = names(query, |name| name.strip_prefix(PREFIX));
    if prefixed.iter().any(|(_, option)| option.is_empty()) {
        return Err(BadOption);
    }
    // Without a prefix anything is an option, as in JupyterHub before 6.
    let names = match prefixed.is_empty() {
        false => prefixed,
        true => names(query, |name| (!FOR_THE_HUB.contains(&name)).then_some(name)),
    };
    let lists = lists(query, &names);
    Ok((!lists.is_empty()).then(|| converted(asked, lists)))
}

/// The fields that are options, each with the option's name.
fn names<'a>(
    fields: &'a Fields,
    option: impl Fn(&'a str) -> Option<&'a str>,
) -> BTreeSet<(&'a str, &'a str)> {
    let pairs = fields.pairs().iter();
    pairs.filter_map(|(name, _)| Some((name.as_str(), option(name)?))).collect()
}

/// Every field is a list of texts, also one that was given once.
fn lists(fields: &Fields, names: &BTreeSet<(&str, &str)>) -> Map<String, Value> {
    let list = |(field, option): &(&str, &str)| {
        let values: Vec<&str> = fields.all(field).collect();
        ((*option).to_owned(), json!(values))
    };
    names.iter().map(list).collect()
}

/// The operator's form is for the operator to read; ours has one value.
fn converted(asked: Option<&OptionsForm>, mut lists: Map<String, Value>) -> Value {
    match asked {
        Some(OptionsForm::Images(_)) => {
            let image = lists.remove("image").and_then(|list| list.get(0).cloned());
            image.map_or_else(|| json!({}), |image| json!({ "image": image }))
        }
        Some(OptionsForm::Html(_)) | None => Value::Object(lists),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html() -> OptionsForm {
        OptionsForm::Html("<input name=n>".to_owned())
    }

    fn images() -> OptionsForm {
        let choice = |name: &str| Choice { name: name.to_owned(), is_default: false };
        OptionsForm::Images(vec![choice("a"), choice("b")])
    }

    #[test]
    fn a_forms_fields_are_lists_and_our_own_is_one_value() {
        let form = |text: &str| Form { fields: Fields::parse(text.as_bytes()), files: Vec::new() };
        let rows = [
            (Some(html()), "_xsrf=x&image=b&n=3", Some(json!({ "image": ["b"], "n": ["3"] }))),
            (Some(html()), "n=1&n=2", Some(json!({ "n": ["1", "2"] }))),
            (Some(html()), "_xsrf=x", Some(json!({}))),
            (Some(images()), "image=b&image=a&n=3", Some(json!({ "image": "b" }))),
            (Some(images()), "_xsrf=x", Some(json!({}))),
            (None, "_xsrf=x", None),
            (None, "n=3", Some(json!({ "n": ["3"] }))),
        ];
        for (asked, text, expected) in rows {
            assert_eq!(of_form(asked.as_ref(), &form(text)), expected, "{asked:?} {text}");
        }
    }

    #[test]
    fn a_query_has_prefixed_options_or_older_ones() {
        let rows = [
            ("", Ok(None)),
            ("next=%2Fx&display_name=y&_xsrf=z", Ok(None)),
            ("image=b&n=1&n=2", Ok(Some(json!({ "image": ["b"], "n": ["1", "2"] })))),
            ("opt-n=1&m=2&next=x", Ok(Some(json!({ "n": ["1"] })))),
            ("opt-next=1", Ok(Some(json!({ "next": ["1"] })))),
            ("opt-=1", Err(BadOption)),
            ("opt-=1&opt-n=2", Err(BadOption)),
        ];
        for (query, expected) in rows {
            assert_eq!(of_query(None, &Fields::parse(query.as_bytes())), expected, "{query}");
        }
        let query = Fields::parse(b"opt-image=b");
        assert_eq!(of_query(Some(&images()), &query), Ok(Some(json!({ "image": "b" }))));
    }
}
