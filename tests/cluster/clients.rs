//! The example clients do what they say, with a token that may do no more than they need.

use std::{path::Path, process::Output};

use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tokio::process::Command;

use crate::cluster::{BINARY, Cluster, Wiring, today};

const KEY: &str = "cAnArY-key-7d03be41fa2296";

pub(crate) async fn the_examples_list_start_and_follow(wiring: Wiring) {
    let cluster = Cluster::start(wiring, &[]).await;
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 8, today()).days(20)), KEY);
    let id = cluster.connect(KEY).await;
    let organization = cluster.connection(&id).await.organization_id;
    let scopes = ["connections:read", "syncs:read", "syncs:write"].map(|scope| ["--scope", scope]);
    let made = [&["token", "create", "--name", "example", "--org", &organization], scopes.as_flattened()];
    let token = String::from_utf8(cluster.succeed(&made.concat()).await).unwrap();

    let [connections, syncs] = [0, 1].map(|at| format!("127.0.0.1:{}", cluster.port(at)));
    let example = Path::new(BINARY).with_file_name("examples").join("client");
    let mut rust = Command::new(&example);
    rust.args([format!("http://{connections}"), format!("http://{syncs}"), organization.clone()]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/python");
    let mut python = Command::new(folder.join(".venv/bin/python"));
    python.arg(folder.join("example.py")).args(["--connections", &connections, "--syncs", &syncs]);
    python.args(["--organization", &organization]);
    for mut client in [rust, python] {
        let output = client.env("TIDEMARK_TOKEN", token.trim()).output().await;
        let output =
            output.unwrap_or_else(|error| panic!("{client:?}: {error}; `cargo xtask services` prepares it"));
        let text = told(&output);
        assert!(output.status.success(), "{client:?}: {text}");
        assert!(text.contains(&format!("{id} CONNECTION_STATE_CONNECTED")), "{text}");
        assert!(text.contains("RUN_STATE_SUCCEEDED"), "{text}");
        assert!(!text.contains(token.trim()), "the token is shown");
    }
    cluster.stop().await;
}

fn told(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}
