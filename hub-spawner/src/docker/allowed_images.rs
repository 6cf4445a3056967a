//! The images that users may choose from. Pure.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::{Choice, SpawnError};

/// The images that users may choose from with the start option `image`.
///
/// Written as a table of names and images, as a list of images, or as `"*"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedImages {
    /// Nobody chooses.
    #[default]
    None,
    /// Any image.
    Any,
    /// One of these: what people call it, and the image.
    Listed(Vec<(String, String)>),
}

impl AllowedImages {
    /// The image that `options` ask for; `None` if they ask for none, or for the one
    /// that the operator chose for this user and a form `offered`.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Rejected`], with what may be asked for, if that one may not.
    pub(super) fn chosen(
        &self,
        options: &Value,
        offered: Option<&str>,
    ) -> Result<Option<String>, SpawnError> {
        let wanted = match options.get("image") {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let refused = |what: String, reason: String| SpawnError::Rejected { what, reason };
        // A form gives a list for each field.
        let wanted = match wanted {
            Value::String(text) => text,
            Value::Array(texts) if let [Value::String(text)] = texts.as_slice() => text,
            _ => {
                let reason = "image has to be one text".to_owned();
                return Err(refused("this choice of an image".to_owned(), reason));
            }
        };
        match self {
            Self::None => Err(refused(
                "choosing an image".to_owned(),
                "this hub runs one image for everybody; leave out the option image".to_owned(),
            )),
            Self::Any => Ok(Some(wanted.clone())),
            Self::Listed(images)
                if offered == Some(wanted.as_str())
                    && images.iter().all(|(name, _)| name != wanted) =>
            {
                Ok(None)
            }
            Self::Listed(images) => match images.iter().find(|(name, _)| name == wanted) {
                Some((_, image)) => Ok(Some(image.clone())),
                None => {
                    let names: Vec<&str> = images.iter().map(|(name, _)| name.as_str()).collect();
                    let wanted: String = wanted.chars().take(64).collect();
                    let reason = format!("image has to be one of {}", names.join(", "));
                    Err(refused(format!("the image {wanted:?}"), reason))
                }
            },
        }
    }

    /// What a form offers, where `default` is the image of those who do not choose, and
    /// `offered` the one that the operator chose for this user alone. Where there is one
    /// image, or any, there is nothing to offer.
    pub(super) fn choices(&self, default: &str, offered: Option<&str>) -> Vec<Choice> {
        let images = match self {
            Self::Listed(images) if images.len() > 1 => images,
            Self::None | Self::Any | Self::Listed(_) => return Vec::new(),
        };
        let mut choices: Vec<Choice> = images
            .iter()
            .map(|(name, image)| Choice { name: name.clone(), is_default: image == default })
            .collect();
        // Without it a form would choose the first of the list, and hide it.
        if let Some(image) = offered
            && choices.iter().all(|choice| !choice.is_default)
        {
            choices.insert(0, Choice { name: image.to_owned(), is_default: true });
        }
        choices
    }

    /// The images by which something can be wrong.
    pub(super) fn images(&self) -> impl Iterator<Item = &str> {
        let listed: &[(String, String)] = match self {
            Self::Listed(images) => images,
            Self::None | Self::Any => &[],
        };
        listed.iter().map(|(_, image)| image.as_str())
    }
}

impl<'de> Deserialize<'de> for AllowedImages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Images;

        impl<'de> de::Visitor<'de> for Images {
            type Value = AllowedImages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of names and images, a list of images, or \"*\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                match text {
                    "*" => Ok(AllowedImages::Any),
                    "" => Ok(AllowedImages::None),
                    _ => Err(de::Error::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut texts: A,
            ) -> Result<Self::Value, A::Error> {
                let mut images = Vec::new();
                while let Some(image) = texts.next_element::<String>()? {
                    images.push((image.clone(), image));
                }
                Ok(listed(images))
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut entries: A,
            ) -> Result<Self::Value, A::Error> {
                let mut images = Vec::new();
                while let Some(entry) = entries.next_entry::<String, String>()? {
                    images.push(entry);
                }
                Ok(listed(images))
            }
        }

        deserializer.deserialize_any(Images)
    }
}

