//! When to ask the provider again, and what a failure to do so means.

use std::time::{Duration, SystemTime};

use super::AuthState;
use crate::AuthError;

/// A token is renewed this much before it expires, so that a server that gets it
/// can still use it.
pub(super) const EARLY: Duration = Duration::from_secs(60);

/// How old the knowledge about somebody may become (deployment-contract 3.7).
///
/// The decisions are pure; asking is [`Authenticator::refresh`], once at a time
/// for each person, and only when they do something.
///
/// [`Authenticator::refresh`]: crate::Authenticator::refresh
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// From which age on the provider is asked again; zero means never
    /// (`auth_refresh_age`, 300 s).
    pub max_age: Duration,
    /// How long the last decision holds when the provider cannot be asked
    /// (GH-4: `auth_grace`, one hour).
    pub grace: Duration,
    /// Whether a server only starts on knowledge that was just confirmed
    /// (`refresh_pre_spawn`).
    pub before_spawn: bool,
    /// Whether scripts with tokens, and whoever starts a server for somebody else, are
    /// refused as well when the owner's sign-in is good no longer
    /// (`auth_refresh_strict`).
    pub strict: bool,
}

/// What to do before somebody's request is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Go on with what is known.
    Fresh,
    /// Ask the provider first.
    Due,
    /// There is nothing to ask with: they have to sign in again.
    SignInAgain,
}

/// What a failed refresh means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// The provider could not be asked: the last decision holds, and it is asked
    /// again at the next request after this long.
    KeepFor(Duration),
    /// It could not be asked for longer than the grace: refuse for now, keep the
    /// session. Another try may succeed.
    RefuseForNow,
    /// The provider says that this person is signed in no longer, or the rules do not
    /// let them in any more: they have to sign in again, and may be told why.
    SignInAgain,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(300),
            grace: Duration::from_secs(3600),
            before_spawn: false,
            strict: false,
        }
    }
}

impl RefreshPolicy {
    /// Whether to ask again, for people of a provider that has tokens. `known` is what is
    /// kept of somebody and how long ago the provider last confirmed it; `None` if
    /// nothing is kept.
    pub fn freshness(&self, known: Option<(&AuthState, Duration)>, now: SystemTime) -> Freshness {
        if self.max_age.is_zero() {
            return Freshness::Fresh;
        }
        let Some((state, age)) = known else {
            return Freshness::SignInAgain;
        };
        // Of states of a JupyterHub only the age is known.
        let lifetime = state.token_lifetime_seconds().map(Duration::from_secs);
        let by_age = lifetime.is_some_and(|lifetime| age.saturating_add(EARLY) >= lifetime);
        let expires = match state.expires_at() {
            Some(_) => state.expires_soon(now),
            None => by_age,
        };
        match (age >= self.max_age || expires, state.access_token()) {
            (false, _) => Freshness::Fresh,
            (true, Some(_)) => Freshness::Due,
            // A provider without tokens, such as the hub's own accounts.
            (true, None) if state.refresh_token().is_none() => Freshness::SignInAgain,
            (true, None) => Freshness::Due,
        }
    }

    /// The same before a server starts.
    pub fn freshness_before_spawn(
        &self,
        known: Option<(&AuthState, Duration)>,
        now: SystemTime,
    ) -> Freshness {
        match self.freshness(known, now) {
            Freshness::Fresh if self.before_spawn && known.is_some() => Freshness::Due,
            freshness => freshness,
        }
    }

