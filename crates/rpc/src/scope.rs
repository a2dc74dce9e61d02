//! What a caller may do: the one table from method to scope. A method that is not in it is refused to everybody.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    str::FromStr,
    sync::LazyLock,
};

use prost::Message as _;

/// Something a service token may be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Look at connections.
    ConnectionsRead,
    /// Make and change connections.
    ConnectionsWrite,
    /// Get a connection's secret.
    CredentialsRelease,
    /// Tell that a secret was refused.
    CredentialsReport,
    /// Look at invitations.
    InvitationsRead,
    /// Invite, and make connect links.
    InvitationsWrite,
    /// Use the links of invited people: for the page where they land.
    LinksUse,
    /// Let people into the console.
    ConsoleMint,
    /// Redeem links into the console, and ask whose session it is: for the console itself.
    ConsoleUse,
    /// Look at webhooks and their deliveries.
    WebhooksRead,
    /// Make and change webhooks.
    WebhooksWrite,
    /// Watch and list events.
    EventsWatch,
    /// Look at syncs.
    SyncsRead,
    /// Start syncs.
    SyncsWrite,
    /// Read the numbers.
    UtilizationRead,
    /// Enter contracts, exemptions and acceptances.
    UtilizationWrite,
}

use Scope::{
    ConnectionsRead, ConnectionsWrite, ConsoleMint, ConsoleUse, CredentialsRelease, CredentialsReport,
    EventsWatch, InvitationsRead, InvitationsWrite, LinksUse, SyncsRead, SyncsWrite, UtilizationRead,
    UtilizationWrite, WebhooksRead, WebhooksWrite,
};

