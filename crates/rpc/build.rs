//! Compiles `proto/` with protox, so that no system protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}");
    let files = [
        "connections/v1/connect_links",
        "connections/v1/connections",
        "connections/v1/console",
        "connections/v1/events",
        "connections/v1/invitations",
        "connections/v1/webhooks",
        "credentials/v1/credentials",
        "syncs/v1/syncs",
        "utilization/v1/utilization",
    ]
    .map(|name| format!("{root}/tidemark/{name}.proto"));
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
            "tidemark.connections.v1.CreateInvitationResponse",
            "tidemark.connections.v1.ResendInvitationResponse",
            "tidemark.connections.v1.OpenInvitationRequest",
            "tidemark.connections.v1.AcceptInvitationRequest",
            "tidemark.connections.v1.CreateConnectLinkResponse",
            "tidemark.connections.v1.RedeemConnectLinkRequest",
            "tidemark.connections.v1.RedeemConnectLinkResponse",
            "tidemark.connections.v1.ConnectThroughLinkRequest",
            "tidemark.connections.v1.ConsoleClaims",
            "tidemark.connections.v1.CreateConsoleLinkResponse",
            "tidemark.connections.v1.RedeemConsoleLinkRequest",
            "tidemark.connections.v1.RedeemConsoleLinkResponse",
            "tidemark.connections.v1.TouchConsoleSessionRequest",
            "tidemark.connections.v1.TouchConsoleSessionResponse",
            "tidemark.connections.v1.EndConsoleSessionRequest",
            "tidemark.connections.v1.CreateWebhookEndpointResponse",
            "tidemark.connections.v1.RotateWebhookSecretResponse",
            "tidemark.credentials.v1.GetAccessTokenResponse",
        ])
        .compile_fds(descriptors.clone())?;
    std::fs::write(out.join("tidemark.bin"), prost::Message::encode_to_vec(&descriptors))?;
    Ok(())
}
