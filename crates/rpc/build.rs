//! Compiles `proto/` with protox, so that no system protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}");
    let packages = ["connections", "credentials", "syncs", "utilization"];
    let mut files = packages.map(|name| format!("{root}/tidemark/{name}/v1/{name}.proto")).to_vec();
    files.extend(
        ["invitations", "connect_links"].map(|name| format!("{root}/tidemark/connections/v1/{name}.proto")),
    );
    let descriptors = protox::compile(&files, [root])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("tidemark.bin"))
        // A token must not reach a log through `{:?}`: these print by hand, in `redact.rs`.
        .skip_debug([
            "tidemark.connections.v1.CreateConnectionRequest",
            "tidemark.connections.v1.ReconnectConnectionRequest",
            "tidemark.connections.v1.CreateInvitationResponse",
            "tidemark.connections.v1.ResendInvitationResponse",
            "tidemark.connections.v1.OpenInvitationRequest",
            "tidemark.connections.v1.AcceptInvitationRequest",
            "tidemark.connections.v1.CreateConnectLinkResponse",
            "tidemark.connections.v1.RedeemConnectLinkRequest",
            "tidemark.connections.v1.RedeemConnectLinkResponse",
            "tidemark.connections.v1.ConnectThroughLinkRequest",
            "tidemark.credentials.v1.GetAccessTokenResponse",
        ])
        .compile_fds(descriptors.clone())?;
    std::fs::write(out.join("tidemark.bin"), prost::Message::encode_to_vec(&descriptors))?;
    Ok(())
}
