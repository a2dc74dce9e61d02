//! Ring 3: the binary as processes, once all embedded and once on the real servers.
//!
//! Every test waits for states with a deadline. A server that is missing fails the test.

#![expect(clippy::unwrap_used, reason = "a test says with a panic what it did not expect")]

mod assumptions;
mod callers;
mod canaries;
mod clients;
mod cluster;
mod commands;
mod console;
mod encrypted;
mod failover;
mod faults;
mod freeze;
mod full_disk;
mod invite;
mod kill;
mod leaving;
mod main_job;
mod naive;
mod operator;
mod reality;
mod role_tokens;
mod roles;
mod stale;
mod tls;
mod vendor;
mod watched;

use cluster::Wiring;

macro_rules! on_both_wirings {
    ($($module:ident::$name:ident as $test:ident;)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$module::$name(super::Wiring::Embedded).await; })*
        }
        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$module::$name(super::Wiring::Real).await; })*
        }
    };
}

on_both_wirings! {
    callers::every_method_refuses_wrong_scopes_and_organizations as callers;
    canaries::no_secret_is_found_anywhere as canaries;
    main_job::connect_sync_lose_the_key_reconnect_and_see_utilization as main_job;
    operator::syncs_and_dead_letters_by_hand as operator;
    console::a_link_opens_a_session_of_one_organization as console_sessions;
    console::forms_need_their_token_and_a_role as console_forms;
    console::keys_are_tried_and_never_shown as console_keys;
    invite::whoever_holds_the_link_connects as invite;
    clients::the_examples_list_start_and_follow as clients;
    watched::every_process_tells_how_it_is as watched;
    watched::one_trace_goes_from_the_click_to_the_rollup as traced;
    freeze::a_person_and_a_reconnect_break_a_freeze_that_outlived_a_restart as freeze;
    kill::five_kills_end_with_the_same_rows_and_rollups as five_kills;
}
