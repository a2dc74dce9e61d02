//! PostgreSQL: a Debian cluster of its own, open to this machine without a password, forgetful for speed.

use anyhow::{Context, Result};

use super::Service;
use crate::command;

pub(super) const SERVICE: Service = Service {
    name: "PostgreSQL",
    variable: "TIDEMARK_TEST_POSTGRES_URL",
    default: "postgres://postgres@127.0.0.1:5432/postgres",
    packages: &["postgresql"],
    installed: || command::exists("pg_createcluster"),
    start,
};

/// The tests make and drop databases all the time; a crash may lose them.
const OPTIONS: [&str; 6] = ["-o", "fsync=off", "-o", "synchronous_commit=off", "-o", "max_connections=300"];

fn start(port: u16) -> Result<()> {
    let cluster = format!("tidemark{port}");
    let known = command::output(command::program("pg_lsclusters").arg("--no-header"))?;
    let version = match version_of(&known, &cluster) {
        Some(version) => version.to_owned(),
        None => {
            let version =
                newest_version().context("no PostgreSQL server is installed below /usr/lib/postgresql")?;
            let port = port.to_string();
            let authentication = ["--", "--auth-host=trust", "--auth-local=trust"];
            let mut create = command::program("pg_createcluster");
            create.args([&version, &cluster, "--port", &port, "--start-conf", "manual"]);
            command::run(create.args(OPTIONS).args(authentication))?;
            version
        }
    };
    // The server may need longer than this command waits: the port decides.
    if let Err(error) = command::run(command::program("pg_ctlcluster").args([&version, &cluster, "start"])) {
        eprintln!("warning: {error:#}");
    }
    Ok(())
}

/// The version of a cluster in the list `version name port status …`.
fn version_of<'a>(list: &'a str, cluster: &str) -> Option<&'a str> {
    list.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let version = words.next()?;
        (words.next()? == cluster).then_some(version)
    })
}

fn newest_version() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let versions = folders.filter_map(|folder| folder.ok()?.file_name().to_str()?.parse::<u32>().ok());
    versions.max().map(|version| version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_found_by_its_name() {
        let list = "15 main     5432 online postgres /var/lib/postgresql/15/main\n\
                    17 tidemark15432 15432 down postgres /var/lib/postgresql/17/tidemark15432\n";
        assert_eq!(version_of(list, "tidemark15432"), Some("17"));
        assert_eq!(version_of(list, "tidemark"), None);
        assert_eq!(version_of("", "main"), None);
    }
}
