//! `tidemark report` and `tidemark vendor-check` against a vendor that does what other people's reports say happens, one
//! thing after the other: the right numbers, or the reason and none.

mod rows;

use std::{
    path::Path,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use chrono::{Days, NaiveDate};
use futures::{StreamExt, stream};
use serde_json::Value;
use tidemark_productboard_sim::{Faults, Options, Simulator, Storm, Workspace, WorkspaceSpec};
use tokio::io::AsyncReadExt as _;

use crate::{
    cluster::{BINARY, CANARY, today, until},
    naive,
};

/// Reports at the same time.
const AT_ONCE: usize = 2;

/// What a row of the table must come to.
enum Expected {
    /// The numbers of the workspace as it is.
    Right,
    /// Those of it with this done to it.
    RightOf(fn(&mut Workspace)),
    /// The same, and this is said beside them.
    RightWith(&'static str),
    /// What stands in the sheet.
    Sheet(fn(&Value, &Workspace)),
    /// No number, exit code 1, and this in the reason.
    Reason(&'static str),
}

use Expected::{Reason, Right, RightOf, RightWith, Sheet};

struct Row {
    what: &'static str,
    faults: Faults,
    expected: Expected,
    /// What `vendor-check` finds of it.
    assumption: Option<&'static str>,
}

fn workspace() -> Workspace {
    Workspace::generate(&WorkspaceSpec::new("real", 40, today()).days(120))
}

/// Large enough for every assumption to show.
fn checked() -> Workspace {
    Workspace::generate(&WorkspaceSpec::new("checked", 80, today()).teams(4).days(420))
}

fn is_right(sheet: &Value, workspace: &Workspace) -> bool {
    let mut expected = naive::sheet(workspace, today());
    expected.as_object_mut().unwrap().remove("members");
    has(sheet, &expected)
}

/// Whether it says all of that; it may say more.
fn has(actual: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(fields) => fields.iter().all(|(name, value)| has(&actual[name], value)),
        _ => actual == expected,
    }
}

fn command(folder: &Path, args: &[&str], url: &str, token: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(BINARY);
    command.args(args).args(["--api-url", url]).current_dir(folder).env("PRODUCTBOARD_TOKEN", token);
    command.kill_on_drop(true);
    command
}

async fn finished(mut command: tokio::process::Command) -> Output {
    let output = tokio::time::timeout(Duration::from_secs(120), command.output()).await;
    let output = output.expect("a report ends").unwrap();
    let written = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(!String::from_utf8_lossy(&written).contains(CANARY), "a secret was printed");
    output
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the report for one row; gives what is wrong with it, and a line of the table.
async fn reported(url: &str, token: &str, real: &Workspace, row: &Row) -> (Option<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let output = finished(command(folder.path(), &["report", "--json", "--days", "90"], url, token)).await;
    let seconds = begun.elapsed().as_secs_f64();
    let code = output.status.code().unwrap_or(-1);
    let sheet: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let (sheet, told) = (&sheet[0], told(&output));
    let changed = |change: fn(&mut Workspace)| {
        let mut changed = real.clone();
        change(&mut changed);
        changed
    };
    let flags = sheet["flags"].to_string();
    let is_good = match &row.expected {
        Right => code == 0 && is_right(sheet, real),
        RightOf(change) => code == 0 && is_right(sheet, &changed(*change)),
        RightWith(flag) => code == 0 && is_right(sheet, real) && flags.contains(flag),
        Sheet(check) => {
            check(sheet, real);
            code == 0
        }
        Reason(reason) => code == 1 && output.stdout.is_empty() && told.contains(reason),
    };
    let outcome = match &row.expected {
        Reason(_) => told.trim().lines().last().unwrap_or_default().chars().take(110).collect(),
        _ if flags == "null" => "right".to_owned(),
        _ => format!("right, told: {}", flags.replace(['[', ']', '"'], "").replace(',', ", ")),
    };
    let line = format!("| {} | {code} | {seconds:.1} | {outcome} |", row.what);
    let wrong =
        format!("{}: exit {code}\n{told}\n{sheet}\nexpected {}", row.what, naive::sheet(real, today()));
    ((!is_good).then_some(wrong), line)
}

async fn simulator() -> Simulator {
    let options = Options { requests_per_second: 0, ..Options::default() };
    Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap()
}

#[expect(clippy::print_stdout, reason = "a person may want to read the table")]
async fn table(simulator: &Simulator, real: &Workspace, rows: Vec<Row>) {
    let url = simulator.base_url();
    let reports = rows.into_iter().enumerate().map(|(at, row)| {
        let token = format!("cAnArY-real-{at}");
        simulator.issue_token(&real.domain, token.as_str());
        simulator.faults(&token, |faults| faults.clone_from(&row.faults));
        let url = url.clone();
        async move { reported(&url, &token, real, &row).await }
    });
    let ended: Vec<_> = stream::iter(reports).buffered(AT_ONCE).collect().await;
    let lines: Vec<_> = ended.iter().map(|(_, line)| line.as_str()).collect();
    println!("| the vendor | exit | s | outcome |\n|---|---|---|---|\n{}", lines.join("\n"));
    let wrong: Vec<_> = ended.into_iter().filter_map(|(wrong, _)| wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_right_or_says_why_whatever_the_vendor_does() {
    let (simulator, real) = (simulator().await, workspace());
    simulator.add(real.clone(), "cAnArY-real");
    let rows = rows::bases(&real).into_iter().chain(rows::numbers(&real)).collect();
    table(&simulator, &real, rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_assumption_is_found_and_the_numbers_are_right_all_the_same() {
    let (simulator, real, folder) = (simulator().await, workspace(), tempfile::tempdir().unwrap());
    simulator.add(real.clone(), "cAnArY-real");
    let large = checked();
    simulator.add(large.clone(), "cAnArY-checked");
    let rows = rows::assumptions();
    let url = simulator.base_url();
    // What the check sends in the place of a key. Of the workspace it is one that does not live any more.
    simulator.issue_token(&large.domain, "not-a-key");
    simulator.faults("not-a-key", |faults| {
        faults.revoke_after = Some(0);
        faults.unauthorized_body = Some("<p>no</p>".to_owned());
    });
    let checks = rows.iter().enumerate().map(|(at, row)| {
        let token = format!("cAnArY-checked-{at}");
        simulator.issue_token(&large.domain, token.as_str());
        simulator.faults(&token, |faults| faults.clone_from(&row.faults));
        let check = command(folder.path(), &["vendor-check", "--json"], &url, &token);
        async move {
            let output = finished(check).await;
            let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let findings = report["findings"].as_array().cloned().unwrap_or_default();
            let name = row.assumption.unwrap_or_default();
            let finds = |it: &Value| it["assumption"] == name && it["outcome"] == "differs";
            (!findings.iter().any(finds)).then(|| format!("{name} was not found: {}", told(&output)))
        }
    });
    let missed: Vec<_> = stream::iter(checks).buffered(AT_ONCE).filter_map(async |it| it).collect().await;
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    table(&simulator, &real, rows).await;
}

/// In the middle of a sync: the report says so, and what is fetched is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_is_asked_to_wait_says_so_and_goes_on_later() {
    let (simulator, real, folder) = (simulator().await, workspace(), tempfile::tempdir().unwrap());
    let (token, url) = ("cAnArY-waits", simulator.base_url());
    simulator.add(real.clone(), token);
    for retry_after in ["3600", "86400", "1796099990", "10000000000000", "18446744073709551615"] {
        simulator.faults(token, |faults| {
            *faults = Faults {
                latency: Duration::from_millis(20),
                retry_after_text: Some(retry_after.to_owned()),
                ..Faults::default()
            };
        });
        let before = simulator.requests(token);
        let args = ["report", "--json", "--days", "90", "--database", "kept.sqlite"];
        let mut report = command(folder.path(), &args, &url, token)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Behind the connect, in the sync.
        until("the sync has begun", async || (simulator.requests(token) >= before + 14).then_some(())).await;
        let storm = Some(Storm { requests: 1_000, retry_after_secs: 3_600 });
        simulator.faults(token, |faults| faults.storm_429 = storm);
        let mut stderr = report.stderr.take().unwrap();
        let (mut told, mut buffer) = (String::new(), [0; 4_096]);
        while !told.contains("Ctrl-C keeps what is fetched") {
            let read = tokio::time::timeout(Duration::from_secs(60), stderr.read(&mut buffer)).await;
            let read = read.expect("a word about the wait").unwrap();
            assert!(read > 0, "it ended: {told}");
            told.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        let wait = told.lines().find(|line| line.contains("Ctrl-C")).unwrap();
        assert!(wait.contains("Productboard asked to wait 6") && wait.contains(" min; "), "{wait}");
        let id = report.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
        let status = tokio::time::timeout(Duration::from_secs(30), report.wait()).await.unwrap().unwrap();
        assert!(!status.success());
        stderr.read_to_string(&mut told).await.unwrap();
        assert!(told.contains("`--database kept.sqlite` goes on from there"), "{told}");
        if retry_after == "3600" {
            continue;
        }
        // The next one asks again at once.
        simulator.faults(token, |faults| *faults = Faults::default());
        let output = finished(command(folder.path(), &args, &url, token)).await;
        let sheet: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert!(is_right(&sheet[0], &real), "{}", self::told(&output));
        std::fs::remove_file(folder.path().join("kept.sqlite")).unwrap();
    }
}

/// A whole fetch must not be lost for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_cannot_be_written_fails_before_anything_is_fetched() {
    let (simulator, folder) = (simulator().await, tempfile::tempdir().unwrap());
    simulator.add(workspace(), "cAnArY-paths");
    let url = simulator.base_url();
    std::fs::write(folder.path().join("a-file"), "kept").unwrap();
    std::fs::create_dir_all(folder.path().join("taken/seats.csv")).unwrap();
    let wrong = [
        ["--html", "no-such-folder/report.html"],
        ["--html", "."],
        ["--html", "a-file/report.html"],
        ["--csv", "a-file"],
        ["--csv", "a-file/below"],
        ["--csv", "taken"],
    ];
    for path in wrong {
        let args = ["report", "--days", "90", path[0], path[1]];
        let output = finished(command(folder.path(), &args, &url, "cAnArY-paths")).await;
        let told = told(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("cannot be") && told.contains(path[1]), "{told}");
    }
    assert_eq!(simulator.requests("cAnArY-paths"), 0, "nothing was fetched");
    assert_eq!(std::fs::read_to_string(folder.path().join("a-file")).unwrap(), "kept");
}

/// A day on which nothing is known must not be taken for one without activity.
#[test]
fn the_workspace_of_these_tests_has_days_enough() {
    let real = workspace();
    let first: NaiveDate = real.activities.first().unwrap().date;
    assert!(first <= today() - Days::new(90), "{first}");
}
