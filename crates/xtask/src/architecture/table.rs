//! The table: what each crate may use of its siblings, and where a library lives. Names without the common prefix.

use cargo_metadata::DependencyKind;

/// In front of every crate's name.
pub(super) const PREFIX: &str = "tidemark-";

/// What tests of any crate above or beside them may use.
pub(super) const TEST_CRATES: &[&str] = &["testkit", "inproc", "productboard-sim"];

/// One crate.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The siblings it may use, for anything.
    pub(super) siblings: &'static [&'static str],
    /// The siblings that its tests may use although the rule says no.
    pub(super) in_tests: &'static [Exception],
}

/// Something allowed against the rule.
#[derive(Debug)]
pub(super) struct Exception {
    pub(super) of: &'static str,
    /// Why. Read by people only.
    #[expect(dead_code, reason = "an exception without its reason must not compile")]
    pub(super) why: &'static str,
}

/// Libraries that live in few crates.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) names: &'static [&'static str],
    pub(super) crates: &'static [&'static str],
    /// The crates whose tests may use it although they are not its home.
    pub(super) in_tests: &'static [Exception],
    pub(super) why: &'static str,
}

impl Home {
    pub(super) fn admits(&self, member: &str, kind: DependencyKind) -> bool {
        self.crates.contains(&member)
            || kind == DependencyKind::Development
                && self.in_tests.iter().any(|exception| exception.of == member)
    }
}

const fn row(name: &'static str, siblings: &'static [&'static str]) -> Row {
    Row { name, siblings, in_tests: &[] }
}

const ADAPTER: &[&str] = &["domain", "ports", "runtime"];
const SERVICE: &[&str] = &["domain", "ports", "rpc", "runtime", "store", "productboard"];

/// Services see no adapter, adapters see no other adapter, services see no other service.
pub(super) const CRATES: &[Row] = &[
    row("domain", &[]),
    row("ports", &["domain"]),
    row("rpc", &["domain"]),
    row("runtime", &["domain"]),
    row("bus-amqp", ADAPTER),
    row("leases-redis", ADAPTER),
    Row {
        in_tests: &[Exception { of: "testkit", why: "the suites that every adapter must pass live there" }],
        ..row("inproc", ADAPTER)
    },
    Row {
        in_tests: &[Exception {
            of: "testkit",
            why: "clock, entropy and databases of their own come from there",
        }],
        ..row("store", &["domain", "runtime"])
    },
    row("productboard", &["domain"]),
    row("productboard-sim", &[]),
    row("credentials", SERVICE),
    row("sync", SERVICE),
    row("utilization", &["domain", "ports", "rpc", "runtime", "store"]),
    row("console", &["domain", "rpc", "runtime"]),
    row(
        "app",
        &[
            "domain",
            "ports",
            "rpc",
            "runtime",
            "bus-amqp",
            "leases-redis",
            "inproc",
            "store",
            "productboard",
            "productboard-sim",
            "credentials",
            "sync",
            "utilization",
            "console",
        ],
    ),
    row("testkit", &["domain", "ports", "inproc", "store", "productboard-sim"]),
    row("xtask", &[]),
];

/// Libraries whose types must not spread: what is behind a crate's own words can be replaced.
pub(super) const LIBRARIES: &[Home] = &[
    Home { names: &["lapin"], crates: &["bus-amqp"], in_tests: &[], why: "others use the port `Bus`" },
    Home { names: &["redis"], crates: &["leases-redis"], in_tests: &[], why: "others use the port `Leases`" },
    Home {
        names: &["sea-orm", "sea-orm-migration", "sqlx"],
        crates: &["store"],
        in_tests: &[],
        why: "others use `Store`",
    },
    Home {
        names: &["axum"],
        crates: &["productboard-sim", "console", "runtime"],
        in_tests: &[Exception {
            of: "productboard",
            why: "its tests need answers that no sane vendor gives: half a body, a redirect, a wrong type",
        }],
        why: "services speak gRPC; only the simulator, the console and the port of metrics serve HTTP",
    },
    Home {
        names: &["prometheus-client"],
        crates: &["runtime", "rpc", "productboard"],
        in_tests: &[],
        why: "who can see runtime counts by its functions; the two crates that others use on their own count for themselves",
    },
    Home {
        names: &["opentelemetry", "opentelemetry-otlp", "opentelemetry_sdk", "tracing-opentelemetry"],
        crates: &["runtime"],
        in_tests: &[],
        why: "others write spans with tracing, and carry a trace along as text",
    },
    Home {
        names: &["reqwest"],
        crates: &["productboard", "credentials"],
        in_tests: &[],
        why: "the vendor's hosts are pinned in one place; webhooks go where callers say, and are refused private \
              addresses in another",
    },
    Home {
        names: &["lettre"],
        crates: &["credentials"],
        in_tests: &[],
        why: "mails hold links that connect, and whoever makes those links sends them",
    },
    Home { names: &["plotters"], crates: &["console"], in_tests: &[], why: "charts are drawn in one place" },
    Home { names: &["figment"], crates: &["runtime"], in_tests: &[], why: "settings are read in one place" },
    Home {
        names: &["clap"],
        crates: &["app", "xtask"],
        in_tests: &[],
        why: "only programs have a command line",
    },
    Home {
        names: &[
            "prost",
            "prost-types",
            "tonic",
            "tonic-health",
            "tonic-prost",
            "tonic-prost-build",
            "tonic-reflection",
            "tonic-types",
        ],
        crates: &["rpc", "credentials", "sync", "utilization", "console", "app"],
        in_tests: &[],
        why: "everything below the services is free of gRPC",
    },
];
