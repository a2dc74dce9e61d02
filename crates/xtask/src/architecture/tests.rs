use super::*;

fn member(name: &str, dependencies: &[(&str, DependencyKind)]) -> Member {
    let dependencies = dependencies.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    Member { name: format!("{PREFIX}{name}"), dependencies }
}

fn found(member: Member) -> Vec<String> {
    violations(&[member], CRATES, LIBRARIES).iter().map(ToString::to_string).collect()
}

use DependencyKind::{Build, Development, Normal};

#[test]
fn what_the_table_allows_passes() {
    let sync = member("sync", &[("tidemark-store", Normal), ("tonic", Normal), ("serde", Build)]);
    assert_eq!(found(sync), Vec::<String>::new());
    let sync = member("sync", &[("tidemark-inproc", Development), ("tidemark-testkit", Development)]);
    assert_eq!(found(sync), Vec::<String>::new());
    assert_eq!(found(member("productboard", &[("axum", Development)])), Vec::<String>::new());
}

#[test]
fn a_service_that_sees_an_adapter_is_found() {
    let found = found(member("sync", &[("tidemark-domain", Normal), ("tidemark-bus-amqp", Normal)]));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("sync may not use bus-amqp (normal dependency)"), "{found:?}");
}

#[test]
fn a_service_that_sees_a_service_is_found_even_in_tests() {
    let found = found(member("utilization", &[("tidemark-sync", Development)]));
    assert!(found[0].contains("utilization may not use sync (dev dependency)"), "{found:?}");
}

#[test]
fn a_library_outside_its_home_is_found_with_the_reason() {
    let found = found(member("utilization", &[("sea-orm", Normal), ("reqwest", Development)]));
    assert!(found[0].contains("sea-orm") && found[0].contains("belongs in store: others use `Store`"));
    assert!(found[1].contains("utilization may not use reqwest (dev dependency)"), "{found:?}");
}

#[test]
fn a_test_exception_does_not_cover_the_crate_itself() {
    assert_eq!(found(member("productboard", &[("axum", Normal)])).len(), 1);
    assert_eq!(found(member("store", &[("tidemark-testkit", Build)])).len(), 1);
}

#[test]
fn what_lies_below_a_test_crate_may_not_use_it() {
    assert_eq!(found(member("ports", &[("tidemark-inproc", Development)])).len(), 1, "directly below");
    assert_eq!(
        found(member("runtime", &[("tidemark-testkit", Development)])).len(),
        1,
        "below what is below"
    );
}

#[test]
fn a_crate_without_a_row_is_found() {
    assert!(found(member("helpers", &[]))[0].contains("helpers has no row"));
}

#[test]
fn the_table_names_only_its_own_rows_and_has_no_cycle() {
    let known = |name: &&str| CRATES.iter().any(|row| row.name == *name);
    for row in CRATES {
        assert!(row.siblings.iter().all(known), "{}", row.name);
        assert!(row.in_tests.iter().all(|exception| known(&exception.of)), "{}", row.name);
        assert!(!is_below(row.name, row.name, CRATES), "{} uses itself", row.name);
    }
    for home in LIBRARIES {
        assert!(home.crates.iter().all(known), "{:?}", home.names);
    }
}

#[test]
fn this_workspace_keeps_to_the_table() {
    check().unwrap();
}
