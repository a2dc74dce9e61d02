//! The commands a person runs: demo, report, doctor.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;
use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec, showcase};

use crate::{
    cluster::{AUDIT_KEY, BINARY, CANARY, today},
    naive,
};

const TOKEN: &str = "cAnArY-report-token";

async fn tidemark(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let environment: BTreeMap<_, _> = environment.iter().copied().collect();
    tokio::process::Command::new(BINARY)
        .args(args)
        .current_dir(folder)
        .envs(environment)
        .env("RUST_LOG", "trace")
        .output()
        .await
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard error without the log lines.
fn told(output: &Output) -> String {
    let text = text(&output.stderr);
    assert!(!text.contains(CANARY), "a secret in the log");
    text.lines().filter(|line| line.starts_with("tidemark: ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_prints_what_a_naive_computation_gives() {
    let folder = tempfile::tempdir().unwrap();
    let before = today();
    let output = tidemark(folder.path(), &["demo", "--once", "--json"], &[]).await;
    assert!(output.status.success(), "{}", told(&output));
    let sheets: Vec<Value> =
        serde_json::from_slice(&output.stdout).expect("standard output carries JSON only");
    assert_eq!(sheets.len(), 3);
    assert_eq!(before, today(), "midnight passed during the test; run it again");
    for (actual, spec) in sheets.iter().zip(showcase(before)) {
        naive::assert_contains(actual, &naive::sheet(&Workspace::generate(&spec), before), &spec.domain);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo leaves nothing behind");
}

async fn simulator() -> (Simulator, Workspace) {
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), Options::default()).await.unwrap();
    let workspace = Workspace::generate(&WorkspaceSpec::new("reported", 40, today()));
    simulator.add(workspace.clone(), TOKEN);
    (simulator, workspace)
}

async fn report(folder: &Path, url: &str, token: &str, more: &[&str]) -> Output {
    let args = [&["report", "--json", "--api-url", url], more].concat();
    tidemark(folder, &args, &[("PRODUCTBOARD_TOKEN", token)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_prints_what_a_naive_computation_gives() {
    let (simulator, workspace) = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let output = report(folder.path(), &simulator.base_url(), TOKEN, &["--days", "90"]).await;
    assert!(output.status.success(), "{}", told(&output));
    let sheets: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sheets.len(), 1);
    naive::assert_contains(&sheets[0], &naive::sheet(&workspace, today()), "report");
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.ends_with("tidemark-report.sqlite"), "{} was written", path.display());
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "the token is readable in {}", path.display());
    }

    // A file of one's own is kept, and the next report over it fetches little.
    let database = folder.path().join("kept.sqlite").display().to_string();
    let kept = ["--database", database.as_str(), "--days", "90"];
    let first = report(folder.path(), &simulator.base_url(), TOKEN, &kept).await;
    assert!(first.status.success(), "{}", told(&first));
    let before = simulator.requests(TOKEN);
    let second = report(folder.path(), &simulator.base_url(), TOKEN, &kept).await;
    assert!(second.status.success(), "{}", told(&second));
    assert_eq!(first.stdout, second.stdout);
    assert!(simulator.requests(TOKEN) - before < 30);
}

/// One page that needs nothing else, and files that say what the tables say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_writes_a_page_and_tables() {
    let (simulator, workspace) = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let more = [
        "--days",
        "120",
        "--html",
        "report.html",
        "--csv",
        "tables",
        "--purchased",
        "50",
        "--price",
        "25.00EUR",
        "--renewal",
        "2099-01-01",
    ];
    let output = report(folder.path(), &simulator.base_url(), TOKEN, &more).await;
    assert!(output.status.success(), "{}", told(&output));
    let sheet: Value = serde_json::from_slice(&output.stdout).unwrap();
    naive::assert_contains(&sheet[0], &naive::sheet(&workspace, today()), "report");
    let paid = sheet[0]["seats"]["assigned"].as_u64().unwrap();
    let free = sheet[0]["recommended"]["reassignable_now"].as_u64().unwrap();
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(
        page.contains(&format!("<div class=\"big\">{paid}</div>")),
        "the first screen has the paid seats"
    );
    assert!(page.contains(&format!("{free} seats, ")), "and what could be saved");
    for nothing in ["<script", "http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(nothing), "the page needs nothing else: {nothing}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("role=\"img\"").count(), "each chart has a name");
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));

    let lines = |name: &str| {
        let path = folder.path().join("tables").join(name);
        std::fs::read_to_string(path).unwrap().lines().count() - 1
    };
    assert_eq!(lines("seats.csv"), workspace.members.len());
    assert_eq!(lines("member-days.csv") as u64, naive::rows_in_history(&workspace, today(), 120));
    assert!(lines("summary.csv") > 120 * 4);
    let tiers = ["certain", "probable", "review"].map(|tier| sheet[0]["recommended"][tier].as_u64().unwrap());
    assert_eq!(lines("recommendations.csv") as u64, tiers.iter().sum::<u64>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_cannot_be_made_says_why() {
    let (simulator, _) = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let url = simulator.base_url();

    let wrong = report(folder.path(), &url, "cAnArY-wrong", &[]).await;
    assert!(!wrong.status.success() && wrong.stdout.is_empty());
    let wrong = told(&wrong);
    assert!(wrong.contains("did not accept") || wrong.contains("does not accept"), "{wrong}");

    simulator.faults(TOKEN, |faults| faults.analytics_unavailable = Some(501));
    let poor = report(folder.path(), &url, TOKEN, &[]).await;
    assert!(!poor.status.success() && poor.stdout.is_empty());
    let poor = told(&poor);
    assert!(poor.contains("plan"), "{poor}");

    let nobody = report(folder.path(), "http://127.0.0.1:9", TOKEN, &[]).await;
    assert!(!nobody.status.success() && nobody.stdout.is_empty());
    let nobody = told(&nobody);
    assert!(nobody.contains("127.0.0.1"), "{nobody}");

    let without = tidemark(folder.path(), &["report"], &[]).await;
    assert!(!without.status.success());
    assert!(told(&without).contains("PRODUCTBOARD_TOKEN"));
    let sentences = [wrong, poor, nobody, told(&without)];
    let distinct: std::collections::BTreeSet<_> = sentences.iter().collect();
    assert_eq!(distinct.len(), sentences.len(), "each has its own sentence");
}

/// A base that was not read is not zero.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_without_a_believable_list_of_members_says_so_and_fails() {
    use tidemark_productboard_sim::Route;
    let folder = tempfile::tempdir().unwrap();
    let failed = async |simulator: &Simulator, more: &[&str]| {
        let args = [&["--days", "60", "--html", "report.html", "--csv", "tables"], more].concat();
        let output = report(folder.path(), &simulator.base_url(), TOKEN, &args).await;
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        assert!(output.stdout.is_empty(), "no numbers: {}", text(&output.stdout));
        assert!(!folder.path().join("report.html").exists() && !folder.path().join("tables").exists());
        told(&output)
    };
    let (empty, _) = simulator().await;
    empty.faults(TOKEN, |faults| faults.empty_list = [Route::Members].into());
    let sentence = failed(&empty, &[]).await;
    assert!(sentence.contains("Productboard listed no members"), "{sentence}");
    assert!(sentence.contains("rows of activity in paid roles prove"), "{sentence}");

    let (short, workspace) = simulator().await;
    let mut shortened = workspace.clone();
    shortened.members.truncate(1);
    short.add(shortened, TOKEN);
    let sentence = failed(&short, &["--database", "kept.sqlite"]).await;
    assert!(sentence.contains("Productboard listed 1 member"), "{sentence}");
    // What a later sync brings is believed, and is the truth.
    short.add(workspace.clone(), TOKEN);
    let kept = ["--days", "60", "--database", "kept.sqlite"];
    let healed = report(folder.path(), &short.base_url(), TOKEN, &kept).await;
    assert!(healed.status.success(), "{}", told(&healed));
    let sheets: Vec<Value> = serde_json::from_slice(&healed.stdout).unwrap();
    let paid = naive::sheet(&workspace, today())["seats"]["assigned"].clone();
    assert_eq!(sheets[0]["seats"]["assigned"], paid);

    let (forbidden, _) = simulator().await;
    forbidden.faults(TOKEN, |faults| faults.forbidden = [Route::Members].into());
    let sentence = failed(&forbidden, &[]).await;
    assert!(sentence.contains("members"), "{sentence}");
}

