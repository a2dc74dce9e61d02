//! What was said while a fault lasted, written down for the runbook where `TIDEMARK_TEST_FAULTS` names a folder. A real
//! Prometheus then reads the processes and evaluates the alarms, which fire at once instead of after their `for`; it is
//! looked for in `TIDEMARK_TEST_PROMETHEUS`, or on the path.

use std::{
    fmt::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{ALERTS, Ward};
use tidemark_testkit::reserve_port;

use crate::cluster::{Cluster, until};

const FOLDER: &str = "TIDEMARK_TEST_FAULTS";
const PROMETHEUS: &str = "TIDEMARK_TEST_PROMETHEUS";

/// Writes it down.
pub(super) struct Scribe {
    folder: PathBuf,
    prometheus: Child,
    port: u16,
    _files: TempDir,
}

impl Scribe {
    /// None where nobody asked for it.
    pub(super) fn of(cluster: &Cluster) -> Option<Self> {
        let folder = PathBuf::from(std::env::var_os(FOLDER)?);
        std::fs::create_dir_all(&folder).unwrap();
        let files = tempfile::tempdir().unwrap();
        let rules = ALERTS.lines().map(|line| {
            let at_once = line.trim_start().starts_with("for:");
            if at_once { "        for: 0s\n".to_owned() } else { format!("{line}\n") }
        });
        std::fs::write(files.path().join("alerts.yml"), rules.collect::<String>()).unwrap();
        let mut config = "global: { scrape_interval: 1s, evaluation_interval: 1s }\n\
                          rule_files: [alerts.yml]\n\
                          scrape_configs:\n- job_name: tidemark\n  static_configs:\n"
            .to_owned();
        for (role, port) in cluster.watched() {
            writeln!(config, "  - {{ targets: ['127.0.0.1:{port}'], labels: {{ service: {role} }} }}")
                .unwrap();
        }
        let file = files.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let port = reserve_port();
        let program = std::env::var_os(PROMETHEUS).unwrap_or_else(|| "prometheus".into());
        let prometheus = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", files.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus evaluates the alarms");
        Some(Self { folder, prometheus, port, _files: files })
    }

    /// What `doctor` prints, the series with those names in each process, and the alarm, once it fires.
    pub(super) async fn write(&self, ward: &Ward, fault: &str, series: &[&str], alarm: &str) {
        let mut text = format!("$ tidemark doctor\n{}", ward.doctor().await);
        for role in ward.cluster.watched().keys() {
            let metrics = ward.ask(role, "/metrics").await.text;
            let told = |line: &&str| series.iter().any(|name| line.starts_with(name));
            for line in metrics.lines().filter(told) {
                writeln!(text, "{role}: {line}").unwrap();
            }
            let ready = ward.ask(role, "/readyz").await;
            writeln!(text, "{role}: /readyz {} {}", ready.status, ready.text.trim()).unwrap();
        }
        let fired = until(&format!("{alarm} fires"), async || self.firing(alarm)).await;
        writeln!(text, "{alarm} ({}): {}", fired.0, fired.1).unwrap();
        std::fs::write(self.folder.join(format!("{}.txt", fault.replace(' ', "-"))), text).unwrap();
    }

    /// Severity and summary of an alarm that fires.
    fn firing(&self, name: &str) -> Option<(String, String)> {
        let url = format!("http://127.0.0.1:{}/api/v1/alerts", self.port);
        let output = Command::new("curl").args(["--silent", &url]).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
        let alerts = answer["data"]["alerts"].as_array()?;
        let alert =
            alerts.iter().find(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some((text(&alert["labels"]["severity"]), text(&alert["annotations"]["summary"])))
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.prometheus.kill().ok();
        self.prometheus.wait().ok();
    }
}
