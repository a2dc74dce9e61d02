//! An authority of certificates, with its files.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// Issues certificates for `localhost`, `127.0.0.1` and `::1` into a folder of its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// A fresh one, which nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // Unlike any other: two of one name would be taken for the same.
        params.distinguished_name.push(DnType::CommonName, uuid::Uuid::new_v4().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Self { issuer: issuer.expect("a certificate"), folder };
        write(&authority.ca(), &authority.issuer.pem());
        authority
    }

    /// Its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate and its key. A second one of the same name takes the place of the first.
    pub fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        self.issue_for(name, &["localhost", "127.0.0.1", "::1"])
    }

    /// The same, for other names: hosts, or a user, whose name is the first.
    pub fn issue_for(&self, name: &str, hosts: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>());
        let mut params = params.expect("names");
        params.distinguished_name.push(DnType::CommonName, hosts[0]);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let paths =
            (self.folder.path().join(format!("{name}.pem")), self.folder.path().join(format!("{name}.key")));
        write(&paths.0, &certificate.pem());
        write(&paths.1, &key.serialize_pem());
        paths
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the temporary folder takes files");
}