/// Odd rows and roles cost what they say, and the rest is reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_with_odd_rows_and_roles_tells_the_rest_and_what_is_odd() {
    use tidemark_productboard_sim::{OddRow, Route};
    let (simulator, mut workspace) = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let owners = workspace.members.iter_mut().filter(|it| it.role == "viewer" && !it.disabled);
    let owners = owners.map(|it| it.role = "owner".to_owned()).count();
    assert!(owners > 0);
    for (member, role) in
        workspace.members.iter_mut().filter(|it| it.role == "maker").zip(["Maker", " MAKER ", "EDITOR"])
    {
        member.role = role.to_owned();
    }
    simulator.add(workspace.clone(), TOKEN);
    let bad = workspace.activities.iter().rfind(|row| row.date < today() - chrono::Days::new(30)).unwrap();
    simulator.faults(TOKEN, |faults| {
        faults.odd_rows = vec![OddRow {
            route: Route::MemberActivities,
            id: bad.member_id,
            date: Some(bad.date),
            pointer: "/noteCreatedCount".to_owned(),
            value: serde_json::json!(-1),
        }];
    });
    let output = report(folder.path(), &simulator.base_url(), TOKEN, &["--days", "60"]).await;
    assert!(output.status.success(), "{}", told(&output));
    let sheet = serde_json::from_slice::<Vec<Value>>(&output.stdout).unwrap().remove(0);
    for member in &mut workspace.members {
        member.role = match member.role.trim().to_lowercase().as_str() {
            "editor" | "maker" => "maker".to_owned(),
            other => other.to_owned(),
        };
    }
    let paid = naive::sheet(&workspace, today())["seats"]["assigned"].clone();
    assert_eq!(sheet["seats"]["assigned"], paid);
    assert!(sheet["unknown_roles"]["owner"].as_u64().unwrap() > 0, "{sheet}");
    let quality = sheet["quality"].to_string();
    assert!(quality.contains("`owner`") && quality.contains("could not be read"), "{quality}");
    assert_eq!(sheet["coverage"]["28"], 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_names_each_server_that_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = [
        ("TIDEMARK_DATABASE__URL", "postgres://u:cAnArY@127.0.0.1:9/x"),
        ("TIDEMARK_BUS__URL", "amqp://u:cAnArY@127.0.0.1:9/%2f"),
        ("TIDEMARK_LEASES__URL", "redis://u:cAnArY@127.0.0.1:9"),
        ("TIDEMARK_CREDENTIALS__URL", "http://127.0.0.1:9"),
        ("TIDEMARK_WORKER__URL", "http://127.0.0.1:9"),
        ("TIDEMARK_AGGREGATOR__URL", "http://127.0.0.1:9"),
        ("TIDEMARK_PRODUCTBOARD__US_URL", "http://127.0.0.1:9"),
        ("TIDEMARK_PRODUCTBOARD__EU_URL", "http://nowhere.invalid"),
    ];
    let output = tidemark(folder.path(), &["doctor", "--json"], &nowhere).await;
    assert!(!output.status.success());
    let stdout = text(&output.stdout);
    assert!(!stdout.contains(CANARY) && !text(&output.stderr).contains(CANARY));
    let findings: Vec<Value> = serde_json::from_str(&stdout).unwrap();
    let problems: Vec<_> = findings.iter().filter(|finding| finding["healthy"] == false).collect();
    let mut subjects: Vec<_> = problems.iter().map(|finding| finding["subject"].as_str().unwrap()).collect();
    // The services are asked at the same time, and each is named when it has not answered.
    subjects[4..].sort_unstable();
    let servers = ["database", "message broker", "lease service", "keys"];
    let services =
        ["Productboard", "Productboard", "credential service", "sync service", "utilization service"];
    assert_eq!(subjects, [&servers[..], &services].concat());
    assert!(problems.iter().all(|finding| !finding["remedy"].as_str().unwrap().is_empty()), "{stdout}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_is_checked_and_explained_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let named = |output: &Output| -> Vec<String> {
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let faults = answer["faults"].as_array().unwrap().iter();
        faults.map(|fault| fault["key"].as_str().unwrap().to_owned()).collect()
    };
    let empty = tidemark(folder.path(), &["config", "check", "--json"], &[]).await;
    assert!(!empty.status.success());
    assert_eq!(named(&empty), ["rpc.token", "audit.key", "credentials.keys"]);
    // What others put there with our prefix, and secrets that look like something else.
    let usable = [
        ("TIDEMARK_SECRETS", "x"),
        ("TIDEMARK_CREDENTIALS_SERVICE_PORT", "7401"),
        ("TIDEMARK_RPC__TOKEN", "0001234567890123"),
        ("TIDEMARK_AUDIT__KEY", AUDIT_KEY),
    ];
    let well = tidemark(folder.path(), &["config", "check", "--role", "worker", "--json"], &usable).await;
    assert!(well.status.success(), "{}", text(&well.stdout));
    assert_eq!(serde_json::from_slice::<Value>(&well.stdout).unwrap()["usable"], true);
    let console = tidemark(folder.path(), &["config", "check", "--role", "console", "--json"], &usable).await;
    assert_eq!(named(&console), ["console.public_url"]);
    let faulty = [
        ("TIDEMARK_DATABASE__URL", "mysql://u:cAnArY@x"),
        ("TIDEMARK_METRICS__LISTEN", "here"),
        ("TIDEMARK_TRACES__OTLP_URL", "udp://x"),
        ("TIDEMARK_NO__SUCH", "x"),
    ];
    let ill = tidemark(folder.path(), &["config", "check", "--json"], &faulty).await;
    assert!(!ill.status.success() && !text(&ill.stdout).contains(CANARY));
    assert_eq!(named(&ill), ["database.url", "metrics.listen", "traces.otlp_url", "no.such"]);

    let reference = tidemark(folder.path(), &["config", "reference", "--json"], &[]).await;
    let settings: Vec<Value> = serde_json::from_slice(&reference.stdout).unwrap();
    assert!(settings.iter().all(|setting| setting["variable"].as_str().unwrap().starts_with("TIDEMARK_")));
    let script = tidemark(folder.path(), &["completions", "bash"], &[]).await;
    assert!(text(&script.stdout).contains("_tidemark()"));
    let page = tidemark(folder.path(), &["man"], &[]).await;
    assert!(text(&page.stdout).contains(".TH tidemark"));
    let pages = tidemark(folder.path(), &["man", "--folder", "pages"], &[]).await;
    assert!(pages.status.success() && folder.path().join("pages/tidemark-doctor.1").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_faults_of_the_configuration_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = [("TIDEMARK_DATABASE__URL", "mysql://x"), ("TIDEMARK_WORKER__CONCURRENCY", "none")];
    let output = tidemark(folder.path(), &["worker"], &faulty).await;
    assert!(!output.status.success());
    let text = text(&output.stderr);
    assert!(text.contains("database.url") && text.contains("worker.concurrency"), "{text}");
}

/// Readers such as `head` end a command that has more to say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_pipe_ends_a_command_quietly() {
    for command in [&["config", "reference"][..], &["config", "reference", "--json"], &["config", "check"]] {
        let mut child = tokio::process::Command::new(BINARY)
            .args(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(text(&output.stderr), "", "{command:?}");
        assert!(output.status.success(), "{command:?}: {}", output.status);
    }
}

/// A database whose secrets were sealed with a key that is gone, as after a restore without the keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_tell_what_they_seal_and_which_one_is_missing() {
    const KEYS: &str =
        "new:Y0FuQXJZLWtleS1lbmNyeXB0aW9uLWtleS0wMDAwMDA=,old:Y0FuQXJZLWtleS1lbmNyeXB0aW9uLWtleS0xMTExMTE=";
    let folder = tempfile::tempdir().unwrap();
    let (simulator, _) = simulator().await;
    let url = simulator.base_url();
    let report = ["report", "--database", "kept.sqlite", "--json", "--api-url", &url];
    let output = tidemark(folder.path(), &report, &[("PRODUCTBOARD_TOKEN", TOKEN)]).await;
    assert!(output.status.success(), "{}", told(&output));

    let environment = [
        ("TIDEMARK_DATABASE__URL", "sqlite://kept.sqlite"),
        ("TIDEMARK_CREDENTIALS__KEYS", KEYS),
        ("TIDEMARK_AUDIT__KEY", AUDIT_KEY),
    ];
    let output = tidemark(folder.path(), &["keys", "status", "--json"], &environment).await;
    assert!(!output.status.success(), "a missing key is a failure");
    let keys: Value = serde_json::from_slice(&output.stdout).unwrap();
    let line = |at: usize, name: &str| keys[at][name].clone();
    assert_eq!(
        (line(0, "key_id"), line(0, "seals"), line(0, "can_retire")),
        ("new".into(), true.into(), false.into())
    );
    assert_eq!(
        (line(1, "key_id"), line(1, "seals"), line(1, "can_retire")),
        ("old".into(), false.into(), true.into())
    );
    assert_eq!(
        (line(2, "key_id"), line(2, "present"), line(2, "can_retire")),
        ("session".into(), false.into(), false.into())
    );
    assert_eq!(line(2, "secrets")["credentials"], 1);

    let output = tidemark(folder.path(), &["keys", "rotate"], &environment).await;
    assert!(!output.status.success());
    let told = text(&output.stderr);
    assert!(told.contains("add that key to `credentials.keys`") && !told.contains(CANARY), "{told}");
    let output = tidemark(folder.path(), &["audit", "list", "--json"], &environment).await;
    let entries: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let outcomes: Vec<_> = entries.iter().filter(|entry| entry["action"] == "keys.rotate").collect();
    assert_eq!(outcomes.len(), 2, "its beginning and its end are in the audit log: {entries:?}");
    let output = tidemark(folder.path(), &["keys", "status"], &environment[..1]).await;
    assert!(text(&output.stderr).contains("there is no key-encryption key"), "{}", text(&output.stderr));
    simulator.shutdown().await;
}