    /// What a failure means for somebody of whom the provider last said something
    /// `age` ago: an error of asking, or of the decision about the answer, such as
    /// [`AuthError::Unchecked`]. An outage of the provider locks nobody out (GH-4);
    /// a refusal by the rules does, at once.
    pub fn after_failure(&self, error: &AuthError, age: Duration) -> AfterFailure {
        let wait = match error {
            AuthError::SignInAgain { .. }
            | AuthError::Denied { .. }
            | AuthError::Stale { .. }
            | AuthError::NotAllowed { .. }
            | AuthError::OtherPerson { .. }
            | AuthError::InvalidName { .. } => return AfterFailure::SignInAgain,
            AuthError::RateLimited { retry_after: Some(wait), .. } => *wait,
            _ => self.max_age,
        };
        match self.grace.checked_sub(age) {
            Some(left) if !left.is_zero() => AfterFailure::KeepFor(left.min(wait)),
            _ => AfterFailure::RefuseForNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::{Value, json};

    use super::*;

    fn state(json: Value) -> AuthState {
        let Value::Object(fields) = json else { panic!("an object") };
        AuthState::new(fields)
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn knowledge_is_renewed_by_age() {
        let policy = RefreshPolicy::default();
        let oauth = state(json!({ "access_token": "t" }));
        let app = state(json!({
            "access_token": "t", "refresh_token": "r", "token_response": { "expires_in": 200 },
        }));
        // However lately it was confirmed.
        let until = state(json!({
            "access_token": "t", "token_response": { "expires_in": 200 }, "expires_at": 10_060,
        }));
        let short = state(json!({
            "access_token": "t", "token_response": { "expires_in": 30 }, "expires_at": 10_016,
        }));
        let soon = state(json!({
            "access_token": "t", "token_response": { "expires_in": 30 }, "expires_at": 10_015,
        }));
        let now = UNIX_EPOCH + seconds(10_000);
        assert_eq!(
            policy.freshness(Some((&until, seconds(1))), now - seconds(1)),
            Freshness::Fresh
        );
        let rows = [
            ("expires by the clock", Some((&until, seconds(1))), Freshness::Due),
            ("lives shortly", Some((&short, seconds(1))), Freshness::Fresh),
            ("lives shortly, half of it is over", Some((&soon, seconds(1))), Freshness::Due),
            ("new", Some((&oauth, seconds(0))), Freshness::Fresh),
            ("almost", Some((&oauth, seconds(299))), Freshness::Fresh),
            ("old", Some((&oauth, seconds(300))), Freshness::Due),
            ("nothing kept", None, Freshness::SignInAgain),
            ("expires, fresh", Some((&app, seconds(139))), Freshness::Fresh),
            ("expires soon", Some((&app, seconds(140))), Freshness::Due),
            ("long expired", Some((&app, seconds(1_000_000))), Freshness::Due),
        ];
        for (label, known, expected) in rows {
            assert_eq!(policy.freshness(known, now), expected, "{label}");
        }
        let never = RefreshPolicy { max_age: Duration::ZERO, ..policy };
        assert_eq!(never.freshness(Some((&oauth, seconds(1_000_000))), now), Freshness::Fresh);
        assert_eq!(never.freshness(None, now), Freshness::Fresh);
        let empty = state(json!({}));
        assert_eq!(policy.freshness(Some((&empty, seconds(300))), now), Freshness::SignInAgain);
    }

    #[test]
    fn before_a_spawn_it_may_be_renewed_whatever_its_age() {
        let oauth = state(json!({ "access_token": "t" }));
        let known = Some((&oauth, seconds(1)));
        assert_eq!(
            RefreshPolicy::default().freshness_before_spawn(known, UNIX_EPOCH),
            Freshness::Fresh
        );
        let strict = RefreshPolicy { before_spawn: true, ..RefreshPolicy::default() };
        assert_eq!(strict.freshness_before_spawn(known, UNIX_EPOCH), Freshness::Due);
        assert_eq!(strict.freshness_before_spawn(None, UNIX_EPOCH), Freshness::SignInAgain);
    }

    #[test]
    fn gh_4_an_outage_locks_nobody_out_within_the_grace() {
        let policy = RefreshPolicy::default();
        let down = || AuthError::Unreachable { provider: "GitHub".to_owned(), source: "x".into() };
        let limited = |seconds| AuthError::RateLimited {
            provider: "GitHub".to_owned(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let gone = AuthError::SignInAgain { provider: "GitHub".to_owned(), reason: "revoked" };
        let (user, reason) = ("ada".to_owned(), "x".to_owned());
        let refused = AuthError::NotAllowed { user: user.clone(), reason: reason.clone() };
        let doubt = AuthError::Unchecked { user, reason };
        let rows = [
            ("down", down(), 300, AfterFailure::KeepFor(seconds(300))),
            ("down, near the end", down(), 3500, AfterFailure::KeepFor(seconds(100))),
            ("down, grace over", down(), 3600, AfterFailure::RefuseForNow),
            ("limited", limited(720), 300, AfterFailure::KeepFor(seconds(720))),
            (
                "limited longer than the grace",
                limited(9000),
                300,
                AfterFailure::KeepFor(seconds(3300)),
            ),
            ("revoked", gone, 300, AfterFailure::SignInAgain),
            ("not a member", refused, 300, AfterFailure::SignInAgain),
            ("nobody knows", doubt, 300, AfterFailure::KeepFor(seconds(300))),
        ];
        for (label, error, age, expected) in rows {
            assert_eq!(policy.after_failure(&error, seconds(age)), expected, "{label}");
        }
    }
}
