//! PostgreSQL as people have it: over TCP it takes nothing but TLS, it may have a standby, and it may stand behind PgBouncer.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{Authority, PASSWORD, process::Process};
use crate::reserve_port;

const PATIENCE: Duration = Duration::from_secs(60);
/// Over its socket everybody may do everything; the role `certified` shows a certificate instead of a password.
const RULES: &str = "local all all trust\nlocal replication all trust\nhostssl all certified all cert\n\
                     hostssl all all all scram-sha-256\n";

/// A PostgreSQL server with the superuser `tidemark`.
#[derive(Debug)]
pub struct PostgresServer {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl PostgresServer {
    /// With a certificate of that authority for `localhost` alone.
    pub async fn start(authority: &Authority) -> Self {
        let folder = folder();
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        write(&password, PASSWORD);
        let mut make = program("initdb");
        make.args(["-U", "tidemark", "--auth=scram-sha-256", "--no-sync", "-D"]).arg(&data);
        make.arg(format!("--pwfile={}", password.display()));
        assert!(make.status().expect("initdb runs").success(), "no data folder");
        write(&data.join("pg_hba.conf"), RULES);
        certify(&data, authority);
        Self::run(folder).await
    }

    /// Another server that follows this one, read-only until it is promoted. From now on this one acknowledges what both have.
    pub async fn standby(&self) -> Self {
        let folder = folder();
        let mut copy = program("pg_basebackup");
        copy.args(["-U", "tidemark", "-R", "--no-sync", "-c", "fast", "-p", &self.port.to_string()]);
        copy.arg("-h").arg(self.folder.path()).arg("-D").arg(folder.path().join("data"));
        let copied = tokio::task::spawn_blocking(move || copy.status()).await.expect("it ends");
        assert!(copied.expect("pg_basebackup runs").success(), "no copy");
        let standby = Self::run(folder).await;
        self.sql("alter system set synchronous_standby_names = '*'");
        self.sql("select pg_reload_conf()");
        let started = Instant::now();
        let follows = "select 1 / count(*) from pg_stat_replication where sync_state = 'sync'";
        while !self.try_sql(follows) {
            assert!(started.elapsed() < PATIENCE, "the standby does not follow");
            sleep(Duration::from_millis(50)).await;
        }
        standby
    }

    async fn run(folder: TempDir) -> Self {
        let port = reserve_port();
        let mut server = program("postgres");
        server.arg("-D").arg(folder.path().join("data"));
        server.args(["-p", &port.to_string(), "-F", "-c", "listen_addresses=127.0.0.1,::1"]);
        server.args(["-c", "ssl=on", "-c", "ssl_cert_file=server.pem", "-c", "ssl_key_file=server.key"]);
        server.args(["-c", "ssl_ca_file=ca.pem", "-c"]);
        server.arg(format!("unix_socket_directories={}", folder.path().display()));
        let server = Self { process: Process::spawn(&mut server), port, folder };
        let started = Instant::now();
        while !server.try_sql("select 1") {
            assert!(started.elapsed() < PATIENCE, "PostgreSQL did not start");
            sleep(Duration::from_millis(50)).await;
        }
        server
    }

    /// Gives it a certificate of that authority, for new connections.
    pub fn certify(&self, authority: &Authority) {
        certify(&self.folder.path().join("data"), authority);
        self.sql("select pg_reload_conf()");
    }

    /// Its URL, with the password, believing only that authority.
    pub fn url(&self, authority: &Authority) -> String {
        let ca = authority.ca();
        self.url_of("tidemark", "localhost", &format!("sslmode=verify-full&sslrootcert={}", ca.display()))
    }

    /// Its URL for a user with the password of all of them.
    pub fn url_of(&self, user: &str, host: &str, parameters: &str) -> String {
        format!("postgres://{user}:{PASSWORD}@{host}:{}/postgres?{parameters}", self.port)
    }

    /// Where its socket is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it listens; its socket has that number, too.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs statements over its socket.
    pub fn sql(&self, sql: &str) {
        assert!(self.try_sql(sql), "{sql}");
    }

    fn try_sql(&self, sql: &str) -> bool {
        let mut psql = program("psql");
        psql.args(["-U", "tidemark", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        psql.args(["-p", &self.port.to_string(), "-h"]).arg(self.folder.path());
        psql.status().expect("psql runs").success()
    }

    /// Ends it, with every connection, as a machine does that loses its power.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}

/// PgBouncer.
#[derive(Debug)]
pub struct Pooler {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    /// In front of that server, as its superuser; `mode` is PgBouncer's `pool_mode`. A version that carries prepared
    /// statements in transaction mode does so.
    pub async fn start(server: &PostgresServer, mode: &str) -> Self {
        let (folder, port) = (folder(), reserve_port());
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\npostgres = user=tidemark host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n{}",
            server.folder().display(),
            server.port(),
            if Self::carries_statements() { "max_prepared_statements = 100\n" } else { "" },
        );
        write(&file, &settings);
        let process = Process::spawn(as_user("/usr/sbin/pgbouncer").arg(&file));
        assert!(process.listens(port).await, "PgBouncer did not start");
        Self { _process: process, port, _folder: folder }
    }

    /// Whether the installed version is 1.21 or later.
    pub fn carries_statements() -> bool {
        let output =
            Command::new("/usr/sbin/pgbouncer").arg("--version").output().expect("pgbouncer is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        (parts.next(), parts.next()) >= (Some(1), Some(21))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgres://tidemark@127.0.0.1:{}/postgres", self.port)
    }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    give(folder.path());
    folder
}

fn certify(data: &Path, authority: &Authority) {
    let (certificate, key) = authority.issue_for("postgres", &["localhost"]);
    for (from, name) in [(certificate, "server.pem"), (key, "server.key"), (authority.ca(), "ca.pem")] {
        write(&data.join(name), &fs::read_to_string(from).expect("a file"));
    }
}

fn program(name: &str) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL's packages are installed");
    let newest = versions.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.expect("a version of PostgreSQL");
    as_user(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin/{name}")))
}

fn as_user(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    if let Some((uid, gid)) = user() {
        command.uid(uid).gid(gid);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    command
}

/// The user that the server runs as: never root.
fn user() -> Option<(u32, u32)> {
    let id = |flag: &str, name: &[&str]| {
        let output = Command::new("id").arg(flag).args(name).output().expect("id runs");
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().expect("a number")
    };
    (id("-u", &[]) == 0).then(|| (id("-u", &["postgres"]), id("-g", &["postgres"])))
}

fn give(path: &Path) {
    if let Some((uid, gid)) = user() {
        chown(path, Some(uid), Some(gid)).expect("root may do so");
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("the temporary folder takes files");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
    give(path);
}
