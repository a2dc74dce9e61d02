//! Checks what deploys: the chart by rendering it, the alarms with Prometheus' own tool, the compose file by its own tool
//! where there is one, and otherwise by what must be true of it.

mod chart;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{command, services::apt};

pub(crate) fn check() -> Result<()> {
    chart::check().context("the chart")?;
    alarms().context("the alarms")?;
    compose().context("docker-compose.yml")
}

fn alarms() -> Result<()> {
    let promtool = promtool()?;
    command::run(command::program(&promtool).args(["check", "config", "deploy/prometheus/prometheus.yml"]))?;
    command::run(command::program(&promtool).args(["test", "rules", "deploy/prometheus/alerts_test.yml"]))
}

fn promtool() -> Result<String> {
    if command::exists("promtool") {
        return Ok("promtool".to_owned());
    }
    let folder = tools("prometheus")?;
    let promtool = folder.join("usr/bin/promtool");
    if !promtool.exists() {
        if !apt::usable() {
            bail!("promtool is missing: install Prometheus (Debian: `apt-get install prometheus`)");
        }
        println!("promtool is not there and is fetched now");
        // Unpacked beside: the package would start a server.
        apt::unpack("prometheus", &folder)?;
    }
    Ok(promtool.to_string_lossy().into_owned())
}

fn compose() -> Result<()> {
    let root = command::root();
    let text = std::fs::read_to_string(root.join("docker-compose.yml"))?;
    let published = text.lines().filter_map(|line| line.trim().strip_prefix("ports: ["));
    for ports in published {
        let is_local = ports.trim_end_matches(']').split(", ").all(|port| port.starts_with("\"127.0.0.1:"));
        ensure!(is_local, "{ports} can be reached from other machines");
    }
    let named: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.split_once(":-./deploy/secrets}/")?.1.strip_suffix("\" }"))
        .map(str::to_owned)
        .collect();
    let secrets = secrets()?;
    for secret in &named {
        ensure!(secrets.join(secret).is_file(), "deploy/make-secrets does not make {secret}");
    }
    ensure!(named.len() > 20, "the secrets of docker-compose.yml were not found");
    for file in ["deploy/postgres/users.sh", "deploy/rabbitmq/rabbitmq.conf"] {
        ensure!(text.contains(file) && root.join(file).is_file(), "{file} is not mounted or not there");
    }
    roles(&chart::read(&chart::schemas()?, &root.join("docker-compose.yml"))?[0])?;
    if let Some(mut tool) = compose_tool(&text)? {
        tool.env("TIDEMARK_SECRETS", &secrets).args(["--profile", "observability", "config", "--quiet"]);
        return command::run(&mut tool);
    }
    println!("docker-compose.yml is well formed (`docker compose` is not there to say more)");
    Ok(())
}

/// What each service mounts, and whether it has a way out of this machine: nobody mounts more than its role needs.
const ROLES: [(&str, &[&str], bool); 6] = [
    (
        "credentials",
        &[
            "credentials-database-url",
            "credentials-bus-url",
            "credentials-leases-url",
            "audit-key",
            "credentials-keys",
            "smtp-url",
            "oauth-client-secret",
            "oauth-assertion-key",
        ],
        true,
    ),
    (
        "worker-1",
        &["worker-database-url", "worker-bus-url", "worker-leases-url", "worker-token", "audit-key"],
        true,
    ),
    (
        "aggregator",
        &["aggregator-database-url", "aggregator-bus-url", "aggregator-leases-url", "audit-key"],
        false,
    ),
    ("console", &["console-token"], false),
    ("migrate", &["database-url", "audit-key", "worker-token", "console-token", "operator-token"], false),
    (
        "operator",
        &["database-url", "bus-url", "worker-leases-url", "operator-token", "audit-key", "credentials-keys"],
        false,
    ),
];

fn roles(file: &Value) -> Result<()> {
    for (role, expected, calls_out) in ROLES {
        let service = &file["services"][role];
        let source = |secret: &Value| secret["source"].as_str().or(secret.as_str()).map(str::to_owned);
        let secrets = service["secrets"].as_array().context("secrets")?;
        let mounted: BTreeSet<_> = secrets.iter().filter_map(source).collect();
        let expected: BTreeSet<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        ensure!(mounted == expected, "{role} mounts {mounted:?}, not {expected:?}");
        let networks = &service["networks"];
        let is_outside = networks.as_array().is_some_and(|list| list.contains(&"vendor".into()))
            || networks.get("vendor").is_some();
        ensure!(is_outside == calls_out, "{role} is in the networks {networks}");
        for name in service["environment"].as_object().context("environment")?.keys() {
            let is_secret =
                ["TOKEN", "PASSWORD", "SECRET", "KEY", "KEYS"].iter().any(|end| name.ends_with(end));
            ensure!(!is_secret, "{role} has {name} as a plain value");
        }
    }
    Ok(())
}

/// A folder with new secrets, whose script has made what is not there.
fn secrets() -> Result<PathBuf> {
    let folder = tools("secrets")?;
    command::run(command::program("deploy/make-secrets").arg(&folder))?;
    Ok(folder)
}

/// What reads the file: Docker's plugin, or the program that came before it.
fn compose_tool(text: &str) -> Result<Option<Command>> {
    if command::succeeds(command::program("docker").args(["compose", "version"])) {
        let mut docker = command::program("docker");
        docker.arg("compose");
        return Ok(Some(docker));
    }
    if !command::exists("docker-compose") {
        return Ok(None);
    }
    // That program does not know the project's name; everything else it checks.
    let nameless = tools("compose")?.join("docker-compose.yml");
    let lines = text.lines().filter(|line| !line.starts_with("name: "));
    std::fs::write(&nameless, lines.map(|line| format!("{line}\n")).collect::<String>())?;
    let mut program = command::program("docker-compose");
    program.arg("--project-directory").arg(command::root()).arg("--file").arg(nameless);
    Ok(Some(program))
}

/// A folder for what is fetched, outside of the sources.
fn tools(name: &str) -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| command::root().join("target"), PathBuf::from);
    let folder = Path::new(&target).join("tools").join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}
