//! Compiles `proto/` with protox, so that no system protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}");
    let packages = ["connections", "credentials", "syncs", "utilization"];
    let files = packages.map(|name| format!("{root}/tidemark/{name}/v1/{name}.proto"));
    let descriptors = protox::compile(&files, [root])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("tidemark.bin"))
        // A token must not reach a log through `{:?}`: these print by hand, in `redact.rs`.
        .skip_debug([
            "tidemark.connections.v1.CreateConnectionRequest",
            "tidemark.connections.v1.ReconnectConnectionRequest",
            "tidemark.connections.v1.BeginConsentRequest",
            "tidemark.connections.v1.BeginConsentResponse",
            "tidemark.connections.v1.CompleteConsentRequest",
            "tidemark.credentials.v1.GetAccessTokenResponse",
        ])
        .compile_fds(descriptors.clone())?;
    std::fs::write(out.join("tidemark.bin"), prost::Message::encode_to_vec(&descriptors))?;
    Ok(())
}
