use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use super::*;

const PASSWORD: &str = "correct horse";

fn authenticator(names: &[&str]) -> PasswordAuthenticator {
    let hash = hash_password(&PASSWORD.into()).unwrap();
    let accounts = names.iter().map(|name| (name.parse().unwrap(), hash.clone())).collect();
    PasswordAuthenticator::new(PasswordAccounts::new(accounts).unwrap()).unwrap()
}

async fn sign_in(
    authenticator: &PasswordAuthenticator,
    username: &str,
    password: &str,
) -> Result<Claims, AuthError> {
    let answer = Answer::Form { username: username.to_owned(), password: password.into() };
    authenticator.finish(answer).await
}

#[tokio::test]
async fn the_right_password_signs_in_whatever_the_case_of_the_name() {
    let hub = authenticator(&["Ada", "bob"]);
    let claims = sign_in(&hub, "ADA", PASSWORD).await.unwrap();
    assert_eq!((claims.provider.as_str(), claims.subject.as_str()), ("password", "ada"));
    assert_eq!(claims.login, "ada");
}

#[tokio::test]
async fn a2_login_unknown_same_answer() {
    let hub = authenticator(&["ada"]);
    for (username, password) in [
        ("ada", "wrong horse"),
        ("bob", "wrong horse"),
        // The stand-in's own password opens nothing.
        ("bob", PASSWORD),
        ("../ada", PASSWORD),
        ("", PASSWORD),
        ("ada", ""),
    ] {
        let error = sign_in(&hub, username, password).await.unwrap_err();
        assert_eq!(error.to_string(), "invalid username or password", "{username}");
    }
}

#[tokio::test]
async fn a_hub_without_accounts_lets_nobody_in() {
    let hub = authenticator(&[]);
    let error = sign_in(&hub, "ada", PASSWORD).await.unwrap_err();
    assert!(matches!(error, AuthError::BadCredentials));
}

#[tokio::test]
async fn a1_login_rate_limit_holds_a_name_and_ends_with_the_window() {
    let seconds = Arc::new(AtomicU64::new(1_000_000));
    let now = Arc::clone(&seconds);
    let clock: Clock =
        Arc::new(move || UNIX_EPOCH + Duration::from_secs(now.load(Ordering::Relaxed)));
    let tries = Arc::new(TriesInMemory::default());
    let hub = authenticator(&["ada", "bob"]).counting_in(tries, clock);
    for _ in 0..10 {
        let error = sign_in(&hub, "ada", "wrong horse").await.unwrap_err();
        assert!(matches!(error, AuthError::BadCredentials));
    }
    let error = sign_in(&hub, "Ada", PASSWORD).await.unwrap_err();
    let AuthError::TooManyTries { retry_after } = error else {
        panic!("not locked: {error}");
    };
    assert!(sign_in(&hub, "bob", PASSWORD).await.is_ok(), "others sign in");
    seconds.fetch_add(retry_after.as_secs(), Ordering::Relaxed);
    assert!(sign_in(&hub, "ada", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a1_tries_at_the_same_moment_all_count() {
    let hub = Arc::new(authenticator(&["ada"]));
    let tries = (0..30).map(|_| {
        let hub = Arc::clone(&hub);
        async move { sign_in(&hub, "ada", "wrong horse").await }
    });
    let mut set = tokio::task::JoinSet::new();
    tries.for_each(|attempt| drop(set.spawn(attempt)));
    let errors = set.join_all().await;
    let locked =
        |result: &&Result<Claims, AuthError>| matches!(result, Err(AuthError::TooManyTries { .. }));
    assert_eq!(errors.iter().filter(locked).count(), 20);
}

#[tokio::test]
async fn nat_2_tries_are_kept_where_the_hub_keeps_those_of_its_own_accounts() {
    let tries: Arc<dyn TryStore> = Arc::new(TriesInMemory::default());
    let clock: Clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_000_000));
    let started = || authenticator(&["ada"]).counting_in(Arc::clone(&tries), Arc::clone(&clock));
    let before = started();
    for _ in 0..10 {
        sign_in(&before, "ada", "wrong horse").await.unwrap_err();
    }
    let error = sign_in(&started(), "ada", PASSWORD).await.unwrap_err();
    assert!(matches!(error, AuthError::TooManyTries { .. }), "{error}");
    tries.forgive(&account_key(&"ada".parse().unwrap())).await.unwrap();
    assert!(sign_in(&started(), "ada", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_callback_is_not_how_passwords_work() {
    let answer = Answer::Callback {
        pending: crate::PendingLogin::generate(),
        callback: crate::Callback::default(),
    };
    let error = authenticator(&[]).finish(answer).await.unwrap_err();
    assert!(matches!(error, AuthError::WrongAnswer { .. }));
}

#[test]
fn accounts_that_cannot_work_are_named() {
    let hash = hash_password(&PASSWORD.into()).unwrap();
    let refuse = |accounts: &[(&str, &str)]| {
        let accounts =
            accounts.iter().map(|(name, hash)| (name.parse().unwrap(), (*hash).to_owned()));
        PasswordAccounts::new(accounts.collect()).unwrap_err().to_string()
    };
    assert_eq!(
        refuse(&[("ada", &hash), ("bob", "hunter2")]),
        "accounts.bob: is not a password hash in PHC format"
    );
    assert_eq!(
        refuse(&[("ADA", &hash), ("ada", &hash)]),
        "accounts.ada: is there twice; upper and lower case are the same"
    );
}

#[test]
fn f1_hashes_are_not_printed() {
    let hub = authenticator(&["ada"]);
    let printed = format!("{hub:?}");
    assert!(printed.contains("ada") && !printed.contains("argon2"), "{printed}");
}
