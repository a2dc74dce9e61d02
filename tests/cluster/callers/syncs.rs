//! `SyncsService`.

use tidemark_rpc::{
    client::Caller,
    syncs::{
        AcceptShrinkRequest, CancelSyncRequest, GetDataQualityRequest, GetScheduleRequest,
        GetSyncOptionsRequest, GetSyncRequest, ListSyncsRequest, SetScheduleRequest, SetSyncOptionsRequest,
        StartSyncRequest, WatchSyncRequest,
    },
};
use tonic::Status;

use super::Target;

pub(super) async fn syncs(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let Target { connection: connection_id, run: run_id, .. } = of;
    let mut client = caller.syncs();
    match method {
        "StartSync" => {
            let request = StartSyncRequest { connection_id, ..StartSyncRequest::default() };
            client.start_sync(request).await.map(drop)
        }
        "GetSync" => client.get_sync(GetSyncRequest { run_id }).await.map(drop),
        "ListSyncs" => {
            client.list_syncs(ListSyncsRequest { connection_id, ..Default::default() }).await.map(drop)
        }
        "WatchSync" => client.watch_sync(WatchSyncRequest { run_id }).await.map(drop),
        "CancelSync" => client.cancel_sync(CancelSyncRequest { run_id }).await.map(drop),
        "GetSchedule" => client.get_schedule(GetScheduleRequest { connection_id }).await.map(drop),
        "SetSchedule" => {
            let request = SetScheduleRequest { connection_id, ..SetScheduleRequest::default() };
            client.set_schedule(request).await.map(drop)
        }
        "GetSyncOptions" => client.get_sync_options(GetSyncOptionsRequest { connection_id }).await.map(drop),
        "SetSyncOptions" => {
            let request = SetSyncOptionsRequest { connection_id, ..SetSyncOptionsRequest::default() };
            client.set_sync_options(request).await.map(drop)
        }
        "AcceptShrink" => {
            let request = AcceptShrinkRequest { connection_id, stream: "notes".to_owned() };
            client.accept_shrink(request).await.map(drop)
        }
        "GetDataQuality" => client.get_data_quality(GetDataQualityRequest { connection_id }).await.map(drop),
        other => panic!("add {other} to this table"),
    }
}
