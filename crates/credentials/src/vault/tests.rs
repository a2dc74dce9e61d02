//! What must not open does not, and what must does.

use proptest::prelude::*;
use tidemark_domain::id::ConnectionId;
use tidemark_testkit::{ManualClock, SeededEntropy};

use super::*;

const KEY: &str = "a-vendor-key-0123456789";

fn kek(byte: u8) -> String {
    STANDARD.encode([byte; KEY_BYTES])
}

fn vault(keys: &str) -> Vault {
    Vault::from_keys(&SecretString::from(keys), Arc::new(SeededEntropy::new(7))).unwrap()
}

fn first() -> Vault {
    vault(&format!("k1:{}", kek(1)))
}

struct Owner {
    organization: OrganizationId,
    connection: ConnectionId,
}

impl Owner {
    fn new(seed: u64) -> Self {
        let clock = ManualClock::noon("2026-08-12".parse().unwrap());
        let entropy = SeededEntropy::new(seed);
        Self {
            organization: OrganizationId::generate(&clock, &entropy),
            connection: ConnectionId::generate(&clock, &entropy),
        }
    }

    fn at(&self, generation: i64) -> Place<'_> {
        let record = self.connection.as_str();
        Place { organization: &self.organization, record, field: "api_key", version: generation }
    }
}

fn seal(vault: &Vault, place: Place<'_>, key: &str) -> Sealed {
    vault.seal(place, &SecretString::from(key))
}

fn opened(vault: &Vault, place: Place<'_>, sealed: &Sealed) -> Result<String, OpenError> {
    vault.open(place, sealed).map(|key| key.expose_secret().to_owned())
}

