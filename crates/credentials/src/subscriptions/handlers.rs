//! The webhooks service's methods: who asks, and then the desk.

use std::sync::Arc;

use tidemark_rpc::{
    connections::{self as wire, webhooks_service_server::WebhooksService},
    identity::Identity,
};
use tonic::{Request, Response, Status};

use super::{SubscriptionService, endpoints::Desk, shown};

/// A method of the service: its name, its request and response, and what the desk does.
macro_rules! methods {
    ($($method:ident, $name:literal, $request:ident, $response:ident, |$desk:ident, $asked:ident| $work:expr;)*) => {
        #[tonic::async_trait]
        impl WebhooksService for SubscriptionService {
            $(async fn $method(
                &self,
                request: Request<wire::$request>,
            ) -> Result<Response<wire::$response>, Status> {
                let caller = Identity::of(&request)?;
                let ($asked, shared) = (request.into_inner(), Arc::clone(&self.0));
                self.0
                    .credentials
                    .answer($name, |parts| async move {
                        let $desk = Desk { parts: &parts, outlets: &shared.outlets, caller: &caller };
                        Ok($work)
                    })
                    .await
            })*
        }
    };
}

methods! {
    create_webhook_endpoint, "CreateWebhookEndpoint",
        CreateWebhookEndpointRequest, CreateWebhookEndpointResponse,
        |desk, asked| desk.create(asked).await?;
    list_webhook_endpoints, "ListWebhookEndpoints",
        ListWebhookEndpointsRequest, ListWebhookEndpointsResponse,
        |desk, asked| desk.list(&asked).await?;
    get_webhook_endpoint, "GetWebhookEndpoint",
        GetWebhookEndpointRequest, GetWebhookEndpointResponse,
        |desk, asked| {
            let endpoint = Some(shown::endpoint(desk.endpoint(&asked.endpoint_id).await?));
            wire::GetWebhookEndpointResponse { endpoint }
        };
    update_webhook_endpoint, "UpdateWebhookEndpoint",
        UpdateWebhookEndpointRequest, UpdateWebhookEndpointResponse,
        |desk, asked| wire::UpdateWebhookEndpointResponse { endpoint: Some(desk.update(asked).await?) };
    delete_webhook_endpoint, "DeleteWebhookEndpoint",
        DeleteWebhookEndpointRequest, DeleteWebhookEndpointResponse,
        |desk, asked| {
            desk.delete(&asked.endpoint_id).await?;
            wire::DeleteWebhookEndpointResponse {}
        };
    rotate_webhook_secret, "RotateWebhookSecret",
        RotateWebhookSecretRequest, RotateWebhookSecretResponse,
        |desk, asked| desk.rotate(&asked.endpoint_id).await?;
    list_webhook_deliveries, "ListWebhookDeliveries",
        ListWebhookDeliveriesRequest, ListWebhookDeliveriesResponse,
        |desk, asked| desk.deliveries(&asked).await?;
    redeliver_webhook, "RedeliverWebhook",
        RedeliverWebhookRequest, RedeliverWebhookResponse,
        |desk, asked| wire::RedeliverWebhookResponse { delivery: Some(desk.redeliver(&asked.delivery_id).await?) };
    send_test_webhook, "SendTestWebhook",
        SendTestWebhookRequest, SendTestWebhookResponse,
        |desk, asked| wire::SendTestWebhookResponse { delivery: Some(desk.test(&asked.endpoint_id).await?) };
}
