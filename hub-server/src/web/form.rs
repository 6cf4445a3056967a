//! A posted form with its files, whether or not a browser sent it in parts.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::{error::PageError, request::Fields};
use crate::hub::Hub;

/// Characters of a line of base64 as Python's `encodebytes` breaks them.
const LINE: usize = 76;

/// A posted form.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// What was filled in.
    pub(crate) fields: Fields,
    /// What was attached.
    pub(crate) files: Vec<Upload>,
}

/// A file of a form.
#[derive(Debug)]
pub(crate) struct Upload {
    /// The field it was attached to.
    pub(crate) field: String,
    filename: String,
    content_type: String,
    body: Bytes,
}

impl Upload {
    /// The file as the start options keep it. Bytes are no JSON: they are written as
    /// JupyterHub's database has them.
    pub(crate) fn to_json(&self) -> Value {
        let text = STANDARD.encode(&self.body);
        let mut lines = String::with_capacity(text.len() + text.len() / LINE + 1);
        for (index, digit) in text.chars().enumerate() {
            if index > 0 && index % LINE == 0 {
                lines.push('\n');
            }
            lines.push(digit);
        }
        if !lines.is_empty() {
            lines.push('\n');
        }
        json!({
            "filename": self.filename,
            "content_type": self.content_type,
            "body": { "__jupyterhub_bytes__": true, "data": lines },
        })
    }
}

impl FromRequest<Arc<Hub>> for Form {
    type Rejection = PageError;

    async fn from_request(request: Request, hub: &Arc<Hub>) -> Result<Self, PageError> {
        let in_parts = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"));
        if !in_parts {
            let body =
                Bytes::from_request(request, hub).await.map_err(|error| refused(error.status()))?;
            return Ok(Self { fields: Fields::parse(&body), files: Vec::new() });
        }
        let mut parts =
            Multipart::from_request(request, hub).await.map_err(|error| refused(error.status()))?;
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(|error| refused(error.status()))? {
            let Some(field) = part.name().map(str::to_owned) else { continue };
            let filename = part.file_name().map(str::to_owned);
            let content_type = part.content_type().map(str::to_owned);
            let body = part.bytes().await.map_err(|error| refused(error.status()))?;
            match filename {
                // What a browser sends for a file that nobody chose.
                Some(name) if name.is_empty() && body.is_empty() => {}
                Some(filename) => form.files.push(Upload {
                    field,
                    filename,
                    content_type: content_type
                        .unwrap_or_else(|| "application/octet-stream".to_owned()),
                    body,
                }),
                None => form.fields.push(field, String::from_utf8_lossy(&body).into_owned()),
            }
        }
        Ok(form)
    }
}

fn refused(status: StatusCode) -> PageError {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            PageError::new(status, "The form is too large.").hint("Attach smaller files.")
        }
        _ => PageError::new(StatusCode::BAD_REQUEST, "The form did not arrive whole.")
            .hint("Go back, reload the page and try again."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_as_jupyterhubs_database_has_them() {
        let upload = |body: &'static [u8]| Upload {
            field: "data".to_owned(),
            filename: "a.bin".to_owned(),
            content_type: "text/plain".to_owned(),
            body: Bytes::from_static(body),
        };
        let data = |body| upload(body).to_json()["body"]["data"].as_str().unwrap().to_owned();
        assert_eq!(data(b"abc"), "YWJj\n");
        assert_eq!(data(b""), "");
        assert_eq!(data(&[0; 57]), format!("{}\n", "A".repeat(76)));
        assert_eq!(data(&[0; 58]), format!("{}\nAA==\n", "A".repeat(76)));
    }
}
