//! Both sides in one process.

use std::{net::TcpListener, os::fd::OwnedFd};

use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::{giving::GiveError, *};
use crate::{
    RouteTable,
    admin::{Registry, Vitals},
};

fn links() -> (Link, Link) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Link::new(ours), Link::new(theirs))
}

fn registry() -> Registry {
    let registry = Registry::new(RouteTable::default(), false);
    registry.preset("/user/ada".parse().unwrap(), "http://h:1".parse().unwrap());
    registry
}

fn vitals() -> Vitals {
    Vitals::new("1.0", CancellationToken::new(), Vec::new())
}

fn listening() -> (SocketLabel, OwnedFd) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = Place::Tcp(socket.local_addr().unwrap());
    (SocketLabel { role: Role::Public, addr, given: false }, socket.into())
}

#[tokio::test]
async fn z_01_z_03_sockets_and_routes_arrive_and_then_the_use_of_routes() {
    let (old, new) = (registry(), Registry::new(RouteTable::default(), false));
    let (has, sees) = (vitals(), vitals());
    has.inherit(Tally { connections: 1, websockets: 3, websockets_ended: 4 });
    let (label, socket) = listening();
    let sockets = [(label.clone(), socket)];
    let (ours, theirs) = links();
    let mut predecessor = taking::Predecessor::over(theirs);

    let taken = async {
        let mut offered = predecessor.sockets("2.0").await.unwrap();
        let offered = offered.remove(0);
        assert_eq!((offered.label.role, &offered.label.addr), (Role::Public, &label.addr));
        let addr = TcpListener::from(offered.socket).local_addr().unwrap();
        assert_eq!(Place::Tcp(addr), label.addr, "the socket itself");
        let handed = predecessor.routes().await.unwrap();
        new.take_over(handed.table).unwrap();
        sees.inherit(handed.tally);
        predecessor.release().await.unwrap();
    };
    let (given, ()) = tokio::join!(give(ours, &sockets, &old, &has), taken);
    let given = given.unwrap();
    assert_eq!(sees.tally(), has.tally(), "from the first moment on");
    assert_eq!(given.pid, std::process::id());
    assert_eq!(new.version(), old.version());

    let at = "2099-01-01T00:00:00Z".parse().unwrap();
    old.used("/user/ada", at);
    let told = async {
        while new.uses().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let drained = CancellationToken::new();
    let mut report = std::pin::pin!(given.report(&old, &has, &drained));
    let mut follow = std::pin::pin!(predecessor.follow(new.clone(), sees.clone()));
    tokio::select! {
        () = &mut report => panic!("the successor is still there"),
        () = &mut follow => panic!("the predecessor is still there"),
        () = told => {}
    }
    assert_eq!(new.uses(), [("/user/ada".parse().unwrap(), at)]);

    has.inherit(Tally { connections: 0, websockets: 2, websockets_ended: 5 });
    let last = "2100-01-01T00:00:00Z".parse().unwrap();
    old.used("/user/ada", last);
    drained.cancel();
    tokio::join!(report, follow);
    assert_eq!(new.uses(), [("/user/ada".parse().unwrap(), last)], "nothing is left out");
    let ended = Tally { connections: 0, websockets: 0, websockets_ended: 7 };
    assert_eq!(sees.tally(), ended, "what it had ended with it");
}

#[tokio::test]
async fn z_04_a_successor_that_gives_up_changes_nothing() {
    let (old, vitals) = (registry(), vitals());
    for steps in 0..3 {
        let (ours, theirs) = links();
        let mut predecessor = taking::Predecessor::over(theirs);
        let sockets = [listening()];
        let gives_up = async {
            if steps > 0 {
                predecessor.sockets("2.0").await.unwrap();
            }
            if steps > 1 {
                predecessor.routes().await.unwrap();
            }
            drop(predecessor);
        };
        let (given, ()) = tokio::join!(give(ours, &sockets, &old, &vitals), gives_up);
        assert!(matches!(given, Err(GiveError::Link(_))), "{steps}: {given:?}");
        assert!(old.is_open(), "{steps}");
    }
}

#[tokio::test(start_paused = true)]
async fn z_04_a_successor_that_hangs_is_given_up() {
    let (old, vitals) = (registry(), vitals());
    for steps in 0..3 {
        let (ours, theirs) = links();
        let mut predecessor = taking::Predecessor::over(theirs);
        let sockets = [listening()];
        let hangs = async {
            if steps > 0 {
                predecessor.sockets("2.0").await.unwrap();
            }
            if steps > 1 {
                predecessor.routes().await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            given = give(ours, &sockets, &old, &vitals) => {
                assert!(matches!(given, Err(GiveError::TimedOut(_))), "{steps}: {given:?}");
            }
            () = hangs => {}
        }
        assert!(old.is_open(), "{steps}");
    }
}

#[tokio::test]
async fn z_04_a_successor_of_another_kind_is_refused() {
    let (ours, mut theirs) = links();
    let hello = Message::Hello { protocol: PROTOCOL + 1, version: "9.0".to_owned() };
    theirs.send(&hello).await.unwrap();
    let given = give(ours, &[listening()], &registry(), &vitals()).await;
    assert!(matches!(given, Err(GiveError::Protocol { theirs: 2 })), "{given:?}");
}
