//! What a request and a change cost in the table of routes: `cargo bench -p hub-proxy`.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use divan::{Bencher, black_box};
use hub_proxy::{RoutePrefix, RouteTable, Target};

/// How many routes there are.
const SIZES: [usize; 3] = [1, 100, 10_000];

fn main() {
    divan::main();
}

fn target() -> Target {
    "http://127.0.0.1:8888".parse().unwrap()
}

fn prefix(number: usize) -> RoutePrefix {
    format!("/user/u{number}/").parse().unwrap()
}

fn table(size: usize) -> RouteTable {
    let table = RouteTable::default();
    table.replace((0..size).map(|number| (prefix(number), target())));
    table
}

/// The path of a notebook's request, one of each user in turn.
#[divan::bench(args = SIZES)]
fn lookup(bencher: Bencher<'_, '_>, size: usize) {
    let table = table(size);
    let paths: Vec<_> =
        (0..size).map(|number| format!("/user/u{number}/api/kernels/0123/channels")).collect();
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % paths.len();
        table.resolve(black_box(&paths[next]))
    });
}

/// A path that leads nowhere.
#[divan::bench(args = SIZES)]
fn lookup_of_nothing(bencher: Bencher<'_, '_>, size: usize) {
    let table = table(size);
    bencher.bench_local(|| table.resolve(black_box("/hub/api/users/ada")));
}

/// One route comes and goes.
#[divan::bench(args = SIZES)]
fn change(bencher: Bencher<'_, '_>, size: usize) {
    let table = table(size);
    let (prefix, target) = (prefix(size), target());
    bencher.bench_local(|| {
        table.insert(prefix.clone(), target.clone());
        table.remove(&prefix)
    });
}
