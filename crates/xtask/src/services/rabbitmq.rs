//! RabbitMQ: a node named after its port, so that a node of somebody else is not touched.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::PathBuf};

use anyhow::{Context, Result, bail};

use super::Service;
use crate::command;

pub(super) const SERVICE: Service = Service {
    name: "RabbitMQ",
    variable: "TIDEMARK_TEST_AMQP_URL",
    default: "amqp://guest:guest@127.0.0.1:5672/%2f",
    packages: &["rabbitmq-server"],
    installed: || server().is_some(),
    after_install: || Ok(()),
    start,
};

/// Debian keeps it out of the path of ordinary users.
fn server() -> Option<&'static str> {
    let usual = "/usr/sbin/rabbitmq-server";
    match command::exists("rabbitmq-server") {
        true => Some("rabbitmq-server"),
        false => std::path::Path::new(usual).is_file().then_some(usual),
    }
}

fn start(port: u16) -> Result<()> {
    let server = server().context("rabbitmq-server is not in the path")?;
    // Erlang's own port, away from a node that may run beside this one.
    let Some(distribution) = port.checked_add(20_000) else {
        bail!("a RabbitMQ can be started for you at ports below 45536 only");
    };
    // A configuration of its own: the machine's may name ports and plugins of another node.
    let listen = format!("listeners.tcp.1 = 127.0.0.1:{port}\n");
    let configuration = written(&format!("tidemark{port}.conf"), &listen)?;
    let plugins = written(&format!("tidemark{port}.plugins"), "[].\n")?;
    command::run(
        command::program(server)
            .arg("-detached")
            .env("RABBITMQ_NODENAME", format!("tidemark{port}@localhost"))
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_CONFIG_FILE", configuration)
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins),
    )
}

/// A file in the folder for temporary files that RabbitMQ's own user can read.
fn written(name: &str, text: &str) -> Result<PathBuf> {
    let path = std::env::temp_dir().join(name);
    let attempted = || format!("{} could not be written", path.display());
    std::fs::write(&path, text).with_context(attempted)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).with_context(attempted)?;
    Ok(path)
}
