//! Redis: nothing in it outlives a test, so nothing is written to disk.

use anyhow::Result;

use super::Service;
use crate::command;

pub(super) const SERVICE: Service = Service {
    name: "Redis",
    variable: "TIDEMARK_TEST_REDIS_URL",
    default: "redis://127.0.0.1:6379",
    packages: &["redis-server"],
    installed: || command::exists("redis-server"),
    after_install: || Ok(()),
    start,
};

fn start(port: u16) -> Result<()> {
    let port = port.to_string();
    command::run(command::program("redis-server").current_dir(std::env::temp_dir()).args([
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "yes",
    ]))
}
