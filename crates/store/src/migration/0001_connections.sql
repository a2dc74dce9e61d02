-- One connected Productboard workspace. Its id and history stay through every reconnect.
create table connections (
    id {id} primary key,
    organization_id {id} not null,
    region text not null,
    workspace text,
    -- JSON list of ids by which the workspace is recognised when another credential is offered.
    anchors text not null,
    state text not null,
    reason text,
    -- Which credential is the present one.
    generation bigint not null,
    -- JSON list of findings.
    capabilities text not null,
    created_at {time} not null,
    updated_at {time} not null
);
create index connections_of_organization on connections (organization_id, id);

-- Credentials as the vault sealed them. Only the credentials service's role may read this table.
create table credentials (
    connection_id {id} not null references connections (id),
    generation bigint not null,
    algorithm text not null,
    key_id text not null,
    wrapped_key {bytes} not null,
    ciphertext {bytes} not null,
    created_at {time} not null,
    primary key (connection_id, generation)
);
