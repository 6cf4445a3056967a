//! The hub as OAuth provider: its clients, and the codes it gives out for them.

use hub_names::ServerKey;
use jiff::Timestamp;

use crate::{
    NewToken, StoreError, TokenId, TokenRecord, UserId, engine::Engine, row::Fields,
    sessions::hold_session, statement::statements, tokens, users, value::Value,
};

statements! {
    // The user's id is looked up here, in one statement with the change: a
    // deletion in between cannot leave a client of nobody behind.
    PUT_OF_SERVER: "register an OAuth client",
        "INSERT INTO oauth_clients
             (id, description, secret_hash, redirect_uri, allowed_scopes, user_id, server_name)
         SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), $3, CAST($4 AS TEXT), CAST($5 AS TEXT), id,
             CAST($7 AS TEXT)
         FROM users WHERE name = $6
         ON CONFLICT (id) DO UPDATE SET description = excluded.description,
             secret_hash = excluded.secret_hash, redirect_uri = excluded.redirect_uri,
             allowed_scopes = excluded.allowed_scopes, user_id = excluded.user_id,
             server_name = excluded.server_name, service = NULL";
    PUT_OF_SERVICE: "register an OAuth client",
        "INSERT INTO oauth_clients
             (id, description, secret_hash, redirect_uri, allowed_scopes, service)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET description = excluded.description,
             secret_hash = excluded.secret_hash, redirect_uri = excluded.redirect_uri,
             allowed_scopes = excluded.allowed_scopes, user_id = NULL, server_name = NULL,
             service = excluded.service";
    CLIENT: "look up an OAuth client",
        "SELECT c.id, c.description, c.secret_hash, c.redirect_uri, c.allowed_scopes,
             c.server_name, c.service, u.name AS user_name
         FROM oauth_clients c LEFT JOIN users u ON u.id = c.user_id WHERE c.id = $1";
    SERVICE_CLIENTS: "list the OAuth clients of services",
        "SELECT id FROM oauth_clients WHERE user_id IS NULL ORDER BY id";
    DELETE_TOKENS: "revoke an OAuth client's tokens",
        "DELETE FROM tokens WHERE client_id = $1";
    DELETE_CLIENT: "delete an OAuth client",
        "DELETE FROM oauth_clients WHERE id = $1";
    INSERT_CODE: "keep an OAuth code",
        "INSERT INTO oauth_codes (hash, client_id, user_id, session_id, scopes, redirect_uri,
             challenge, created, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    CODE: "look up an OAuth code",
        "SELECT client_id, user_id, session_id, scopes, redirect_uri, challenge, created, expires_at
         FROM oauth_codes WHERE hash = $1 AND expires_at > $2 AND token_id IS NULL";
    SPEND_CODE: "use up an OAuth code",
        "UPDATE oauth_codes SET token_id = $2
         WHERE hash = $1 AND expires_at > $3 AND token_id IS NULL";
    REVOKE_USED: "revoke the token of an OAuth code",
        "DELETE FROM tokens WHERE id =
             (SELECT token_id FROM oauth_codes WHERE hash = $1 AND client_id = $2)
         RETURNING id";
    SWEEP_CODES: "delete expired OAuth codes",
        "DELETE FROM oauth_codes WHERE expires_at <= $1";
}

/// Somebody who may ask the hub who a visitor is: a server, or a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthClient {
    /// By what it introduces itself.
    pub id: String,
    /// What it is, for people who are asked for consent.
    pub description: String,
    /// The digest of its secret.
    pub secret_hash: [u8; 32],
    /// Where visitors are sent back to.
    pub redirect_uri: String,
    /// What its tokens may be used for at most.
    pub allowed_scopes: Vec<String>,
    /// What it is.
    pub of: ClientOf,
}

/// What an OAuth client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientOf {
    /// A single-user server.
    Server(ServerKey),
    /// A service, by name.
    Service(String),
}

