//! `tidemark vendor-check`, as a person runs it.

use std::process::Output;

use serde_json::Value;
use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec};

use crate::cluster::{BINARY, CANARY, today};

const TOKEN: &str = "cAnArY-vendor-check-token";

async fn check(url: &str, token: Option<&str>, more: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(BINARY);
    command.args(["vendor-check", "--api-url", url]).args(more).env("RUST_LOG", "trace");
    token.map(|token| command.env("PRODUCTBOARD_TOKEN", token));
    let output = command.output().await.unwrap();
    let written = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(!String::from_utf8_lossy(&written).contains(CANARY), "a secret was printed");
    output
}

async fn simulator() -> Simulator {
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), Options::default()).await.unwrap();
    simulator.add(Workspace::generate(&WorkspaceSpec::new("checked", 80, today()).days(420)), TOKEN);
    simulator
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_is_checked_and_a_difference_is_named() {
    let simulator = simulator().await;
    simulator.faults(TOKEN, |faults| faults.objective_search_empty = true);
    let url = simulator.base_url();
    let output = check(&url, Some(TOKEN), &["--json"]).await;
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("standard output carries JSON only");
    assert!(report["requests"].as_u64().unwrap() <= 60);
    let differing = report["findings"].as_array().unwrap().iter().filter(|one| one["outcome"] == "differs");
    let names: Vec<_> = differing.map(|one| one["assumption"].as_str().unwrap()).collect();
    assert_eq!(names, ["objectives_searched"]);
    let table = String::from_utf8(check(&url, Some(TOKEN), &[]).await.stdout).unwrap();
    assert!(table.contains("does not hold") && table.contains("objectives are always listed"), "{table}");
    assert!(table.contains("1 do not hold, 0 could not be seen"), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_cannot_be_made_says_why() {
    let simulator = simulator().await;
    let url = simulator.base_url();
    let cases = [
        (url.as_str(), None, "PRODUCTBOARD_TOKEN is not set"),
        (url.as_str(), Some("cAnArY-of-nobody"), "does not accept the token"),
        ("http://127.0.0.1:9", Some(TOKEN), "127.0.0.1:9"),
    ];
    for (url, token, sentence) in cases {
        let output = check(url, token, &[]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
        assert!(said.contains(sentence), "{said}");
    }
}
