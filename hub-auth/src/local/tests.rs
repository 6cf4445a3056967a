use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hub_names::UserName;
use secrecy::SecretString;

use super::*;
use crate::{AccessPolicy, AccessRules, PasswordRules, UnfitPassword, hash_password};

const PASSWORD: &str = "correct horse";
const BCRYPT: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const BCRYPT_PASSWORD: &str = "U*U";

/// A store in memory, which really counts.
#[derive(Debug, Default)]
struct Memory {
    accounts: Mutex<BTreeMap<UserName, LocalAccount>>,
    tries: Mutex<BTreeMap<String, Tries>>,
}

#[async_trait]
impl AccountStore for Memory {
    async fn account(&self, name: &UserName) -> Result<Option<LocalAccount>, BoxError> {
        if name.as_str() == "broken" {
            return Err("disk full".into());
        }
        Ok(self.accounts.lock().unwrap().get(name).cloned())
    }

    async fn replace_hash(&self, name: &UserName, old: &str, new: &str) -> Result<(), BoxError> {
        let mut accounts = self.accounts.lock().unwrap();
        if let Some(account) = accounts.get_mut(name).filter(|account| account.hash == old) {
            account.hash = new.to_owned();
        }
        Ok(())
    }
}

#[async_trait]
impl TryStore for Memory {
    async fn count_try(
        &self,
        key: &str,
        limit: &TryLimit,
        now: SystemTime,
    ) -> Result<Result<(), Duration>, BoxError> {
        Ok(limit.count(self.tries.lock().unwrap().entry(key.to_owned()).or_default(), now))
    }

    async fn forgive(&self, key: &str) -> Result<(), BoxError> {
        self.tries.lock().unwrap().remove(key);
        Ok(())
    }
}

fn account(name: &str, hash: &str, status: AccountStatus) -> LocalAccount {
    LocalAccount {
        id: format!("id-of-{name}"),
        name: name.parse().unwrap(),
        hash: hash.to_owned(),
        status,
    }
}

fn hub(accounts: &[LocalAccount]) -> (Arc<Memory>, LocalAuthenticator) {
    let store = Arc::new(Memory::default());
    let named = accounts.iter().map(|account| (account.name.clone(), account.clone()));
    store.accounts.lock().unwrap().extend(named);
    let clock: Clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_000_000));
    let hub = LocalAuthenticator::new(Arc::clone(&store) as Arc<dyn AccountStore>, clock).unwrap();
    (store, hub)
}

async fn sign_in(
    hub: &LocalAuthenticator,
    name: &str,
    password: &str,
) -> Result<Claims, AuthError> {
    let answer = Answer::Form { username: name.to_owned(), password: password.into() };
    hub.finish(answer).await
}