/// What a code stands for until a client changes it into a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthCode {
    /// The client it was made for.
    pub client_id: String,
    /// The visitor.
    pub user: UserId,
    /// The visitor's browser session, which the token is to end with.
    pub session_id: String,
    /// What the visitor has granted.
    pub scopes: Vec<String>,
    /// The redirect address as the client gave it when it asked; it must give the
    /// same again (RFC 6749, section 4.1.3).
    pub redirect_uri: Option<String>,
    /// The client's challenge, if it sent one (RFC 7636).
    pub challenge: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The first moment at which it is worth nothing.
    pub expires_at: Timestamp,
}

/// OAuth clients and codes.
#[derive(Clone, Copy, Debug)]
pub struct Oauth<'s> {
    pub(crate) engine: &'s Engine,
}

impl Oauth<'_> {
    /// Registers a client, or changes all that is known of the one with that id.
    /// Tokens it has stay valid.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if it is the server of a user who does not exist.
    pub async fn put_client(&self, client: &OauthClient) -> Result<(), StoreError> {
        let mut values = vec![
            (&client.id).into(),
            (&client.description).into(),
            (&client.secret_hash).into(),
            (&client.redirect_uri).into(),
            Value::list(&client.allowed_scopes),
        ];
        let key = match &client.of {
            ClientOf::Server(key) => key,
            ClientOf::Service(name) => {
                values.push(name.into());
                self.engine.write(&PUT_OF_SERVICE, &values).await?;
                return Ok(());
            }
        };
        values.extend([key.user().into(), key.server().into()]);
        match self.engine.write(&PUT_OF_SERVER, &values).await? {
            0 => Err(StoreError::Missing { what: "user" }),
            _ => Ok(()),
        }
    }

    /// The client with that id.
    pub async fn client(&self, id: &str) -> Result<Option<OauthClient>, StoreError> {
        let row = self.engine.read_one(&CLIENT, &[id.into()]).await?;
        row.map(|row| OauthClient::read(row.of("oauth_clients"))).transpose()
    }

    /// Deletes the clients of services that are not in `ids`, with their tokens and
    /// codes: those of services that are no longer there.
    pub async fn forget_service_clients_except(&self, ids: &[&str]) -> Result<(), StoreError> {
        const ACTION: &str = "forget OAuth clients";
        let mut tx = self.engine.begin(ACTION).await?;
        for row in tx.read(&SERVICE_CLIENTS, &[]).await? {
            let id = row.of("oauth_clients").text("id")?;
            if !ids.contains(&id.as_str()) {
                tx.write(&DELETE_TOKENS, &[(&id).into()]).await?;
                tx.write(&DELETE_CLIENT, &[(&id).into()]).await?;
            }
        }
        tx.commit(ACTION).await?;
        Ok(())
    }

    /// Deletes a client with all its tokens and codes; returns whether it was
    /// there.
    pub async fn delete_client(&self, id: &str) -> Result<bool, StoreError> {
        let mut tx = self.engine.begin(DELETE_CLIENT.action).await?;
        tx.write(&DELETE_TOKENS, &[id.into()]).await?;
        let deleted = tx.write(&DELETE_CLIENT, &[id.into()]).await?;
        tx.commit(DELETE_CLIENT.action).await?;
        Ok(deleted > 0)
    }

    /// Keeps a code, by its digest.
    ///
    /// # Errors
    ///
    /// [`StoreError::SignedOut`] if the visitor's session is over,
    /// [`StoreError::Missing`] if its client or its user does not exist,
    /// [`StoreError::Conflict`] if there is such a code.
    pub async fn insert_code(&self, hash: &[u8; 32], code: &OauthCode) -> Result<(), StoreError> {
        let values = [
            hash.into(),
            (&code.client_id).into(),
            code.user.into(),
            (&code.session_id).into(),
            Value::list(&code.scopes),
            code.redirect_uri.as_deref().into(),
            code.challenge.as_deref().into(),
            code.created.into(),
            code.expires_at.into(),
        ];
        const MISSING: &str = "client or user";
        let mut tx = self.engine.begin(INSERT_CODE.action).await?;
        if !hold_session(&mut tx, code.user, &code.session_id, code.created).await? {
            return Err(match users::is_there(&mut tx, code.user).await? {
                true => StoreError::SignedOut,
                false => StoreError::Missing { what: MISSING },
            });
        }
        tx.write(&INSERT_CODE, &values)
            .await
            .map_err(|failure| failure.conflict("code").missing(MISSING))?;
        tx.commit(INSERT_CODE.action).await?;
        Ok(())
    }

    /// What the code with that digest stands for, unless it has expired at `now` or was
    /// used.
    ///
    /// Looking does not use it up: an attempt with a wrong verifier must not, as
    /// in JupyterHub.
    pub async fn code(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<OauthCode>, StoreError> {
        let row = self.engine.read_one(&CODE, &[hash.into(), now.into()]).await?;
        row.map(|row| OauthCode::read(row.of("oauth_codes"))).transpose()
    }

    /// Changes a code into `token`, which belongs to the code's user and session, for
    /// exactly one caller. `None` if the code is not there any more, was used or has
    /// expired, or if the session is over. Of the tokens that the user's sessions have for
    /// the client, the newest `most` are left.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if there is a token with that digest.
    pub async fn redeem(
        &self,
        hash: &[u8; 32],
        code: &OauthCode,
        token: &NewToken,
        most: Option<u64>,
    ) -> Result<Option<TokenRecord>, StoreError> {
        let now = token.created;
        let mut tx = self.engine.begin(SPEND_CODE.action).await?;
        // Before the code, in the order in which a session is ended.
        if !hold_session(&mut tx, code.user, &code.session_id, now).await? {
            return Ok(None);
        }
        let issued = tokens::insert(&mut tx, token).await?;
        let values = [hash.into(), issued.id.into(), now.into()];
        if tx.write(&SPEND_CODE, &values).await? == 0 {
            return Ok(None);
        }
        if let Some(most) = most {
            tokens::keep_newest(&mut tx, code.user, &code.client_id, most).await?;
        }
        tx.commit(SPEND_CODE.action).await?;
        Ok(Some(issued))
    }

    /// Revokes the token that a client has got for a code, because the code has come again
    /// (RFC 6749, section 4.1.2); returns which, if the code was used and the token was
    /// still there.
    pub async fn revoke_used(
        &self,
        hash: &[u8; 32],
        client_id: &str,
    ) -> Result<Option<TokenId>, StoreError> {
        let row = self.engine.write_one(&REVOKE_USED, &[hash.into(), client_id.into()]).await?;
        row.map(|row| row.of("tokens").int("id").map(TokenId::new)).transpose()
    }

    /// Deletes the codes that have expired at `now`; returns how many.
    pub async fn sweep_codes(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.engine.write(&SWEEP_CODES, &[now.into()]).await?)
    }
}

impl OauthClient {
    /// The server it is, if it is one.
    pub fn server(&self) -> Option<&ServerKey> {
        match &self.of {
            ClientOf::Server(key) => Some(key),
            ClientOf::Service(_) => None,
        }
    }

    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        let of = match fields.opt_text("service")? {
            Some(name) => ClientOf::Service(name),
            None => ClientOf::Server(ServerKey::new(
                fields.parsed("user_name")?,
                fields.parsed("server_name")?,
            )),
        };
        Ok(Self {
            id: fields.text("id")?,
            description: fields.text("description")?,
            secret_hash: fields.hash("secret_hash")?,
            redirect_uri: fields.text("redirect_uri")?,
            allowed_scopes: fields.list("allowed_scopes")?,
            of,
        })
    }
}

impl OauthCode {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            client_id: fields.text("client_id")?,
            user: UserId::new(fields.int("user_id")?),
            session_id: fields.text("session_id")?,
            scopes: fields.list("scopes")?,
            redirect_uri: fields.opt_text("redirect_uri")?,
            challenge: fields.opt_text("challenge")?,
            created: fields.time("created")?,
            expires_at: fields.time("expires_at")?,
        })
    }
}
