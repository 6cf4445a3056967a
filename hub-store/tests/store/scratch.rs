//! A PostgreSQL schema of its own for each test.

use std::{
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use url::Url;

/// A schema that belongs to one test.
#[derive(Debug)]
pub(crate) struct Schema {
    server: String,
    name: String,
    url: String,
}

impl Schema {
    /// Makes an empty schema in the database of `HUB_TEST_POSTGRES_URL`.
    pub(crate) async fn create() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where tests learn of a server"
        )]
        let server = std::env::var("HUB_TEST_POSTGRES_URL")
            .expect("HUB_TEST_POSTGRES_URL is the URL of a PostgreSQL database for tests");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hub_test_{}_{count}", process::id());
        // Dropped first: a process that had this id may have died in its test.
        run(&server, format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")).await;
        let mut url = Url::parse(&server).expect("the URL of the test database is valid");
        url.query_pairs_mut().append_pair("options[search_path]", &name);
        Self { server, name, url: url.into() }
    }

    /// The store URL that leads into the schema.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Removes the schema with all that is in it.
    pub(crate) async fn remove(self) {
        run(&self.server, format!("DROP SCHEMA {} CASCADE", self.name)).await;
    }
}

async fn run(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.expect("the test database answers");
    connection.execute(AssertSqlSafe(sql)).await.expect("the test database obeys");
    connection.close().await.expect("the test database says good-bye");
}