#[tokio::test]
async fn nat_2_an_old_hash_is_replaced_at_the_first_sign_in() {
    let (store, hub) = hub(&[account("ada", BCRYPT, AccountStatus::Active)]);
    let hash = || store.accounts.lock().unwrap().values().next().unwrap().hash.clone();
    let error = sign_in(&hub, "ada", "U*V").await.unwrap_err();
    assert!(matches!(error, AuthError::BadCredentials));
    assert_eq!(hash(), BCRYPT);

    // Too short for a new one: they sign in all the same, and keep the old hash.
    let claims = sign_in(&hub, "ADA", BCRYPT_PASSWORD).await.unwrap();
    assert_eq!(claims.stable_id().to_string(), "local:id-of-ada");
    assert_eq!(claims.login, "ada");
    assert_eq!(hash(), BCRYPT);

    let long = bcrypt::hash(PASSWORD, 4).unwrap();
    store.accounts.lock().unwrap().values_mut().for_each(|one| one.hash = long.clone());
    sign_in(&hub, "ada", PASSWORD).await.unwrap();
    assert!(hash().starts_with("$argon2id$"), "{}", hash());
    sign_in(&hub, "ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a2_login_unknown_same_answer() {
    let hash = hash_password(&PASSWORD.into()).unwrap();
    let waiting = account("cyd", &hash, AccountStatus::Waiting);
    let (_, hub) = hub(&[account("ada", &hash, AccountStatus::Active), waiting]);
    for (name, password) in
        [("ada", "wrong horse"), ("bob", PASSWORD), ("a/b", PASSWORD), ("", ""), ("cyd", "wrong")]
    {
        let error = sign_in(&hub, name, password).await.unwrap_err();
        assert_eq!(error.to_string(), "invalid username or password", "{name}");
    }
}

#[tokio::test]
async fn nat_an_account_waits_for_approval_and_says_so_to_its_owner() {
    let hash = hash_password(&PASSWORD.into()).unwrap();
    for (status, part) in
        [(AccountStatus::Waiting, "waits for the approval"), (AccountStatus::Closed, "was closed")]
    {
        let (_, hub) = hub(&[account("ada", &hash, status)]);
        let error = sign_in(&hub, "ada", PASSWORD).await.unwrap_err();
        assert!(matches!(error, AuthError::NotAllowed { .. }));
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn nat_2_failed_tries_are_counted_in_the_store() {
    let hash = hash_password(&PASSWORD.into()).unwrap();
    let (store, hub) = hub(&[account("ada", &hash, AccountStatus::Active)]);
    let hub = hub.with_limit(TryLimit { tries: 2, ..TryLimit::ACCOUNT });
    sign_in(&hub, "ada", "wrong horse").await.unwrap_err();
    sign_in(&hub, "ada", PASSWORD).await.unwrap();
    assert!(store.tries.lock().unwrap().is_empty(), "whoever is right is forgiven");
    for name in ["ada", "bob"] {
        sign_in(&hub, name, "wrong horse").await.unwrap_err();
        sign_in(&hub, name, "wrong horse").await.unwrap_err();
        let error = sign_in(&hub, name, PASSWORD).await.unwrap_err();
        assert!(matches!(error, AuthError::TooManyTries { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_store_that_fails_lets_nobody_in() {
    let (_, hub) = hub(&[]);
    let error = sign_in(&hub, "broken", PASSWORD).await.unwrap_err();
    assert!(matches!(error, AuthError::Internal { .. }));
}

fn policy() -> AccessPolicy {
    let names = |list: &[&str]| list.iter().map(|name| name.parse().unwrap()).collect();
    AccessPolicy::new(AccessRules {
        allowed: names(&["zoe"]),
        admins: names(&["root"]),
        blocked: names(&["mal"]),
        ..AccessRules::default()
    })
}

fn rules(mode: SignUpMode) -> SignUpRules {
    SignUpRules { mode, passwords: PasswordRules::default() }
}

fn sign_up(
    mode: SignUpMode,
    username: &str,
    ticket: Option<&Purpose>,
) -> Result<NewAccount, SignUpRefused> {
    let password = PASSWORD.into();
    let is_taken = username == "taken";
    let request = SignUp { username, password: &password, ticket, is_taken };
    rules(mode).sign_up(&policy(), &request)
}

/// How a sign-up reads in the table.
fn verdict(result: &Result<NewAccount, SignUpRefused>) -> &'static str {
    match result {
        Ok(NewAccount { admin: true, .. }) => "admin",
        Ok(new) if new.account.status == AccountStatus::Active => "active",
        Ok(_) => "waiting",
        Err(SignUpRefused::Closed) => "closed",
        Err(SignUpRefused::NotInvited) => "not invited",
        Err(SignUpRefused::OtherTicket) => "other ticket",
        Err(SignUpRefused::Name(_)) => "bad name",
        Err(SignUpRefused::NotAvailable) => "not available",
        Err(SignUpRefused::HasAdmin) => "has admin",
        Err(SignUpRefused::Password(_)) => "bad password",
    }
}

#[test]
fn nat_sign_up_table() {
    use SignUpMode::{Approval, Closed, Invitation, Open};
    let open = Purpose::Invitation { name: None, groups: ["class".to_owned()].into() };
    let mine = Purpose::Invitation { name: "ada".parse().ok(), groups: BTreeSet::new() };
    let set_up = Purpose::SetUp { name: None };
    let rows = [
        (Closed, "ada", None, "closed"),
        (Closed, "ada", Some(&open), "closed"),
        (Invitation, "ada", None, "not invited"),
        (Invitation, "ada", Some(&open), "active"),
        (Invitation, "Ada", Some(&mine), "active"),
        (Invitation, "bob", Some(&mine), "other ticket"),
        (Invitation, "ada", Some(&set_up), "other ticket"),
        (Approval, "ada", None, "waiting"),
        (Approval, "zoe", None, "waiting"),
        (Approval, "ada", Some(&open), "active"),
        (Open, "ada", None, "active"),
        (Open, "taken", None, "not available"),
        (Open, "mal", None, "not available"),
        (Open, "a b", None, "bad name"),
        (Open, "a,b", None, "bad name"),
        (Open, "a/b", None, "bad name"),
        (Open, "", None, "bad name"),
    ];
    for (mode, name, ticket, expected) in rows {
        let result = sign_up(mode, name, ticket);
        assert_eq!(verdict(&result), expected, "{mode:?} {name} {ticket:?}");
    }
}

#[test]
fn nat_1_nobody_signs_up_for_the_name_of_an_administrator() {
    let invited = Purpose::Invitation { name: None, groups: BTreeSet::new() };
    for ticket in [None, Some(&invited)] {
        for name in ["root", "ROOT", "ｒｏｏｔ"] {
            assert_eq!(
                verdict(&sign_up(SignUpMode::Open, name, ticket)),
                "not available",
                "{name}"
            );
        }
    }
}

#[test]
fn an_invitation_brings_its_groups() {
    let groups: BTreeSet<String> = ["class".to_owned()].into();
    let ticket = Purpose::Invitation { name: None, groups: groups.clone() };
    let new = sign_up(SignUpMode::Approval, "ada", Some(&ticket)).unwrap();
    assert_eq!((new.groups, new.admin), (groups, false));
    assert_eq!(new.account.id.len(), 32);
    assert!(new.account.hash.starts_with("$argon2id$"));
}

#[test]
fn a_sign_up_needs_a_good_password() {
    let password = "password123".into();
    let request = SignUp { username: "ada", password: &password, ticket: None, is_taken: false };
    let error = rules(SignUpMode::Open).sign_up(&policy(), &request).unwrap_err();
    assert!(matches!(error, SignUpRefused::Password(UnfitPassword::Common)));
}

#[test]
fn nat_1_the_set_up_ticket_makes_the_first_administrator() {
    let set_up = |username: &str, ticket: &Purpose, has_admin: bool, is_taken: bool| {
        let password = PASSWORD.into();
        let request = SetUp { username, password: &password, ticket, is_taken, has_admin };
        verdict(&rules(SignUpMode::Closed).set_up(&policy(), &request))
    };
    let any = Purpose::SetUp { name: None };
    let root = Purpose::SetUp { name: "root".parse().ok() };
    assert_eq!(set_up("root", &any, false, false), "admin");
    assert_eq!(set_up("Root", &root, false, false), "admin");
    assert_eq!(set_up("eve", &root, false, false), "other ticket");
    assert_eq!(set_up("root", &any, true, false), "has admin");
    assert_eq!(set_up("root", &any, false, true), "not available");
    assert_eq!(set_up("mal", &any, false, false), "not available");
    let invitation = Purpose::Invitation { name: None, groups: BTreeSet::new() };
    assert_eq!(set_up("root", &invitation, false, false), "other ticket");
}

#[test]
fn a_password_is_changed_by_whoever_knows_it() {
    let hash = hash_password(&PASSWORD.into()).unwrap();
    let ada = account("ada", &hash, AccountStatus::Active);
    let change = |current: &str, new: &str| {
        let (current, new): (SecretString, SecretString) = (current.into(), new.into());
        change_password(&ada, &current, &new, &PasswordRules::default())
    };
    let changed = change(PASSWORD, "battery staple").unwrap();
    assert_eq!(changed.old, hash);
    assert_eq!(crate::verify_password(&changed.new, &"battery staple".into()), Verified::Right);
    assert!(matches!(change("wrong", "battery staple"), Err(ChangeRefused::WrongPassword)));
    assert!(matches!(change(PASSWORD, PASSWORD), Err(ChangeRefused::Unchanged)));
    assert!(matches!(change(PASSWORD, "short"), Err(ChangeRefused::Password(_))));
}

#[test]
fn a_reset_is_for_one_account_and_one_password() {
    let hash = hash_password(&PASSWORD.into()).unwrap();
    let ada = account("ada", &hash, AccountStatus::Active);
    let ticket = Purpose::reset(&ada);
    let new = "battery staple".into();
    let rules = PasswordRules::default();
    let changed = reset_password(&ada, &ticket, &new, &rules).unwrap();
    let bob = account("bob", &hash, AccountStatus::Active);
    let after = LocalAccount { hash: changed.new, ..ada };
    for other in [bob, after] {
        let error = reset_password(&other, &ticket, &new, &rules).unwrap_err();
        assert!(matches!(error, ChangeRefused::OtherTicket));
    }
}

#[test]
fn nat_2_accounts_of_a_native_authenticator_are_taken_over() {
    let ada = LocalAccount::import("Ada", BCRYPT, true).unwrap();
    assert_eq!((ada.name.as_str(), ada.status), ("ada", AccountStatus::Active));
    assert_eq!(ada.hash, BCRYPT);
    let waiting = LocalAccount::import("bob", BCRYPT, false).unwrap();
    assert_eq!(waiting.status, AccountStatus::Waiting);
    for (name, hash, part) in [
        ("a b", BCRYPT, "accounts.a b: a name cannot hold blanks"),
        ("ada", "hunter2", "accounts.ada: is not a password hash"),
        ("ada", "$2b$12$short", "accounts.ada: is no whole bcrypt hash"),
        ("ada", &BCRYPT.replace("$05$", "$30$"), "accounts.ada: asks for 2^30 rounds"),
    ] {
        let error = LocalAccount::import(name, hash, true).unwrap_err().to_string();
        assert!(error.starts_with(part), "{error}");
    }
}

#[test]
fn f1_no_hash_is_printed() {
    let new = sign_up(SignUpMode::Open, "ada", None).unwrap();
    let changed = set_password(&new.account, &"battery staple".into(), &PasswordRules::default());
    let printed = format!("{new:?} {changed:?} {:?}", new.account);
    assert!(!printed.contains("argon2") && printed.contains("ada"), "{printed}");
}
