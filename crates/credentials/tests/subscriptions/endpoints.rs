//! What may be an endpoint, and who may touch it.

use tidemark_rpc::{
    connections::{
        CreateWebhookEndpointRequest, DeleteWebhookEndpointRequest, GetWebhookEndpointRequest,
        ListWebhookDeliveriesRequest, ListWebhookEndpointsRequest, RedeliverWebhookRequest,
        RotateWebhookSecretRequest, SendTestWebhookRequest, UpdateWebhookEndpointRequest,
        webhooks_service_server::WebhooksService,
    },
    status,
};
use tonic::{Code, Request};

use crate::{
    receiver::Receiver,
    world::{World, by, limited, platform},
};

#[tokio::test]
async fn a_url_that_leads_inside_is_refused() {
    let world = World::new().await;
    for (url, problem) in [
        ("http://hooks.example.com/", "expected https"),
        ("https://169.254.169.254/latest", "not on the public internet"),
        ("https://[fd00:ec2::254]/", "not on the public internet"),
        ("https://10.0.0.1/", "not on the public internet"),
        ("https://localhost/", "a name for this machine"),
        ("https://user:hush@hooks.example.com/", "no user name"),
        ("file:///etc/passwd", "expected https://host/path"),
        ("", "not a URL"),
    ] {
        let refused = world.create("", url, &[]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{url}");
        assert!(
            refused.message().starts_with("field `url`") && refused.message().contains(problem),
            "{refused}"
        );
        assert!(!refused.message().contains("hush"));
    }
    world.create("", "https://hooks.example.com/in", &[]).await.unwrap();
    world.create("", "http://127.0.0.1:1/", &[]).await.expect("trusted by the operator");
    let refused =
        world.create("", "https://hooks.example.com/in", &["connection.*", "billing.*"]).await.unwrap_err();
    assert!(refused.message().contains("`billing.*` matches no event"), "{refused}");
}

#[tokio::test]
async fn an_endpoint_is_listed_changed_and_deleted() {
    let world = World::new().await;
    let organization = world.organization();
    let mut ids = Vec::new();
    for number in 0..5 {
        let url = format!("https://hooks.example.com/{number}");
        let created = world.create(organization.as_str(), &url, &[]).await.unwrap();
        assert!(created.secret.starts_with("whsec_"));
        let endpoint = created.endpoint.unwrap();
        assert_eq!((endpoint.organization_id.as_str(), endpoint.enabled), (organization.as_str(), true));
        assert_eq!(endpoint.event_types, ["*"]);
        ids.push(endpoint.id);
    }
    ids.sort();
    let list = async |page_token: &str| {
        let request = ListWebhookEndpointsRequest {
            organization_id: organization.to_string(),
            page_size: 3,
            page_token: page_token.to_owned(),
        };
        let page = world.service.list_webhook_endpoints(by(&platform(), request)).await.unwrap().into_inner();
        let ids: Vec<_> = page.endpoints.into_iter().map(|endpoint| endpoint.id).collect();
        (ids, page.next_page_token)
    };
    let (first, token) = list("").await;
    let (second, end) = list(&token).await;
    assert_eq!((first.as_slice(), second.as_slice(), end.as_str()), (&ids[..3], &ids[3..], ""));

    let before = world.get(&ids[0]).await;
    let request = UpdateWebhookEndpointRequest {
        endpoint_id: ids[0].clone(),
        url: Some("https://other.example.com/".to_owned()),
        ..Default::default()
    };
    let changed = world.service.update_webhook_endpoint(by(&platform(), request)).await.unwrap();
    let changed = changed.into_inner().endpoint.unwrap();
    assert_eq!(
        (changed.url.as_str(), &changed.event_types),
        ("https://other.example.com/", &before.event_types)
    );
    assert_eq!(world.get(&ids[0]).await, changed);

    let delete = || by(&platform(), DeleteWebhookEndpointRequest { endpoint_id: ids[0].clone() });
    world.service.delete_webhook_endpoint(delete()).await.unwrap();
    let gone = world.service.delete_webhook_endpoint(delete()).await.unwrap_err();
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "no such webhook endpoint"));
    assert_eq!(list("").await.0, ids[1..4]);
}

