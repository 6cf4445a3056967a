//! What servers wrote before they ended, since their containers are removed.

use hub_names::ServerKey;
use jiff::Timestamp;

use crate::{StoreError, engine::Engine, row::Fields, statement::statements};

statements! {
    KEEP: "keep a server's log",
        "INSERT INTO server_logs (server_id, ended, log)
         SELECT s.id, CAST($3 AS BIGINT), CAST($4 AS TEXT)
         FROM servers s JOIN users u ON u.id = s.user_id WHERE u.name = $1 AND s.name = $2
         ON CONFLICT (server_id) DO UPDATE SET ended = excluded.ended, log = excluded.log";
    GET: "look up a server's log",
        "SELECT l.ended, l.log FROM server_logs l
         JOIN servers s ON s.id = l.server_id JOIN users u ON u.id = s.user_id
         WHERE u.name = $1 AND s.name = $2";
}

/// The end of what a server wrote in its last run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptLog {
    /// When that run ended.
    pub ended: Timestamp,
    /// What it wrote last. Text from inside the server: never trust it.
    pub text: String,
}

/// The kept logs of servers, one for each.
#[derive(Clone, Copy, Debug)]
pub struct ServerLogs<'s> {
    pub(crate) engine: &'s Engine,
}

impl ServerLogs<'_> {
    /// Keeps what a server wrote, in place of what was kept of its run before.
    /// NUL characters are left out: PostgreSQL has no text with them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is no such server.
    pub async fn keep(
        &self,
        key: &ServerKey,
        ended: Timestamp,
        text: &str,
    ) -> Result<(), StoreError> {
        let text = text.replace('\0', "");
        let values = [key.user().into(), key.server().into(), ended.into(), (&text).into()];
        match self.engine.write(&KEEP, &values).await? {
            0 => Err(StoreError::Missing { what: "server" }),
            _ => Ok(()),
        }
    }

    /// What was kept of the server's last run.
    pub async fn get(&self, key: &ServerKey) -> Result<Option<KeptLog>, StoreError> {
        let row = self.engine.read_one(&GET, &[key.user().into(), key.server().into()]).await?;
        row.map(|row| KeptLog::read(row.of("server_logs"))).transpose()
    }
}

impl KeptLog {
    fn read(fields: Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self { ended: fields.time("ended")?, text: fields.text("log")? })
    }
}
