//! The way back to a release that knows older tables.

use hub_tests::{Browser, Deployment, volume::shell};

use super::deployed;

/// A shell's line that does what a later release does: keeps a copy, and changes
/// the tables.
const AS_LATER: &str = r#"cd /v && umask 077 && python3 - <<'END'
import sqlite3, os
hub = sqlite3.connect('hub.sqlite')
last, = hub.execute('SELECT max(version) FROM _sqlx_migrations').fetchone()
copy = f'hub.sqlite.schema-{last}'
hub.execute('VACUUM INTO ?', (copy,))
owner = os.stat('hub.sqlite')
os.chown(copy, owner.st_uid, owner.st_gid)
hub.execute('INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) '
            "VALUES (?, 'later', 1, x'00', 0)", (last + 100,))
hub.commit()
hub.close()
END"#;

async fn as_later(deployment: &Deployment) {
    shell(&deployment.name, &format!("{}-data", deployment.name), AS_LATER).await;
}

async fn is_signed_in(ada: &mut Browser) -> bool {
    ada.get("/hub/home").await.url.path() == "/hub/home"
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn rst_1_a_hub_that_is_rolled_back_to_gets_the_database_that_it_knows() {
    let (mut deployment, _github, mut ada) = deployed().await;

    // The next hub does not come up, and the one before would refuse the tables.
    as_later(&deployment).await;
    deployment.set("HUB__SERVERS__START_TIMEOUT_SECONDS", "77");
    let refused = deployment.fail(&["upgrade"]).await;
    for part in ["the old one runs again", "the copy that was kept", ".newer-"] {
        assert!(refused.contains(part), "{part:?} in {refused}");
    }
    deployment.run(&["upgrade"]).await;
    assert!(is_signed_in(&mut ada).await);

    // By hand: a hub that meets newer tables is refused, and told the way.
    deployment.run(&["down"]).await;
    as_later(&deployment).await;
    let refused = deployment.fail(&["up"]).await;
    assert!(refused.contains("is newer than this program"), "{refused}");
    let told = deployment.told(&["upgrade", "--old-database"]).await;
    assert!(told.contains("the copy that was kept"), "{told}");
    assert!(is_signed_in(&mut ada).await);
    let told = deployment.told(&["upgrade", "--old-database"]).await;
    assert!(!told.contains("the copy that was kept"), "there is nothing to go back to: {told}");
    assert!(is_signed_in(&mut ada).await);
}
