use serde_json::json;

use super::*;

/// A state that Python's `cryptography` sealed at 1700000000 with the bytes 0 to 31.
const OF_PYTHON: &str = "gAAAAABlU_EArH5bmRQ3OiTkGVVH3-iT3UfhWCg19s7O48Is-_O2pFZeEctoLlgFjn0o9Pz567Y1ym0E4MCKAYh_I8SnHVd6tvUu_Q7ZSSjYBQnLDyEm7rN5LYalD80zkJOpT3VOmmdu";
const NOW: u64 = 1_800_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// The key of these bytes, in hexadecimal.
fn hex(first: u8) -> String {
    (first..first + 32).map(|byte| format!("{byte:02x}")).collect()
}

fn keys(texts: &[&str]) -> CryptKeys {
    CryptKeys::parse(&texts.join(";")).unwrap().unwrap()
}

fn state() -> AuthState {
    let Value::Object(fields) = json!({ "access_token": "gho_x", "scope": ["user"] }) else {
        panic!("an object")
    };
    AuthState::new(fields)
}

#[test]
fn cry_1_records_of_a_jupyterhub_open() {
    let keys = keys(&[&hex(0)]);
    let Opened { state, sealed_at, is_old } = keys.open(OF_PYTHON, "any").unwrap();
    assert_eq!(state.access_token(), Some("gho_x"));
    assert_eq!(state.at("name").unwrap(), "Ada é");
    assert_eq!(sealed_at, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    assert!(is_old, "it is tied to nobody yet");

    let rotated = keys.rotate(OF_PYTHON, "7").unwrap().unwrap();
    let opened = keys.open(&rotated, "7").unwrap();
    assert_eq!((opened.state, opened.sealed_at, opened.is_old), (state, sealed_at, false));
}

#[test]
fn cry_1_keys_are_read_in_all_their_forms() {
    let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let same = keys(&[&hex(0)]).fingerprints();
    assert_eq!(keys(&[base64]).fingerprints(), same);
    assert_eq!(keys(&[" ", &hex(0).to_uppercase(), ""]).fingerprints(), same);
    let raw = "abcdefghijklmnopqrstuvwxyz012345";
    let as_hex: String = raw.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(keys(&[raw]).fingerprints(), keys(&[&as_hex]).fingerprints());
    assert_eq!(keys(&[&hex(0), raw]).fingerprints().len(), 2);
    assert!(CryptKeys::parse(" ; ;").unwrap().is_none());
}

#[test]
fn cry_1_a_bad_key_is_named_by_its_place_and_not_printed() {
    for bad in ["hunter2", &hex(0)[1..], &"g".repeat(64), &"!".repeat(44), &"é".repeat(16)] {
        let error = CryptKeys::parse(&format!("{};{bad}", hex(0))).unwrap_err().to_string();
        assert!(error.starts_with("crypt_key: key 2 is not"), "{error}");
        assert!(!error.contains(bad), "{error}");
    }
}

#[test]
fn cry_2_auth_state_without_keys_names_the_command_that_makes_one() {
    let error = CryptKeys::require(None).unwrap_err().to_string();
    assert!(error.contains("openssl rand -hex 32"), "{error}");
}

#[test]
fn key_rotation_seals_with_the_first_key_and_opens_with_all() {
    let (old, new) = (hex(0), hex(32));
    let sealed = keys(&[&old]).seal(&state(), "7", now());
    let both = keys(&[&new, &old]);
    assert!(both.open(&sealed, "7").unwrap().is_old);
    let rotated = both.rotate(&sealed, "7").unwrap().unwrap();
    assert_eq!(both.rotate(&rotated, "7"), Ok(None), "once is enough");
    let opened = keys(&[&new]).open(&rotated, "7").unwrap();
    assert_eq!((opened.state, opened.sealed_at), (state(), now()));
    assert_eq!(keys(&[&old]).open(&rotated, "7"), Err(CannotOpen::NoKeyFits));
}

#[test]
fn auth_state_swap_rows_fails() {
    let keys = keys(&[&hex(0)]);
    let sealed = keys.seal(&state(), "7", now());
    assert_eq!(keys.open(&sealed, "7").unwrap().state, state());
    assert_eq!(keys.open(&sealed, "8"), Err(CannotOpen::OtherOwner));
    assert_eq!(keys.rotate(&sealed, "8"), Err(CannotOpen::OtherOwner));
}

#[test]
fn wrong_key_clear_error() {
    let sealed = keys(&[&hex(0)]).seal(&state(), "7", now());
    let error = keys(&[&hex(32)]).open(&sealed, "7").unwrap_err();
    assert!(error.to_string().contains("was a key removed too early?"), "{error}");
}

#[test]
fn a_value_opens_for_its_purpose_and_in_its_time() {
    let keys = CryptKeys::generate();
    let minute = Duration::from_secs(60);
    let sealed = keys.seal_value("pending", &["a", "b"], now()).unwrap();
    let open = |purpose: &str, now| keys.open_value::<[String; 2]>(purpose, &sealed, minute, now);
    assert_eq!(open("pending", now()).unwrap(), ["a", "b"]);
    assert_eq!(open("pending", now() + minute), Err(CannotOpen::TooOld));
    assert_eq!(open("pending", now() - minute * 2), Err(CannotOpen::TooOld));
    assert_eq!(open("session", now()), Err(CannotOpen::Content));
    assert_eq!(keys.open_value::<u32>("pending", &sealed, minute, now()), Err(CannotOpen::Content));
    // A state is no value, and a value no state.
    assert_eq!(keys.open(&sealed, "7"), Err(CannotOpen::Content));
    let state = keys.seal(&state(), "7", now());
    assert!(keys.open_value::<Value>("pending", &state, minute, now()).is_err());
}

#[test]
fn g1_keys_are_not_printed() {
    assert_eq!(format!("{:?}", keys(&[&hex(0)])), "CryptKeys { count: 1, .. }");
}
