//! A subscription, and the checks that its draft must pass.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use uuid::Uuid;

use super::event;
use crate::error::ApiError;
use crate::{Access, TokenKind};

/// So many events in a row that had to be dropped disable a subscription. The vendor says "too many failures".
const MOST_DROPPED: u32 = 3;

pub(crate) struct Subscription {
    pub(crate) id: Uuid,
    domain: String,
    app: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) draft: Draft,
    dropped_in_a_row: AtomicU32,
}

/// A subscription as the vendor keeps it; its API tells none of the last two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookState {
    /// The subscription.
    pub webhook_id: Uuid,
    /// The application that made it, if one did.
    pub app: Option<String>,
    /// Where events go.
    pub url: String,
    /// Which ones.
    pub events: Vec<String>,
    /// So many of the last events had to be dropped after nine failures each.
    pub dropped_in_a_row: u32,
    /// Three were. It gets no more events, and those on their way are lost: delete it and subscribe again.
    pub disabled: bool,
}

/// What a client asks for.
#[derive(Deserialize)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) events: Vec<Wanted>,
    pub(crate) notification: Notification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted {
    pub(crate) event_type: String,
}

#[derive(Deserialize)]
pub(crate) struct Notification {
    pub(crate) url: String,
    pub(crate) version: u32,
    #[serde(default)]
    pub(super) headers: Headers,
}

#[derive(Default, Deserialize)]
pub(super) struct Headers {
    pub(super) authorization: Option<String>,
}

impl Subscription {
    pub(super) fn new(
        id: Uuid,
        domain: &str,
        access: &Access,
        created_at: DateTime<Utc>,
        draft: Draft,
    ) -> Self {
        let (domain, app) = (domain.to_owned(), access.app.clone());
        Self { id, domain, app, created_at, draft, dropped_in_a_row: AtomicU32::new(0) }
    }

    pub(super) fn note_taken(&self) {
        // What was on its way when it was disabled does not bring it back.
        let again = |dropped| (dropped < MOST_DROPPED).then_some(0);
        let _ = self.dropped_in_a_row.fetch_update(Ordering::Relaxed, Ordering::Relaxed, again);
    }

    pub(super) fn note_dropped(&self) {
        self.dropped_in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.dropped_in_a_row.load(Ordering::Relaxed) >= MOST_DROPPED
    }

    pub(super) fn told(&self) -> WebhookState {
        WebhookState {
            webhook_id: self.id,
            app: self.app.clone(),
            url: self.draft.notification.url.clone(),
            events: self.draft.events.iter().map(|wanted| wanted.event_type.clone()).collect(),
            dropped_in_a_row: self.dropped_in_a_row.load(Ordering::Relaxed),
            disabled: self.is_disabled(),
        }
    }

    pub(super) fn is_visible(&self, domain: &str, access: &Access) -> bool {
        let is_own = self.app.is_some() && self.app == access.app;
        self.domain == domain && (access.kind == TokenKind::ApiKey || is_own)
    }

    pub(super) fn listens(&self, domain: &str, event_type: &str) -> bool {
        self.domain == domain && self.draft.events.iter().any(|wanted| wanted.event_type == event_type)
    }

    pub(super) fn domain(&self) -> &str {
        &self.domain
    }
}

impl Draft {
    /// The schema is 400, a target that cannot be reached from the vendor's side 422.
    pub(crate) fn check(&self, local_allowed: bool) -> Result<(), ApiError> {
        let Notification { url, version, headers } = &self.notification;
        if !(1..=255).contains(&self.name.chars().count()) {
            return Err(ApiError::invalid("/data/fields/name must be 1 to 255 characters"));
        }
        let mut seen = HashSet::new();
        let are_known = self
            .events
            .iter()
            .all(|wanted| event::scope(&wanted.event_type).is_some() && seen.insert(&wanted.event_type));
        if self.events.is_empty() || !are_known {
            return Err(ApiError::invalid(
                "/data/fields/events must name known events, each once, at least one",
            ));
        }
        if *version != 1 {
            return Err(ApiError::invalid("/data/fields/notification/version must be 1"));
        }
        if headers.authorization.as_ref().is_some_and(|value| value.len() > 2048) {
            return Err(ApiError::invalid("The authorization must be at most 2048 characters"));
        }
        target(url, local_allowed)
    }
}

fn target(url: &str, local_allowed: bool) -> Result<(), ApiError> {
    let invalid =
        || ApiError::invalid("/data/fields/notification/url must be an https URL of at most 1024 characters");
    if url.len() > 1024 {
        return Err(invalid());
    }
    let url = Url::parse(url).map_err(|_| invalid())?;
    let local = url.host().is_none_or(|host| is_local(&host));
    if local && local_allowed && url.scheme() == "http" {
        return Ok(());
    }
    if url.scheme() != "https" {
        return Err(invalid());
    }
    if local {
        return Err(ApiError::unprocessable(
            "/data/fields/notification/url",
            "The URL must be resolvable publicly and not local",
        ));
    }
    Ok(())
}

fn is_local(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            !name.contains('.') || [".local", ".localhost", ".internal"].iter().any(|end| name.ends_with(end))
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback() || address.is_unique_local(),
    }
}
