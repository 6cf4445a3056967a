use proptest::prelude::*;

use super::*;
use crate::docker::{
    labels::{self, VolumeOwner},
    object_name::Escape,
    volume::owner_by,
};

fn names(escape: Escape) -> Names {
    Names::new(None, "jupyter", &"lab".parse().unwrap(), escape).unwrap()
}

/// The source, if it may be one of `volumes`.
fn read(source: &str, names: &Names) -> Result<Mounted, InvalidConfig> {
    let table = [(source.to_owned(), "/data".into())].into();
    let mut read = table_of("volumes", &table, "rw")?;
    check_volumes("volumes", &read, names, &Sockets::default())?;
    Ok(read.remove(0))
}

#[test]
fn b6_a_source_that_two_servers_would_have_is_refused() {
    let said = |source: &str, escape| {
        read(source, &names(escape)).err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (source, escape, words) in [
        ("v-{username}{servername}", Escape::Dns, "gives ada/lab and adal/ab one volume"),
        ("v-{raw_username}{servername}", Escape::Dns, "one volume"),
        ("v-{username}{raw_servername}", Escape::Dns, "one volume"),
        ("/srv/{username}{servername}", Escape::Dns, "put a / between them"),
        ("/srv/{username}-{servername}", Escape::Dns, "put a / between them"),
        ("/srv/{servername}{prefix}x{username}", Escape::Dns, "put a / between them"),
        ("/srv/{raw_username}--{servername}", Escape::Dns, "put a / between them"),
        ("/srv/{servername}--{raw_username}", Escape::Dns, "put a / between them"),
        ("/srv/{username}--{servername}", Escape::Legacy, "put a / between them"),
        ("v-{username}-{servername}", Escape::Dns, ""),
        ("v-{username}--{servername}", Escape::Legacy, ""),
        ("/srv/{username}--{servername}", Escape::Dns, ""),
        ("/srv/{username}/{servername}", Escape::Legacy, ""),
        ("/srv/{username}/{username}", Escape::Legacy, ""),
        ("/srv/{raw_username}", Escape::Dns, ""),
        ("class", Escape::Dns, ""),
    ] {
        let said = said(source, escape);
        assert_eq!(said.is_empty(), words.is_empty(), "{source}: {said}");
        assert!(said.contains(words), "{source}: {said}");
    }
    for (kind, source, words) in [
        (MountKind::Bind, "/srv/{username}{servername}", "mounts: {username}{servername}"),
        (MountKind::Volume, "v-{username}{servername}", "mounts: gives ada/lab and adal/ab"),
    ] {
        let (source, target) = (source.to_owned(), "/t".to_owned());
        let mount = MountConfig { kind, source, target, ..MountConfig::default() };
        let error = read_mounts(&[mount], &names(Escape::Dns), &Sockets::default()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// Names that are likely to collide: few letters, many separators.
fn tricky() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ab2d][ab2dA@ü_.-]{0,4}[ab2d-]").expect("a valid pattern")
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![tricky(), "\\PC{1,12}"]
}

/// Two servers that may well meet: one text, cut in two places, with what was at the cut
/// in a name or between both.
fn two_servers() -> impl Strategy<Value = [(String, String); 2]> {
    let cut = |text: &str, at: usize, keeps: bool| {
        let at = at % (text.len() + 1);
        let rest = &text[at..];
        let rest = if keeps { rest } else { rest.get(1..).unwrap_or_default() };
        (text[..at].to_owned(), rest.to_owned())
    };
    let text = "[a2dx-]{2,7}";
    let met = (text, any::<(usize, usize, bool, bool)>())
        .prop_map(move |(text, (i, j, a, b))| [cut(&text, i, a), cut(&text, j, b)]);
    let server = || prop_oneof![Just(String::new()), any_name()];
    let others = ((any_name(), server()), (any_name(), server()));
    prop_oneof![3 => met, 1 => others.prop_map(|(one, other)| [one, other])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn b6_no_two_servers_share_what_is_mounted_unless_the_template_says_so(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("{username}"), Just("{servername}"), Just("{raw_username}"),
                Just("{raw_servername}"), Just("{prefix}"), Just("-"), Just("--"), Just("/"),
                Just("x"),
            ],
            1..6,
        ),
        is_path in any::<bool>(),
        escape in prop_oneof![Just(Escape::Dns), Just(Escape::Legacy)],
        [one, other] in two_servers(),
    ) {
        let key = |(user, server): &(String, String)| {
            Some(ServerKey::new(user.parse().ok()?, server.parse().ok()?))
        };
        let (Some(one), Some(other)) = (key(&one), key(&other)) else { return Ok(()) };
        let names = names(escape);
        let source = if is_path { "/srv/" } else { "vol" }.to_owned() + &parts.concat();
        let Ok(mounted) = read(&source, &names) else { return Ok(()) };
        let place = |key| mounted.render(&names, key).map(|(source, _)| source);
        // What makes no name or path is refused at the start.
        let (Ok(first), Ok(second)) = (place(&one), place(&other)) else { return Ok(()) };
        let owners: [VolumeOwner<'_>; 2] =
            [&one, &other].map(|key| owner_by(&mounted.source, key));
        let lower = |server: Option<&str>| server.map(str::to_lowercase);
        let is_same = owners[0].user == owners[1].user
            // Names of servers are lower-cased.
            && lower(owners[0].server) == lower(owners[1].server);
        if first != second || is_same {
            return Ok(());
        }
        prop_assert!(is_object_name(&first), "{source} gives {one} and {other} the same {first}");
        let found = labels::of_volume("hub", owners[0]);
        prop_assert!(!labels::volume_fits(&found, "hub", owners[1]), "{source}: {one} {other}");
    }
}