fn listed(images: Vec<(String, String)>) -> AllowedImages {
    if images.is_empty() { AllowedImages::None } else { AllowedImages::Listed(images) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed(json: &str) -> AllowedImages {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn b4_users_may_not_choose_an_image_where_there_is_no_list() {
        for nothing in ["{}", "[]", r#""""#] {
            let allowed = allowed(nothing);
            for options in [json!({}), Value::Null, json!({ "image": null, "profile": "x" })] {
                assert_eq!(allowed.chosen(&options, None).unwrap(), None);
            }
            for options in [json!({ "image": "evil" }), json!({ "image": [""] })] {
                let refused = allowed.chosen(&options, None).unwrap_err();
                assert!(matches!(refused, SpawnError::Rejected { .. }), "{options}");
            }
        }
    }

    #[test]
    fn b4_a_choice_is_a_key_of_the_list() {
        let allowed = allowed(r#"{"small": "lab:4", "big": "lab:5-all"}"#);
        for (options, image) in
            [(json!({ "image": "big" }), "lab:5-all"), (json!({ "image": ["small"] }), "lab:4")]
        {
            assert_eq!(allowed.chosen(&options, None).unwrap().as_deref(), Some(image));
        }
        for hostile in [json!("lab:4"), json!(["small", "big"]), json!(7), json!({ "a": "big" })] {
            assert!(allowed.chosen(&json!({ "image": hostile }), None).is_err(), "{hostile}");
        }
        let message = allowed.chosen(&json!({ "image": "x" }), None).unwrap_err().user_message();
        assert_eq!(message, "the image \"x\" is not allowed: image has to be one of small, big.");
    }

    #[test]
    fn a_list_is_its_own_keys_and_a_star_is_anything() {
        let list = allowed(r#"["lab:4", "lab:5"]"#);
        assert_eq!(
            list.chosen(&json!({ "image": "lab:5" }), None).unwrap().as_deref(),
            Some("lab:5")
        );
        let any = allowed(r#""*""#);
        assert_eq!(any.chosen(&json!({ "image": "x" }), None).unwrap().as_deref(), Some("x"));
        assert!(serde_json::from_str::<AllowedImages>(r#""lab""#).is_err());
    }

    #[test]
    fn only_several_images_are_a_choice() {
        let two = allowed(r#"["lab:4", "lab:5"]"#).choices("lab:5", None);
        assert_eq!(
            two,
            [
                Choice { name: "lab:4".to_owned(), is_default: false },
                Choice { name: "lab:5".to_owned(), is_default: true },
            ]
        );
        let named = allowed(r#"{"small": "lab:4", "big": "lab:5"}"#).choices("lab:5", None);
        let chosen: Vec<_> = named.iter().filter(|one| one.is_default).collect();
        assert_eq!(chosen, [&Choice { name: "big".to_owned(), is_default: true }]);
        for nothing in [r#"["lab:4"]"#, r#""*""#, "[]"] {
            assert_eq!(allowed(nothing).choices("lab:4", None), []);
        }
    }

    #[test]
    fn an_image_for_one_user_is_offered_where_the_list_has_none_that_is_chosen() {
        let both = allowed(r#"["lab:4", "lab:5"]"#);
        let first = |choices: Vec<Choice>| (choices[0].name.clone(), choices[0].is_default);
        let own = Some("lab:gpu");
        assert_eq!(first(both.choices("lab:gpu", own)), ("lab:gpu".to_owned(), true));
        assert_eq!(first(both.choices("lab:5", Some("lab:5"))), ("lab:4".to_owned(), false));
        assert_eq!(first(both.choices("lab:gpu", None)), ("lab:4".to_owned(), false));
        assert_eq!(allowed(r#"["lab:4"]"#).choices("lab:gpu", own), []);

        let gpu = json!({ "image": "lab:gpu" });
        assert_eq!(both.chosen(&gpu, own).unwrap(), None, "no choice of the user's");
        assert!(both.chosen(&gpu, None).is_err(), "of another user");
        let listed = both.chosen(&json!({ "image": "lab:5" }), Some("lab:5")).unwrap();
        assert_eq!(listed.as_deref(), Some("lab:5"), "a choice of the user's");
        assert!(AllowedImages::None.chosen(&gpu, own).is_err());
    }
}
