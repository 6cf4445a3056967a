use std::path::Path;

use super::{super::*, *};

/// A table with one unknown key in the section `path` tells which keys there are.
fn known_by_the_types(path: &[&str]) -> Option<Vec<String>> {
    let mut text = String::new();
    if !path.is_empty() {
        text += &format!("[{}]\n", path.join("."));
    }
    text += "zzzzzzzzzz = 1\n";
    let error = load::type_error(&text)?;
    let rest = error.strip_prefix("unknown field `zzzzzzzzzz`, ")?;
    Some(rest.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

fn walk(path: &[&str], found: &mut Vec<String>) {
    for name in known_by_the_types(path).unwrap_or_default() {
        let mut inner = path.to_vec();
        inner.push(&name);
        let full = inner.join(".");
        // A key that is described is a leaf, whatever is below it.
        if key(&full).is_none() && known_by_the_types(&inner).is_some() {
            walk(&inner, found);
        } else {
            found.push(full);
        }
    }
}

#[test]
fn every_key_that_is_read_is_described_and_the_other_way_round() {
    let mut read = Vec::new();
    walk(&[], &mut read);
    let mut described: Vec<String> = keys().map(|key| key.name.to_owned()).collect();
    read.sort();
    described.sort();
    assert_eq!(described, read);
}

#[test]
fn keys_stand_in_their_section() {
    for section in SECTIONS {
        for key in section.keys {
            let owner = if key.kind == Kind::Sections {
                key.name
            } else {
                key.name.rsplit_once('.').unwrap().0
            };
            assert_eq!(owner, section.name);
        }
    }
}

#[test]
fn defaults_are_those_of_the_types() {
    let load = |text: &str| {
        parse(text, "hub.toml", Path::new("/srv"), &Environment::default(), false)
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    };
    let mut text = String::new();
    for section in SECTIONS.iter().filter(|section| !section.repeats()) {
        let keys = section.keys.iter().filter(|key| key.default.is_some());
        let lines: Vec<String> =
            keys.map(|key| format!("{} = {}\n", key.short_name(), key.default.unwrap())).collect();
        // A section that exists switches something on.
        let on = [
            "http.tls",
            "http.acme",
            "auth.github",
            "auth.oidc",
            "auth.password",
            "auth.local",
            "auth.dummy",
        ];
        if !on.contains(&section.name) {
            text += &format!("[{}]\n{}", section.name, lines.concat());
        }
        if section.name == "spawner.docker" {
            text += "image = \"lab\"\n";
        }
    }
    let written = load(&text).config;
    let silent = load("[spawner.docker]\nimage = \"lab\"\n").config;
    assert_eq!(format!("{written:#?}"), format!("{silent:#?}"));
}

#[test]
fn every_variable_names_a_key_that_exists() {
    for variable in variables::VARIABLES {
        if let variables::Effect::Sets(name)
        | variables::Effect::PartOf(name)
        | variables::Effect::AddsTo(name) = variable.effect
        {
            assert!(key(name).is_some(), "{}: {name}", variable.name);
        }
    }
    for key in keys() {
        assert_eq!(of_variable(key.variable().strip_prefix("HUB__").unwrap()), Some(key));
    }
}
