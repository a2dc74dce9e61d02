-- Where events are posted to.
create table webhook_endpoints (
    id {id} primary key,
    -- Whose events. `org_zzz…` for those of all organizations.
    organization_id {id} not null,
    url text not null,
    -- JSON list of patterns.
    event_types text not null,
    -- Null while it is enabled.
    disabled_reason text,
    secret_version bigint not null,
    -- Deliveries given up since the last one that was taken.
    dead_in_a_row bigint not null,
    created_at {time} not null,
    updated_at {time} not null
);
create index webhook_endpoints_of_organization on webhook_endpoints (organization_id, id);

-- Signing secrets as the vault sealed them. Only the credentials service's role may read this table.
create table webhook_secrets (
    endpoint_id {id} not null references webhook_endpoints (id) on delete cascade,
    version bigint not null,
    algorithm text not null,
    key_id text not null,
    wrapped_key {bytes} not null,
    ciphertext {bytes} not null,
    created_at {time} not null,
    -- Null for the present one.
    signs_until {time},
    primary key (endpoint_id, version)
);

-- One event on its way to one endpoint, with a copy of the event: it outlives the feed's.
create table webhook_deliveries (
    id {id} primary key,
    endpoint_id {id} not null references webhook_endpoints (id) on delete cascade,
    event_id {id} not null,
    kind text not null,
    body {bytes} not null,
    state text not null,
    attempts bigint not null,
    -- Since it was last asked for.
    failures bigint not null,
    -- Null unless it is pending.
    next_attempt_at {time},
    claimed_until {time},
    created_at {time} not null,
    constraint webhook_deliveries_pending_when_due check ((next_attempt_at is not null) = (state = 'pending'))
);
create unique index webhook_deliveries_once on webhook_deliveries (endpoint_id, event_id);
create index webhook_deliveries_of_endpoint on webhook_deliveries (endpoint_id, id);
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_attempt_at)
    where next_attempt_at is not null;
create index webhook_deliveries_old on webhook_deliveries (created_at);

-- What became of each attempt.
create table webhook_attempts (
    delivery_id {id} not null references webhook_deliveries (id) on delete cascade,
    number bigint not null,
    at {time} not null,
    duration_ms bigint not null,
    -- Null where there was no answer.
    status bigint,
    -- Null where the endpoint took it.
    failure text,
    -- The start of the answer, without secrets.
    response text,
    primary key (delivery_id, number)
);
