//! `EventsService` and `WebhooksService`: who is told of what happens. The endpoints and deliveries that they name do not
//! exist.

use tidemark_rpc::{
    client::Caller,
    connections::{
        CreateWebhookEndpointRequest, DeleteWebhookEndpointRequest, GetWebhookEndpointRequest,
        ListEventsRequest, ListWebhookDeliveriesRequest, ListWebhookEndpointsRequest,
        RedeliverWebhookRequest, RotateWebhookSecretRequest, SendTestWebhookRequest,
        UpdateWebhookEndpointRequest, WatchConnectionsRequest,
    },
};
use tonic::Status;

use super::Target;

const NO_ENDPOINT: &str = "whep_00000000000000000000000000";
const NO_DELIVERY: &str = "whdl_00000000000000000000000000";

pub(super) async fn events(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let (organization_id, connection_id) = (of.organization, of.connection);
    let mut client = caller.events();
    match method {
        "WatchConnections" => client
            .watch_connections(WatchConnectionsRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "ListEvents" => {
            client.list_events(ListEventsRequest { connection_id, ..Default::default() }).await.map(drop)
        }
        other => panic!("add {other} to this table"),
    }
}

pub(super) async fn webhooks(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let (organization_id, endpoint_id) = (of.organization, NO_ENDPOINT.to_owned());
    let mut client = caller.webhooks();
    match method {
        "CreateWebhookEndpoint" => client
            .create_webhook_endpoint(CreateWebhookEndpointRequest {
                organization_id,
                url: "https://hooks.example/tidemark".to_owned(),
                ..Default::default()
            })
            .await
            .map(drop),
        "ListWebhookEndpoints" => client
            .list_webhook_endpoints(ListWebhookEndpointsRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "GetWebhookEndpoint" => {
            client.get_webhook_endpoint(GetWebhookEndpointRequest { endpoint_id }).await.map(drop)
        }
        "UpdateWebhookEndpoint" => client
            .update_webhook_endpoint(UpdateWebhookEndpointRequest { endpoint_id, ..Default::default() })
            .await
            .map(drop),
        "DeleteWebhookEndpoint" => {
            client.delete_webhook_endpoint(DeleteWebhookEndpointRequest { endpoint_id }).await.map(drop)
        }
        "RotateWebhookSecret" => {
            client.rotate_webhook_secret(RotateWebhookSecretRequest { endpoint_id }).await.map(drop)
        }
        "ListWebhookDeliveries" => client
            .list_webhook_deliveries(ListWebhookDeliveriesRequest { endpoint_id, ..Default::default() })
            .await
            .map(drop),
        "RedeliverWebhook" => client
            .redeliver_webhook(RedeliverWebhookRequest { delivery_id: NO_DELIVERY.to_owned() })
            .await
            .map(drop),
        "SendTestWebhook" => client.send_test_webhook(SendTestWebhookRequest { endpoint_id }).await.map(drop),
        other => panic!("add {other} to this table"),
    }
}