/// Each method of each service, with the scope it asks for.
pub const METHODS: &[(&str, Scope)] = &[
    ("tidemark.connections.v1.ConnectionsService/CreateConnection", ConnectionsWrite),
    ("tidemark.connections.v1.ConnectionsService/GetConnection", ConnectionsRead),
    ("tidemark.connections.v1.ConnectionsService/ListConnections", ConnectionsRead),
    ("tidemark.connections.v1.ConnectionsService/ReconnectConnection", ConnectionsWrite),
    ("tidemark.connections.v1.ConnectionsService/BeginConsent", ConnectionsWrite),
    ("tidemark.connections.v1.ConnectionsService/CompleteConsent", ConnectionsWrite),
    ("tidemark.connections.v1.ConnectionsService/ConnectWithAssertion", ConnectionsWrite),
    ("tidemark.connections.v1.ConnectionsService/DisconnectConnection", ConnectionsWrite),
    ("tidemark.connections.v1.ConnectionsService/ProbeConnection", ConnectionsWrite),
    ("tidemark.connections.v1.InvitationsService/CreateInvitation", InvitationsWrite),
    ("tidemark.connections.v1.InvitationsService/GetInvitation", InvitationsRead),
    ("tidemark.connections.v1.InvitationsService/ListInvitations", InvitationsRead),
    ("tidemark.connections.v1.InvitationsService/ResendInvitation", InvitationsWrite),
    ("tidemark.connections.v1.InvitationsService/RevokeInvitation", InvitationsWrite),
    ("tidemark.connections.v1.InvitationsService/OpenInvitation", LinksUse),
    ("tidemark.connections.v1.InvitationsService/AcceptInvitation", LinksUse),
    ("tidemark.connections.v1.ConnectLinksService/CreateConnectLink", InvitationsWrite),
    ("tidemark.connections.v1.ConnectLinksService/RedeemConnectLink", LinksUse),
    ("tidemark.connections.v1.ConnectLinksService/ConnectThroughLink", LinksUse),
    ("tidemark.connections.v1.ConsoleService/CreateConsoleLink", ConsoleMint),
    ("tidemark.connections.v1.ConsoleService/RedeemConsoleLink", ConsoleUse),
    ("tidemark.connections.v1.ConsoleService/TouchConsoleSession", ConsoleUse),
    ("tidemark.connections.v1.ConsoleService/EndConsoleSession", ConsoleUse),
    ("tidemark.connections.v1.EventsService/WatchConnections", EventsWatch),
    ("tidemark.connections.v1.EventsService/ListEvents", EventsWatch),
    ("tidemark.connections.v1.WebhooksService/CreateWebhookEndpoint", WebhooksWrite),
    ("tidemark.connections.v1.WebhooksService/ListWebhookEndpoints", WebhooksRead),
    ("tidemark.connections.v1.WebhooksService/GetWebhookEndpoint", WebhooksRead),
    ("tidemark.connections.v1.WebhooksService/UpdateWebhookEndpoint", WebhooksWrite),
    ("tidemark.connections.v1.WebhooksService/DeleteWebhookEndpoint", WebhooksWrite),
    ("tidemark.connections.v1.WebhooksService/RotateWebhookSecret", WebhooksWrite),
    ("tidemark.connections.v1.WebhooksService/ListWebhookDeliveries", WebhooksRead),
    ("tidemark.connections.v1.WebhooksService/RedeliverWebhook", WebhooksWrite),
    ("tidemark.connections.v1.WebhooksService/SendTestWebhook", WebhooksWrite),
    ("tidemark.credentials.v1.CredentialsService/GetAccessToken", CredentialsRelease),
    ("tidemark.credentials.v1.CredentialsService/ReportRejected", CredentialsReport),
    ("tidemark.credentials.v1.CredentialsService/ReportForbidden", CredentialsReport),
    ("tidemark.syncs.v1.SyncsService/StartSync", SyncsWrite),
    ("tidemark.syncs.v1.SyncsService/GetSync", SyncsRead),
    ("tidemark.syncs.v1.SyncsService/ListSyncs", SyncsRead),
    ("tidemark.syncs.v1.SyncsService/WatchSync", SyncsRead),
    ("tidemark.syncs.v1.SyncsService/CancelSync", SyncsWrite),
    ("tidemark.syncs.v1.SyncsService/GetSchedule", SyncsRead),
    ("tidemark.syncs.v1.SyncsService/SetSchedule", SyncsWrite),
    ("tidemark.syncs.v1.SyncsService/GetSyncOptions", SyncsRead),
    ("tidemark.syncs.v1.SyncsService/SetSyncOptions", SyncsWrite),
    ("tidemark.syncs.v1.SyncsService/AcceptShrink", SyncsWrite),
    ("tidemark.syncs.v1.SyncsService/GetDataQuality", SyncsRead),
    ("tidemark.utilization.v1.UtilizationService/GetSummary", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/GetTrend", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/ListCuts", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/GetFeatureAdoption", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/ListSeats", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/ListRecommendations", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/AcceptRecommendation", UtilizationWrite),
    ("tidemark.utilization.v1.UtilizationService/WithdrawAcceptance", UtilizationWrite),
    ("tidemark.utilization.v1.UtilizationService/GetContract", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/SetContract", UtilizationWrite),
    ("tidemark.utilization.v1.UtilizationService/ListExemptions", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/SetExemption", UtilizationWrite),
    ("tidemark.utilization.v1.UtilizationService/EndExemption", UtilizationWrite),
    ("tidemark.utilization.v1.UtilizationService/PreviewRenewal", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/GetCoverage", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/ListAlerts", UtilizationRead),
    ("tidemark.utilization.v1.UtilizationService/Export", UtilizationRead),
];

/// Services that anybody may call: whether a process is healthy, and what it speaks.
const OPEN: [&str; 2] = ["grpc.health.v1.", "grpc.reflection.v1."];

/// Where a method stands in the table.
pub(crate) fn place(method: &str) -> Option<usize> {
    static PLACES: LazyLock<HashMap<&str, usize>> =
        LazyLock::new(|| METHODS.iter().map(|(name, _)| *name).zip(0..).collect());
    PLACES.get(method).copied()
}

/// Whether the method at that place in the table answers with a stream, which lasts.
pub(crate) fn is_stream(place: usize) -> bool {
    static STREAMS: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let set = prost_types::FileDescriptorSet::decode(crate::DESCRIPTORS).unwrap_or_default();
        let methods = set.file.iter().flat_map(|file| {
            file.service.iter().flat_map(move |service| {
                let streams = service.method.iter().filter(|method| method.server_streaming());
                streams.map(move |method| format!("{}.{}/{}", file.package(), service.name(), method.name()))
            })
        });
        methods.collect()
    });
    STREAMS.contains(METHODS[place].0)
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Whoever has the scope.
    Needs(Scope),
    /// Nobody: the table does not know it.
    Closed,
}