fn refused(key_id: &str) -> Result<String, OpenError> {
    Err(OpenError::Refused { key_id: key_id.to_owned() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_credential_opens_in_its_place_and_nowhere_else(
        key in "[!-~]{1,200}", seeds in (0_u64..1000, 1000_u64..2000), generation in 1_i64..i64::MAX, other in 1_i64..i64::MAX,
    ) {
        let (vault, owner, stranger) = (first(), Owner::new(seeds.0), Owner::new(seeds.1));
        let sealed = seal(&vault, owner.at(generation), &key);
        prop_assert_eq!(opened(&vault, owner.at(generation), &sealed), Ok(key));

        let elsewhere = [
            Place { organization: &stranger.organization, ..owner.at(generation) },
            Place { record: stranger.connection.as_str(), ..owner.at(generation) },
            Place { field: "another_field", ..owner.at(generation) },
            Place { version: generation - 1, ..owner.at(generation) },
        ];
        for place in elsewhere {
            prop_assert_eq!(opened(&vault, place, &sealed), refused("k1"));
        }
        if other != generation {
            prop_assert_eq!(opened(&vault, owner.at(other), &sealed), refused("k1"));
        }
    }

    /// What was read off the database once and is written back later, or elsewhere: of all secrets that two records had
    /// in two fields over time, each opens as itself only, under a rotated ring too.
    #[test]
    fn a_replayed_secret_opens_as_nothing_but_itself(
        seeds in (0_u64..1000, 1000_u64..2000), first_version in 1_i64..1_000_000, rotated: bool,
    ) {
        let owners = [Owner::new(seeds.0), Owner::new(seeds.1)];
        let places: Vec<_> = owners
            .iter()
            .flat_map(|owner| (0..3).map(|later| owner.at(first_version + later)))
            .flat_map(|place| ["api_key", "refresh_token"].map(|field| Place { field, ..place }))
            .collect();
        let old = first();
        let sealed: Vec<_> = places.iter().zip(0..).map(|(place, n)| seal(&old, *place, &format!("key-{n}"))).collect();
        let vault = if rotated { vault(&format!("k2:{},k1:{}", kek(2), kek(1))) } else { first() };
        for (at, place) in places.iter().enumerate() {
            for (from, sealed) in sealed.iter().enumerate() {
                let expected = if at == from { Ok(format!("key-{at}")) } else { refused("k1") };
                prop_assert_eq!(opened(&vault, *place, sealed), expected);
            }
        }
    }

    /// Every mixture of the parts of two secrets of one record, even with the names of key and algorithm kept.
    #[test]
    fn a_swapped_part_opens_nothing(versions in (1_i64..1000, 1000_i64..2000), wrapped: bool, at_first: bool) {
        let (vault, owner) = (first(), Owner::new(1));
        let (old, new) = (seal(&vault, owner.at(versions.0), "old-key"), seal(&vault, owner.at(versions.1), "new-key"));
        let mixed = if wrapped {
            Sealed { wrapped_key: old.wrapped_key, ..new }
        } else {
            Sealed { ciphertext: old.ciphertext, ..new }
        };
        let version = if at_first { versions.0 } else { versions.1 };
        prop_assert_eq!(opened(&vault, owner.at(version), &mixed), refused("k1"));
    }

    #[test]
    fn an_altered_credential_does_not_open(at in any::<prop::sample::Index>(), bit in 0_u8..8, wrapped: bool) {
        let (vault, owner) = (first(), Owner::new(1));
        let mut sealed = seal(&vault, owner.at(1), KEY);
        let bytes = if wrapped { &mut sealed.wrapped_key } else { &mut sealed.ciphertext };
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(opened(&vault, owner.at(1), &sealed), refused("k1"));
    }

    #[test]
    fn a_cut_credential_does_not_open(length in any::<prop::sample::Index>(), wrapped: bool) {
        let (vault, owner) = (first(), Owner::new(1));
        let mut sealed = seal(&vault, owner.at(1), KEY);
        let bytes = if wrapped { &mut sealed.wrapped_key } else { &mut sealed.ciphertext };
        bytes.truncate(length.index(bytes.len()));
        prop_assert_eq!(opened(&vault, owner.at(1), &sealed), refused("k1"));
    }
}

#[test]
fn parts_of_two_credentials_do_not_mix() {
    let (vault, owner, stranger) = (first(), Owner::new(1), Owner::new(2));
    let (mine, theirs) = (seal(&vault, owner.at(1), KEY), seal(&vault, stranger.at(1), "another-key"));
    assert_eq!(opened(&vault, owner.at(1), &theirs), refused("k1"), "swapped whole");
    let mixed = Sealed { wrapped_key: theirs.wrapped_key, ..mine.clone() };
    assert_eq!(opened(&vault, owner.at(1), &mixed), refused("k1"));
    let mixed = Sealed { ciphertext: mine.wrapped_key.clone(), ..mine };
    assert_eq!(opened(&vault, owner.at(1), &mixed), refused("k1"), "the fields are told apart");
}

#[test]
fn the_same_key_is_never_sealed_the_same_way_twice() {
    let (vault, owner) = (first(), Owner::new(1));
    let (one, two) = (seal(&vault, owner.at(1), KEY), seal(&vault, owner.at(1), KEY));
    assert_ne!(one.ciphertext, two.ciphertext);
    assert_ne!(one.wrapped_key, two.wrapped_key);
}

#[test]
fn a_rotated_ring_opens_old_credentials_and_seals_with_the_new_key() {
    let owner = Owner::new(1);
    let old = seal(&first(), owner.at(1), KEY);
    let rotated = vault(&format!(" k2:{} , k1:{},", kek(2), kek(1)));
    assert_eq!(opened(&rotated, owner.at(1), &old).as_deref(), Ok(KEY));
    let new = seal(&rotated, owner.at(2), KEY);
    assert_eq!(new.key_id, "k2");
    let unknown = OpenError::UnknownKey { key_id: "k2".to_owned() };
    assert!(unknown.to_string().contains("add that key to `credentials.keys`"));
    assert_eq!(opened(&first(), owner.at(2), &new), Err(unknown));
}

#[test]
fn a_wrong_key_of_the_right_id_and_a_relabelled_row_are_refused() {
    let owner = Owner::new(1);
    let sealed = seal(&first(), owner.at(1), KEY);
    assert_eq!(opened(&vault(&format!("k1:{}", kek(9))), owner.at(1), &sealed), refused("k1"));

    let both = vault(&format!("k1:{},k2:{}", kek(1), kek(1)));
    let relabelled = Sealed { key_id: "k2".to_owned(), ..sealed.clone() };
    assert_eq!(opened(&both, owner.at(1), &relabelled), refused("k2"), "the same bytes under another id");

    let foreign = Sealed { algorithm: "rot13".to_owned(), ..sealed };
    let expected = OpenError::UnknownAlgorithm { algorithm: "rot13".to_owned() };
    assert_eq!(opened(&both, owner.at(1), &foreign), Err(expected));
}

#[test]
fn bad_keys_are_named_by_position_and_never_shown() {
    let good = kek(1);
    let short = STANDARD.encode([5; 31]);
    let cases = [
        (String::new(), "make one with"),
        (" , ".to_owned(), "make one with"),
        (good.clone(), "no. 1 in `credentials.keys` has no `:`"),
        (format!("{good}:k1"), "no. 1 in `credentials.keys` has an id that is not"),
        (format!("k1:{good},k2:not base64"), "no. 2 in `credentials.keys` is not base64"),
        (format!("k1:{short}"), "no. 1 in `credentials.keys` is not 32 bytes long"),
        (format!("k1:{good},k1:{good}"), "no. 2 in `credentials.keys` has the id of one before it"),
    ];
    for (keys, expected) in cases {
        let keys = SecretString::from(keys);
        let error = Vault::from_keys(&keys, Arc::new(SeededEntropy::new(1))).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains(&good[..20]) && !told.contains(&short[..20]), "{told}");
    }
}

#[test]
fn debug_shows_ids_only() {
    let told = format!("{:?}", first());
    assert_eq!(told, r#"Vault { key_ids: ["k1"], .. }"#);
}
