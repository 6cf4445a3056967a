//! Routes that are kept elsewhere as well, by code of whoever uses the library (P-042).

use std::{pin::Pin, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::record::RouteRecord;
use crate::{BoxError, RoutePrefix, RouteStatus, RouteTable, Target, clock};

/// Keeps routes where they outlive the process, a database for instance.
///
/// Requests are led by the [table](RouteTable) in memory, which has all that the store has:
/// no request for a target ever waits for it. [`Registry::open`](super::Registry::open)
/// reads the store once; each change by the API is kept before it is in the table and
/// answered, one after the other. If that fails, nothing changes and the client gets a 503.
/// A change once begun goes on to its end, also when its client breaks off.
///
/// A call that takes longer than 10 seconds is dropped. Whether the store has the change is
/// not known then, and the client gets a 504; the store is read, so that the table has what
/// it has, and no other change is made before that succeeds. Changes that wait longer than
/// 10 seconds for their turn are not made, and get a 503.
///
/// ```
/// use std::{collections::BTreeMap, sync::Mutex};
///
/// use hub_proxy::{
///     BoxError, RoutePrefix, RouteTable,
///     admin::{Registry, RouteChange, RouteStore, StoredRoute},
/// };
///
/// /// A table of a database, for instance.
/// #[derive(Default)]
/// struct Rows(Mutex<BTreeMap<RoutePrefix, StoredRoute>>);
///
/// impl RouteStore for Rows {
///     async fn load(&self) -> Result<Vec<StoredRoute>, BoxError> {
///         Ok(self.0.lock().unwrap().values().cloned().collect())
///     }
///
///     async fn keep(&self, change: &RouteChange) -> Result<(), BoxError> {
///         let mut rows = self.0.lock().unwrap();
///         match change {
///             RouteChange::Put(route) => {
///                 rows.insert(route.prefix.clone(), route.clone());
///             }
///             RouteChange::Removed(prefix) => {
///                 rows.remove(prefix);
///             }
///             RouteChange::Replaced(routes) => {
///                 *rows = routes.iter().map(|one| (one.prefix.clone(), one.clone())).collect();
///             }
///         }
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let rows = Rows::default();
/// let ada = StoredRoute::new("/user/ada".parse()?, "http://127.0.0.1:8888".parse()?);
/// rows.keep(&RouteChange::Put(ada)).await?;
///
/// let table = RouteTable::default();
/// let registry = Registry::open(table.clone(), false, rows).await?;
/// assert_eq!(registry.len(), 1);
/// assert!(table.resolve("/user/ada/lab").is_some());
/// # Ok(())
/// # }
/// ```
pub trait RouteStore: Send + Sync + 'static {
    /// All routes that are kept. After a call of [`keep`](Self::keep) that was dropped, this
    /// tells what that call has done, and nothing of it is done later.
    fn load(&self) -> impl Future<Output = Result<Vec<StoredRoute>, BoxError>> + Send;

    /// Keeps a change. An error says that it is not kept, not even in part. To be safe to
    /// repeat: a client that was told 504 comes with it again.
    fn keep(&self, change: &RouteChange) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Keeps when routes were used last, and leaves the rest of them as it is; not of
    /// those that are not there (any more). Called by
    /// [`Registry::keep_uses`](super::Registry::keep_uses). Unless it is written, times of
    /// use are forgotten with the process.
    fn keep_uses(
        &self,
        uses: &[(RoutePrefix, Timestamp)],
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = uses;
        std::future::ready(Ok(()))
    }
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteChange {
    /// A route is added, or replaced whole.
    Put(StoredRoute),
    /// The route with exactly this prefix is removed.
    Removed(RoutePrefix),
    /// These are all routes now.
    Replaced(Vec<StoredRoute>),
}

/// A route with all that there is to know about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredRoute {
    /// Where it begins.
    pub prefix: RoutePrefix,
    /// Where it leads.
    pub target: Target,
    /// What clients of the API said about it: the text of a JSON object, to be given back
    /// as it is.
    pub members: String,
    /// When it was added.
    pub added: Timestamp,
    /// When data last passed, as far as is known.
    pub last_used: Option<Timestamp>,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It did not give its routes, or not within 10 seconds.
    #[error("the store of routes cannot be read")]
    Unreadable(#[source] BoxError),
    /// One of them was not kept by us, or not as we gave it.
    #[error(
        "the store of routes has members for {path} that are no JSON object; correct or remove them"
    )]
    Members {
        /// Its path, decoded.
        path: String,
        /// What is wrong, if it is no JSON at all.
        source: Option<BoxError>,
    },
}

impl StoredRoute {
    /// A route of which nothing else is known, added now.
    pub fn new(prefix: RoutePrefix, target: Target) -> Self {
        Self { prefix, target, members: "{}".to_owned(), added: clock::now(), last_used: None }
    }

    /// As a client wants it now; times stay as long as the target does.
    pub(super) fn wanted(
        prefix: RoutePrefix,
        record: &RouteRecord,
        added: Timestamp,
        table: &RouteTable,
    ) -> Self {
        let (members, target) =
            (Value::Object(record.members.clone()).to_string(), record.target.clone());
        let before = table.get(&prefix).filter(|before| before.target == target);
        let (added, last_used) =
            before.map_or((added, None), |before| (before.added, before.last_used));
        Self { prefix, target, members, added, last_used }
    }

    /// As table and registry have it.
    pub(super) fn taken_apart(self) -> Result<(RouteStatus, Map<String, Value>), StoreError> {
        let Self { prefix, target, members, added, last_used } = self;
        let bad = |source| StoreError::Members { path: prefix.decoded(), source };
        let members = match serde_json::from_str(&members) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err(bad(None)),
            Err(error) => return Err(bad(Some(error.into()))),
        };
        Ok((RouteStatus { prefix, target, added, last_used }, members))
    }
}

/// A store in the hands of a registry.
pub(super) struct Kept {
    pub(super) store: Box<dyn AnyStore>,
    /// Whose change it is. The next one waits here, not at a lock that requests or readers
    /// of the table take.
    pub(super) turn: Arc<Mutex<Agreement>>,
}

/// Whether the table has what the store has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Agreement {
    #[default]
    Certain,
    /// A change was begun, and its end is not known (yet).
    InDoubt,
}

impl Kept {
    pub(super) fn new(store: impl RouteStore) -> Self {
        Self { store: Box::new(store), turn: Arc::default() }
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// Any [`RouteStore`].
pub(super) trait AnyStore: Send + Sync {
    fn load_any(&self) -> Answer<'_, Vec<StoredRoute>>;
    fn keep_any<'a>(&'a self, change: &'a RouteChange) -> Answer<'a, ()>;
    fn keep_any_uses<'a>(&'a self, uses: &'a [(RoutePrefix, Timestamp)]) -> Answer<'a, ()>;
}

impl<S: RouteStore> AnyStore for S {
    fn load_any(&self) -> Answer<'_, Vec<StoredRoute>> {
        Box::pin(self.load())
    }

    fn keep_any<'a>(&'a self, change: &'a RouteChange) -> Answer<'a, ()> {
        Box::pin(self.keep(change))
    }

    fn keep_any_uses<'a>(&'a self, uses: &'a [(RoutePrefix, Timestamp)]) -> Answer<'a, ()> {
        Box::pin(self.keep_uses(uses))
    }
}
