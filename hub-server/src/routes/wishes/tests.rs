use proptest::prelude::*;

use super::*;

fn path(name: &str) -> RoutePath {
    RoutePath::of_listed(&format!("/user/{name}"))
}

fn route(name: &str, port: u16) -> Route {
    Route {
        target: format!("http://10.0.0.1:{port}").parse().unwrap(),
        owner: Owner::Server(ServerKey::default_of(name.parse().unwrap())),
    }
}

fn listed(route: &Route) -> Listed {
    Listed { target: Some(route.target.clone()), ours: true, last_activity: None }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_route_is_added_as_jupyterhub_adds_it() {
    assert_eq!(
        route("ada", 8888).body(),
        json!({
            "user": "ada", "server_name": "", "target": "http://10.0.0.1:8888", "jupyterhub": true,
        })
    );
    let owner = Owner::Service("whoami".to_owned());
    let service = Route { target: "http://127.0.0.1:9000".parse().unwrap(), owner };
    assert_eq!(
        service.body(),
        json!({ "service": "whoami", "target": "http://127.0.0.1:9000", "jupyterhub": true })
    );
    let hub = Route { target: "http://hub:8000/".parse().unwrap(), owner: Owner::Hub };
    assert_eq!(hub.body(), json!({ "hub": true, "target": "http://hub:8000", "jupyterhub": true }));
}

#[test]
fn stale_routes_go_and_foreign_ones_stay() {
    let mut wishes = Wishes::default();
    wishes.want(path("ada"), route("ada", 1));
    let foreign = Listed { ours: false, ..listed(&route("x", 9)) };
    let table = BTreeMap::from([
        (path("ada"), listed(&route("ada", 1))),
        (path("gone"), listed(&route("gone", 2))),
        (path("foreign"), foreign),
    ]);
    let plan = wishes.compare(&table);
    assert_eq!(plan, Plan { add: Vec::new(), remove: vec![path("gone")] });
}

#[test]
fn missing_and_wrong_routes_are_added() {
    let mut wishes = Wishes::default();
    for (name, port) in [("ada", 1), ("bob", 2), ("eve", 3)] {
        wishes.want(path(name), route(name, port));
    }
    let foreign = Listed { ours: false, ..listed(&route("eve", 3)) };
    let table = BTreeMap::from([(path("bob"), listed(&route("bob", 99))), (path("eve"), foreign)]);
    let added: Vec<_> = wishes.compare(&table).add.into_iter().map(|(path, _)| path).collect();
    assert_eq!(added, [path("ada"), path("bob"), path("eve")]);
}

#[test]
fn a_server_that_is_being_looked_for_keeps_its_route() {
    let mut wishes = Wishes::default();
    wishes.keep(path("ada"));
    let table = BTreeMap::from([(path("ada"), listed(&route("ada", 1)))]);
    assert_eq!(wishes.compare(&table), Plan::default());
    assert!(!wishes.has_work());
    wishes.forget(path("ada"));
    assert_eq!(wishes.work().remove, [path("ada")]);
}

#[test]
fn adding_a_route_is_no_use_of_it_but_what_comes_later_is() {
    let mut wishes = Wishes::default();
    wishes.want(path("ada"), route("ada", 1));
    assert!(!wishes.is_use(&path("ada"), at(5)), "not there yet");
    wishes.added(&path("ada"), &route("ada", 1), Some(at(5)));
    assert!(!wishes.is_use(&path("ada"), at(5)));
    assert!(wishes.is_use(&path("ada"), at(6)));
    // From before a restart of the hub: nobody knows any more what the time was.
    let mut wishes = Wishes::default();
    wishes.want(path("ada"), route("ada", 1));
    wishes.compare(&BTreeMap::from([(path("ada"), listed(&route("ada", 1)))]));
    assert!(wishes.is_use(&path("ada"), at(5)));
}

#[test]
fn what_is_wished_meanwhile_counts_more_than_what_was_done() {
    let mut wishes = Wishes::default();
    wishes.want(path("ada"), route("ada", 1));
    wishes.want(path("ada"), route("ada", 2));
    wishes.added(&path("ada"), &route("ada", 1), None);
    assert!(!wishes.is_settled(&path("ada")));
    wishes.forget(path("ada"));
    wishes.added(&path("ada"), &route("ada", 2), None);
    assert_eq!(wishes.work(), Plan { add: Vec::new(), remove: vec![path("ada")] });
    wishes.want(path("ada"), route("ada", 3));
    wishes.removed(&path("ada"));
    assert_eq!(wishes.work().add, [(path("ada"), route("ada", 3))]);
}

/// What can happen, in any order.
#[derive(Clone, Debug)]
enum Step {
    Keep(u8),
    Want(u8, u16),
    Forget(u8),
    /// The keeper does what is known to be left.
    Work,
    /// The keeper compares and does what is left.
    Check,
    /// The proxy starts anew, with nothing in its table.
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8).prop_map(Step::Keep),
        (0..4_u8, 1..3_u16).prop_map(|(name, port)| Step::Want(name, port)),
        (0..4_u8).prop_map(Step::Forget),
        Just(Step::Work),
        Just(Step::Check),
        Just(Step::Restart),
    ]
}

fn carry_out(wishes: &mut Wishes, plan: Plan, proxy: &mut BTreeMap<RoutePath, Listed>) {
    for (path, route) in plan.add {
        proxy.insert(path.clone(), listed(&route));
        wishes.added(&path, &route, None);
    }
    for path in plan.remove {
        proxy.remove(&path);
        wishes.removed(&path);
    }
}

proptest! {
    /// Whatever happened: after one comparison the proxy has every wanted route,
    /// and no other but those that nobody has an opinion about.
    #[test]
    fn one_comparison_mends_everything(steps in prop::collection::vec(any_step(), 0..40)) {
        let names = ["a", "b", "c", "d"];
        let name = |index: u8| names[usize::from(index)];
        let mut wishes = Wishes::default();
        let mut proxy = BTreeMap::new();
        let mut wanted: BTreeMap<RoutePath, Option<Route>> = BTreeMap::new();
        for step in steps.into_iter().chain([Step::Check]) {
            match step {
                Step::Keep(index) => {
                    wanted.entry(path(name(index))).or_insert(None);
                    wishes.keep(path(name(index)));
                }
                Step::Want(index, port) => {
                    let route = route(name(index), port);
                    wanted.insert(path(name(index)), Some(route.clone()));
                    wishes.want(path(name(index)), route);
                }
                Step::Forget(index) => {
                    wanted.remove(&path(name(index)));
                    wishes.forget(path(name(index)));
                }
                Step::Work => {
                    let plan = wishes.work();
                    carry_out(&mut wishes, plan, &mut proxy);
                }
                Step::Check => {
                    let plan = wishes.compare(&proxy.clone());
                    carry_out(&mut wishes, plan, &mut proxy);
                }
                Step::Restart => proxy.clear(),
            }
        }
        prop_assert!(!wishes.has_work());
        for (path, route) in &wanted {
            if let Some(route) = route {
                prop_assert!(proxy.get(path).is_some_and(|found| found.is(route)));
                prop_assert!(wishes.is_settled(path));
            }
        }
        for path in proxy.keys() {
            prop_assert!(wanted.contains_key(path));
        }
    }
}
