//! `hub tokens`

use crate::{
    args::Tokens,
    client::{Answer, ApiToken, Client, TokenWish},
    output::Output,
};

/// How many scopes a table shows; an administrator's token has dozens.
const SCOPES_SHOWN: usize = 3;

pub(super) async fn run(command: Tokens, client: &Client, output: &Output) -> anyhow::Result<()> {
    match command {
        Tokens::Create { user, note, expires_in, scopes } => {
            let wish = TokenWish {
                note: note.as_deref(),
                expires_in_seconds: expires_in,
                scopes: scopes.as_deref(),
            };
            create(client, output, &user, &wish).await
        }
        Tokens::List { user } => show_all(client, output, &user).await,
        Tokens::Revoke { user, id } => revoke(client, output, &user, &id).await,
    }
}

/// The token stands alone on standard output, so that it can go where it is
/// needed without being seen.
async fn create(
    client: &Client,
    output: &Output,
    user: &str,
    wish: &TokenWish<'_>,
) -> anyhow::Result<()> {
    let Answer { json, body: made } = client.create_token(user, wish).await?;
    if output.is_json() {
        return Ok(output.json(&json)?);
    }
    let end = match made.expires_at {
        Some(_) => format!("expires {}", output.when(made.expires_at, "")),
        None => "never expires".to_owned(),
    };
    output.note(&format!("Token {} of {user}, which {end}. It is not shown again.", made.id));
    Ok(output.line(&made.token)?)
}

async fn show_all(client: &Client, output: &Output, user: &str) -> anyhow::Result<()> {
    let Answer { json, body } = client.tokens(user).await?;
    if output.is_json() {
        return Ok(output.json(&json)?);
    }
    let rows: Vec<_> = body.api_tokens.iter().map(|token| row(token, output)).collect();
    let header = ["ID", "NOTE", "CREATED", "LAST USED", "EXPIRES", "SCOPES"];
    Ok(output.table(header, &rows, &format!("{user} has no tokens."))?)
}

fn row(token: &ApiToken, output: &Output) -> [String; 6] {
    [
        token.id.clone(),
        token.note.clone().unwrap_or_default(),
        output.when(token.created, ""),
        output.when(token.last_activity, "never"),
        output.when(token.expires_at, "never"),
        scopes(&token.scopes),
    ]
}

fn scopes(all: &[String]) -> String {
    match all.len() {
        0..=SCOPES_SHOWN => all.join(", "),
        many => format!("{} and {} more", all[..SCOPES_SHOWN].join(", "), many - SCOPES_SHOWN),
    }
}

async fn revoke(client: &Client, output: &Output, user: &str, id: &str) -> anyhow::Result<()> {
    client.revoke_token(user, id).await?;
    if !output.is_json() {
        output.line(&format!("Token {id} of {user} is revoked."))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_scopes_are_counted() {
        let all: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(scopes(&all), "a, b, c and 2 more");
        assert_eq!(scopes(&all[..3]), "a, b, c");
        assert_eq!(scopes(&[]), "");
    }
}
