-- Service tokens. The secret is in the caller's hands only; its hash is enough to know it again.
create table service_tokens (
    id {id} primary key,
    name text not null,
    -- SHA-256 of 256 random bits.
    hash {bytes} not null,
    -- JSON list of scopes.
    scopes text not null,
    -- JSON list of organizations the caller may see; all, where there is none.
    organizations text,
    created_at {time} not null,
    expires_at {time},
    revoked_at {time},
    -- To the minute.
    last_used_at {time}
);

-- Who did what with which outcome. Each entry's hash covers the entry and the hash before it.
create table audit (
    -- An organization, or `platform` for what belongs to none.
    organization {id} not null,
    sequence bigint not null,
    at {time} not null,
    actor text not null,
    action text not null,
    subject text not null,
    outcome text not null,
    -- JSON object without secrets.
    details text not null,
    previous {bytes} not null,
    hash {bytes} not null,
    primary key (organization, sequence)
);

-- The last entry of each chain: whoever appends locks this row first.
create table audit_heads (
    organization {id} primary key,
    sequence bigint not null,
    hash {bytes} not null
);
