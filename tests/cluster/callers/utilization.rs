//! `UtilizationService`: the numbers of a connection, and what is entered for it.

use tidemark_rpc::{
    client::Caller,
    utilization::{
        AcceptRecommendationRequest, Contract, EndExemptionRequest, ExportRequest, GetContractRequest,
        GetCoverageRequest, GetFeatureAdoptionRequest, GetSummaryRequest, GetTrendRequest, ListAlertsRequest,
        ListCutsRequest, ListExemptionsRequest, ListRecommendationsRequest, ListSeatsRequest,
        PreviewRenewalRequest, SetContractRequest, SetExemptionRequest, WithdrawAcceptanceRequest,
    },
};
use tonic::Status;

use super::Target;
use crate::cluster::today;

pub(super) async fn utilization(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let Target { organization: organization_id, connection: connection_id, member: member_id, .. } = of;
    let mut client = caller.utilization();
    match method {
        "GetSummary" => client.get_summary(GetSummaryRequest { connection_id }).await.map(drop),
        "GetTrend" => {
            client.get_trend(GetTrendRequest { connection_id, ..Default::default() }).await.map(drop)
        }
        "ListCuts" => {
            client.list_cuts(ListCutsRequest { connection_id, ..Default::default() }).await.map(drop)
        }
        "GetFeatureAdoption" => client
            .get_feature_adoption(GetFeatureAdoptionRequest { connection_id, ..Default::default() })
            .await
            .map(drop),
        "ListSeats" => {
            client.list_seats(ListSeatsRequest { connection_id, ..Default::default() }).await.map(drop)
        }
        "ListRecommendations" => client
            .list_recommendations(ListRecommendationsRequest { connection_id, ..Default::default() })
            .await
            .map(drop),
        "AcceptRecommendation" => client
            .accept_recommendation(AcceptRecommendationRequest {
                connection_id,
                member_id,
                action: of.action,
                actor: "Ada".to_owned(),
            })
            .await
            .map(drop),
        "WithdrawAcceptance" => {
            client.withdraw_acceptance(WithdrawAcceptanceRequest { connection_id, member_id }).await.map(drop)
        }
        "GetContract" => client.get_contract(GetContractRequest { connection_id }).await.map(drop),
        "SetContract" => client
            .set_contract(SetContractRequest { connection_id, contract: Some(Contract::default()) })
            .await
            .map(drop),
        "ListExemptions" => client
            .list_exemptions(ListExemptionsRequest { connection_id, ..Default::default() })
            .await
            .map(drop),
        "SetExemption" => client
            .set_exemption(SetExemptionRequest {
                connection_id,
                member_id,
                reason: "a test".to_owned(),
                until: today().to_string(),
            })
            .await
            .map(drop),
        "EndExemption" => {
            client.end_exemption(EndExemptionRequest { connection_id, member_id }).await.map(drop)
        }
        "PreviewRenewal" => {
            client.preview_renewal(PreviewRenewalRequest { connection_id, drop_seats: 1 }).await.map(drop)
        }
        "GetCoverage" => client.get_coverage(GetCoverageRequest { connection_id }).await.map(drop),
        "ListAlerts" => {
            client.list_alerts(ListAlertsRequest { organization_id, ..Default::default() }).await.map(drop)
        }
        "Export" => {
            client.export(ExportRequest { connection_id, table: 3, ..Default::default() }).await.map(drop)
        }
        other => panic!("add {other} to this table"),
    }
}
