//! SQL texts, each with the name of what it does.
//!
//! One text serves both engines: parameters are `$1`, `$2`, ...; nothing is used
//! that SQLite and PostgreSQL do not both understand in the same way. A parameter
//! that PostgreSQL could not type from its surroundings is `CAST`.

/// A statement and what it is for, as it reads after "failed while trying to".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    pub(crate) action: &'static str,
    pub(crate) text: &'static str,
}

/// Declares a table's statements as constants, and `ALL`, the list of them, which
/// the test below prepares on both engines.
macro_rules! statements {
    ($($name:ident: $action:literal, $text:expr;)+) => {
        $(const $name: $crate::statement::Statement =
            $crate::statement::Statement { action: $action, text: $text };)+

        #[cfg(test)]
        pub(crate) const ALL: &[$crate::statement::Statement] = &[$($name),+];
    };
}
pub(crate) use statements;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, StoreConfig, scratch};

    /// Every statement the store can send.
    const ALL_SQL: &[&[Statement]] = &[
        crate::auth_states::ALL,
        crate::examination::ALL,
        crate::groups::ALL,
        crate::local_accounts::ALL,
        crate::local_accounts::OWNER,
        crate::login_tries::ALL,
        crate::oauth::ALL,
        crate::roles::ALL,
        crate::second_factors::ALL,
        crate::server_logs::ALL,
        crate::servers::ALL,
        crate::services::ALL,
        crate::sessions::ALL,
        crate::share_codes::ALL,
        crate::shares::ALL,
        crate::store::ALL,
        crate::tickets::ALL,
        crate::tokens::ALL,
        crate::users::ALL,
    ];

    async fn refused(store: &Store) -> Vec<String> {
        let mut refused = Vec::new();
        for statement in ALL_SQL.iter().copied().flatten() {
            if let Err(error) = store.engine().prepare(statement).await {
                refused.push(format!("{}: {error:?}", statement.text));
            }
        }
        refused
    }

    #[tokio::test]
    async fn sqlite_understands_every_statement() {
        let store = Store::in_memory().await.unwrap();
        assert_eq!(refused(&store).await, Vec::<String>::new());
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: cargo xtask test"]
    async fn postgres_understands_every_statement() {
        let schema = scratch::Schema::create().await;
        let store = Store::open(&StoreConfig { url: schema.url().to_owned() }).await.unwrap();
        let refused = refused(&store).await;
        store.close().await;
        schema.remove().await;
        assert_eq!(refused, Vec::<String>::new());
    }
}