#[tokio::test]
async fn there_is_an_end_to_the_endpoints_of_an_organization() {
    let world = World::new().await;
    let organization = world.organization();
    for _ in 0..100 {
        world.create(organization.as_str(), "https://hooks.example.com/", &[]).await.unwrap();
    }
    let refused = world.create(organization.as_str(), "https://hooks.example.com/", &[]).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("TOO_MANY_ENDPOINTS"));
    world.create("", "https://hooks.example.com/", &[]).await.unwrap();
}

/// Every method, by a caller that sees another organization: as if there were nothing.
#[tokio::test]
async fn what_a_caller_may_not_see_does_not_exist_for_it() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (mine, theirs) = (world.organization(), world.organization());
    let stranger = limited(&mine);
    let (everybodys, _) = world.endpoint(&receiver.url).await;
    let created = world.create(theirs.as_str(), &receiver.url, &[]).await.unwrap();
    let foreign = created.endpoint.unwrap().id;
    let test = by(&platform(), SendTestWebhookRequest { endpoint_id: foreign.clone() });
    let delivery_id = world.service.send_test_webhook(test).await.unwrap().into_inner().delivery.unwrap().id;
    let service = &world.service;
    for endpoint_id in [&foreign, &everybodys, &"whep_00000000000000000000000000".to_owned()] {
        let endpoint_id = endpoint_id.clone();
        macro_rules! refused {
            ($($method:ident($request:expr);)*) => {$(
                let refused = service.$method(by(&stranger, $request)).await.map(drop).unwrap_err();
                assert_eq!(refused.code(), Code::NotFound, "{}: {refused}", stringify!($method));
                assert_eq!(refused.message(), "no such webhook endpoint");
                let nobody = service.$method(Request::new($request)).await.map(drop).unwrap_err();
                assert_eq!(nobody.code(), Code::Unauthenticated, "{}", stringify!($method));
            )*};
        }
        refused! {
            get_webhook_endpoint(GetWebhookEndpointRequest { endpoint_id: endpoint_id.clone() });
            update_webhook_endpoint(UpdateWebhookEndpointRequest { endpoint_id: endpoint_id.clone(), ..Default::default() });
            delete_webhook_endpoint(DeleteWebhookEndpointRequest { endpoint_id: endpoint_id.clone() });
            rotate_webhook_secret(RotateWebhookSecretRequest { endpoint_id: endpoint_id.clone() });
            list_webhook_deliveries(ListWebhookDeliveriesRequest { endpoint_id: endpoint_id.clone(), ..Default::default() });
            send_test_webhook(SendTestWebhookRequest { endpoint_id: endpoint_id.clone() });
        }
    }
    for id in [delivery_id.as_str(), "whdl_00000000000000000000000000"] {
        let request = RedeliverWebhookRequest { delivery_id: id.to_owned() };
        let refused = service.redeliver_webhook(by(&stranger, request)).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::NotFound, "no such webhook delivery"));
    }
    for (organization_id, code) in
        [(theirs.to_string(), Code::NotFound), (String::new(), Code::InvalidArgument)]
    {
        let list =
            ListWebhookEndpointsRequest { organization_id: organization_id.clone(), ..Default::default() };
        assert_eq!(service.list_webhook_endpoints(by(&stranger, list)).await.unwrap_err().code(), code);
        let url = receiver.url.clone();
        let create = CreateWebhookEndpointRequest { organization_id, url, event_types: Vec::new() };
        assert_eq!(service.create_webhook_endpoint(by(&stranger, create)).await.unwrap_err().code(), code);
    }
    assert_eq!(world.get(&foreign).await.secret_version, 1, "nothing was touched");
}