impl Access {
    /// Of the method at that path, `/package.Service/Method`.
    pub fn of(path: &str) -> Self {
        let method = path.strip_prefix('/').unwrap_or(path);
        Self::at(place(method), method)
    }

    /// Of the method at that place in the table.
    pub(crate) fn at(place: Option<usize>, method: &str) -> Self {
        if let Some(place) = place {
            return Self::Needs(METHODS[place].1);
        }
        if OPEN.iter().any(|service| method.starts_with(service)) { Self::Open } else { Self::Closed }
    }
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 16] = [
        ConnectionsRead,
        ConnectionsWrite,
        CredentialsRelease,
        CredentialsReport,
        InvitationsRead,
        InvitationsWrite,
        LinksUse,
        ConsoleMint,
        ConsoleUse,
        WebhooksRead,
        WebhooksWrite,
        EventsWatch,
        SyncsRead,
        SyncsWrite,
        UtilizationRead,
        UtilizationWrite,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectionsRead => "connections:read",
            ConnectionsWrite => "connections:write",
            CredentialsRelease => "credentials:release",
            CredentialsReport => "credentials:report",
            InvitationsRead => "invitations:read",
            InvitationsWrite => "invitations:write",
            LinksUse => "links:use",
            ConsoleMint => "console:mint",
            ConsoleUse => "console:use",
            WebhooksRead => "webhooks:read",
            WebhooksWrite => "webhooks:write",
            EventsWatch => "events:watch",
            SyncsRead => "syncs:read",
            SyncsWrite => "syncs:write",
            UtilizationRead => "utilization:read",
            UtilizationWrite => "utilization:write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope; there are {all}", all = Scope::ALL.map(Scope::as_str).join(", "))]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope(text.chars().take(48).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn compiled() -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(crate::DESCRIPTORS).unwrap();
        let methods = set.file.iter().flat_map(|file| {
            file.service.iter().flat_map(move |service| {
                service
                    .method
                    .iter()
                    .map(move |method| format!("{}.{}/{}", file.package(), service.name(), method.name()))
            })
        });
        methods.collect()
    }

    #[test]
    fn each_method_has_one_scope_and_each_scope_a_method() {
        let listed: BTreeSet<_> = METHODS.iter().map(|(method, _)| (*method).to_owned()).collect();
        assert_eq!(listed, compiled());
        assert_eq!(listed.len(), METHODS.len(), "a method is listed twice");
        let used: BTreeSet<_> = METHODS.iter().map(|(_, scope)| *scope).collect();
        assert_eq!(used, BTreeSet::from(Scope::ALL));
    }

    #[test]
    fn streams_are_known_from_the_contract() {
        let streams = (0..METHODS.len()).filter(|place| is_stream(*place)).map(|place| METHODS[place].0);
        let names: Vec<_> = streams.map(|name| name.rsplit('/').next().unwrap_or_default()).collect();
        assert_eq!(names, ["WatchConnections", "WatchSync", "Export"]);
    }

    #[test]
    fn what_the_table_does_not_know_is_closed() {
        assert_eq!(Access::of("/tidemark.syncs.v1.SyncsService/StartSync"), Access::Needs(Scope::SyncsWrite));
        assert_eq!(Access::of("/grpc.health.v1.Health/Check"), Access::Open);
        for path in ["/tidemark.syncs.v1.SyncsService/Start", "/grpc.health.v2.Health/Check", "", "/"] {
            assert_eq!(Access::of(path), Access::Closed, "{path}");
        }
    }

    #[test]
    fn a_scope_reads_back_as_written() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("connections:all".parse::<Scope>().unwrap_err().to_string().contains("syncs:read"));
    }
}
