//! PostgreSQL: a Debian cluster of its own, open to this machine without a password, forgetful for speed.

use std::path::Path;

use anyhow::{Context, Result};

use super::Service;
use crate::command;

pub(super) const SERVICE: Service = Service {
    name: "PostgreSQL",
    variable: "TIDEMARK_TEST_POSTGRES_URL",
    default: "postgres://postgres@127.0.0.1:5432/postgres",
    packages: &["postgresql", "pgbouncer"],
    installed: || command::exists("pg_createcluster") && Path::new("/usr/sbin/pgbouncer").exists(),
    after_install: stop_main,
    start,
};

/// The tests make and drop databases all the time; a crash may lose them.
const OPTIONS: [&str; 6] = ["-o", "fsync=off", "-o", "synchronous_commit=off", "-o", "max_connections=300"];

/// A cluster as Debian's tools list it.
#[derive(Debug, PartialEq, Eq)]
struct Cluster {
    version: String,
    name: String,
    online: bool,
}

/// Where packages start their servers, the one that came with the installation holds the port and wants a password.
fn stop_main() -> Result<()> {
    match clusters()?.iter().find(|cluster| cluster.name == "main" && cluster.online) {
        Some(main) => command::run(command::program("pg_ctlcluster").args([&main.version, "main", "stop"])),
        None => Ok(()),
    }
}

fn start(port: u16) -> Result<()> {
    let name = format!("tidemark{port}");
    let version = match clusters()?.into_iter().find(|cluster| cluster.name == name) {
        Some(cluster) => cluster.version,
        None => create(&name, port)?,
    };
    // The server may need longer than this command waits: the port decides.
    if let Err(error) = command::run(command::program("pg_ctlcluster").args([&version, &name, "start"])) {
        eprintln!("warning: {error:#}");
    }
    Ok(())
}

/// Makes a cluster of the newest version that is installed, and gives the version.
fn create(name: &str, port: u16) -> Result<String> {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = folders.filter_map(|folder| folder.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let version = versions.max().context("no PostgreSQL server is installed below /usr/lib/postgresql")?;
    let (version, port) = (version.to_string(), port.to_string());
    let mut create = command::program("pg_createcluster");
    create.args([&version, name, "--port", &port, "--start-conf", "manual"]).args(OPTIONS);
    command::run(create.args(["--", "--auth-host=trust", "--auth-local=trust"]))?;
    Ok(version)
}

fn clusters() -> Result<Vec<Cluster>> {
    Ok(listed(&command::output(command::program("pg_lsclusters").arg("--no-header"))?))
}

/// Reads lines of `version name port status …`.
fn listed(text: &str) -> Vec<Cluster> {
    let cluster = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [version, name, _port, status, ..] = words[..] else { return None };
        // `online,recovery` is online, too.
        let online = status.split(',').any(|word| word == "online");
        Some(Cluster { version: version.to_owned(), name: name.to_owned(), online })
    };
    text.lines().filter_map(cluster).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_read_from_the_list() {
        let list = "15 main     5432 online postgres /var/lib/postgresql/15/main\n\
                    17 tidemark15432 15432 down postgres /var/lib/postgresql/17/tidemark15432\n";
        let cluster = |version: &str, name: &str, online| {
            let (version, name) = (version.to_owned(), name.to_owned());
            Cluster { version, name, online }
        };
        assert_eq!(listed(list), [cluster("15", "main", true), cluster("17", "tidemark15432", false)]);
        assert_eq!(listed(""), []);
    }
}
