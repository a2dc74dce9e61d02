//! Servers of a test's own, which speak TLS, have a password, and can be broken: on ports of their own, gone with the
//! value. They need the programs of PostgreSQL, PgBouncer, Redis and RabbitMQ on this machine, as `cargo xtask test` installs them.

mod authority;
mod postgres;
mod process;

use std::{path::Path, process::Command, time::Duration};

use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};

pub use authority::Authority;
pub use postgres::{Pooler, PostgresServer};
use process::Process;

/// Of every server here. The user is `tidemark`, or Redis's default.
pub const PASSWORD: &str = "hunter2-of-the-tests";

/// A Redis server: TLS only.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
}

impl RedisServer {
    /// With a certificate of that authority; with `mutual`, clients have to show one of it, too.
    pub async fn start(authority: &Authority, mutual: bool) -> Self {
        let (certificate, key) = authority.issue("redis");
        for _ in 0..PORTS {
            let port = crate::reserve_port();
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "::1", "--port", "0", "--tls-port", &port.to_string()]);
            command.arg("--tls-cert-file").arg(&certificate).arg("--tls-key-file").arg(&key);
            command.arg("--tls-ca-cert-file").arg(authority.ca());
            command.args(["--tls-auth-clients", if mutual { "yes" } else { "no" }]);
            command.args(["--requirepass", PASSWORD, "--save", "", "--appendonly", "no", "--dir"]);
            let process = Process::spawn(command.arg(authority.folder()));
            if process.listens(port).await {
                return Self { process, port };
            }
        }
        panic!("redis-server did not start")
    }

    /// Its URL at that host, without a password.
    pub fn url(&self, host: &str) -> String {
        format!("rediss://{host}:{}", self.port)
    }

    /// `redis-cli` with these arguments.
    pub async fn command(&self, arguments: &[&str]) {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string(), "--tls", "--insecure", "-e", "--no-auth-warning"]);
        command.args(["-a", PASSWORD]).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends");
        let output = output.expect("redis-cli is there");
        assert!(output.status.success(), "redis-cli: {}", String::from_utf8_lossy(&output.stdout));
    }

    /// Ends it, with every connection.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}

/// A RabbitMQ node: TLS at one port, plain text at another.
#[derive(Debug)]
pub struct RabbitServer {
    process: Process,
    folder: TempDir,
    node: String,
    secured: u16,
    plain: u16,
}

impl RabbitServer {
    /// With a certificate of that authority; with `mutual`, clients have to show one of it, too.
    pub async fn start(authority: &Authority, mutual: bool) -> Self {
        let (certificate, key) = authority.issue("rabbitmq");
        for _ in 0..PORTS {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let (secured, plain, distribution) =
                (crate::reserve_port(), crate::reserve_port(), crate::reserve_port());
            let verify = if mutual { "verify_peer" } else { "verify_none" };
            let text = format!(
                "listeners.tcp.1 = 127.0.0.1:{plain}\nlisteners.ssl.1 = 127.0.0.1:{secured}\nlisteners.ssl.2 = ::1:{secured}\n\
                 ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
                 ssl_options.verify = {verify}\nssl_options.fail_if_no_peer_cert = {mutual}\n\
                 default_user = tidemark\ndefault_pass = {PASSWORD}\nlog.console = true\n",
                authority.ca().display(),
                certificate.display(),
                key.display(),
            );
            write(&folder.path().join("rabbitmq.conf"), &text);
            write(&folder.path().join("plugins"), "[].");
            let node = format!("tidemark-{secured}@localhost");
            let mut command = program("rabbitmq-server", folder.path(), &node);
            command.env("RABBITMQ_CONFIG_FILE", folder.path().join("rabbitmq"));
            command.env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.path().join("plugins"));
            command.env("RABBITMQ_MNESIA_BASE", folder.path()).env("RABBITMQ_LOG_BASE", folder.path());
            command.env("RABBITMQ_DIST_PORT", distribution.to_string());
            let process = Process::spawn(&mut command);
            if process.listens(secured).await {
                return Self { process, folder, node, secured, plain };
            }
        }
        panic!("rabbitmq-server did not start")
    }

    /// Its URL over TLS at that host, without a password.
    pub fn url(&self, host: &str) -> String {
        format!("amqps://tidemark@{host}:{}/%2f", self.secured)
    }

    /// Its URL in plain text, with the password.
    pub fn plain_url(&self) -> String {
        format!("amqp://tidemark:{PASSWORD}@127.0.0.1:{}/%2f", self.plain)
    }

    /// `rabbitmqctl` with these arguments.
    pub async fn control(&self, arguments: &[&str]) {
        let mut command = program("rabbitmqctl", self.folder.path(), &self.node);
        command.arg("--quiet").args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends");
        let output = output.expect("rabbitmqctl is there");
        assert!(output.status.success(), "rabbitmqctl: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends it, with every connection.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}

/// The package's own wrapper would change the user.
fn program(name: &str, folder: &Path, node: &str) -> Command {
    let packaged = Path::new("/usr/lib/rabbitmq/bin").join(name);
    let mut command = if packaged.exists() { Command::new(packaged) } else { Command::new(name) };
    // The cookie that lets rabbitmqctl in lies there.
    command.env("HOME", folder).env("RABBITMQ_NODENAME", node).env("LANG", "C.UTF-8");
    command
}

/// Others may take a port between its choice and the server's start: then with another.
const PORTS: usize = 5;

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the temporary folder takes files");
}

impl Process {
    /// Waits until it listens there; false where it ended before.
    async fn listens(&self, port: u16) -> bool {
        for _ in 0..900 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return true;
            }
            if self.has_ended() {
                return false;
            }
            sleep(Duration::from_millis(100)).await;
        }
        false
    }
}
