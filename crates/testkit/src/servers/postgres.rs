//! PostgreSQL that takes nothing but TLS.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{Authority, PASSWORD, process::Process};
use crate::reserve_port;

/// A PostgreSQL server: TLS and a password for everybody.
#[derive(Debug)]
pub struct PostgresServer {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl PostgresServer {
    /// With a certificate of that authority.
    pub async fn start(authority: &Authority) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let (certificate, key) = authority.issue("postgres");
        let password = folder.path().join("password");
        for (from, name) in [(certificate, "server.pem"), (key, "server.key")] {
            fs::copy(from, folder.path().join(name)).expect("a file");
        }
        fs::write(&password, PASSWORD).expect("a file");
        give(folder.path());
        for name in ["server.pem", "server.key", "password"] {
            let path = folder.path().join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
            give(&path);
        }
        let mut make = program("initdb");
        make.args(["-U", "tidemark", "--auth=scram-sha-256", "--no-sync", "-D"]).arg(&data);
        make.arg(format!("--pwfile={}", password.display()));
        assert!(make.status().expect("initdb runs").success(), "no data folder");
        let rules = data.join("pg_hba.conf");
        fs::write(&rules, "hostssl all all all scram-sha-256\n").expect("a file");
        let port = reserve_port();
        let mut server = program("postgres");
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-F", "-c", "listen_addresses=127.0.0.1"]);
        server
            .args(["-c", "ssl=on", "-c"])
            .arg(format!("ssl_cert_file={}", folder.path().join("server.pem").display()));
        server.arg("-c").arg(format!("ssl_key_file={}", folder.path().join("server.key").display()));
        server.arg("-c").arg(format!("unix_socket_directories={}", folder.path().display()));
        let process = Process::spawn(&mut server);
        assert!(process.listens(port).await, "PostgreSQL did not start");
        Self { _process: process, port, _folder: folder }
    }

    /// Its URL, with the password, believing only that authority.
    pub fn url(&self, authority: &Authority) -> String {
        let ca = authority.ca();
        let port = self.port;
        format!(
            "postgres://tidemark:{PASSWORD}@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={}",
            ca.display()
        )
    }
}

fn program(name: &str) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL's packages are installed");
    let newest = versions.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.expect("a version of PostgreSQL");
    let mut command = Command::new(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin/{name}")));
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
