-- Hosted connect links: redeemed once for a short session, with which one connection can be made.
create table connect_links (
    id {id} primary key,
    organization_id {id} not null,
    organization_name text not null,
    application text not null,
    -- The connection that is to be reconnected; none where a new one is to be made.
    connection_id {id} references connections (id) on delete cascade,
    return_url text not null,
    created_by text not null,
    -- Each goes when it has been used up.
    token_hash {bytes} unique,
    session_hash {bytes} unique,
    created_at {time} not null,
    expires_at {time} not null,
    redeemed_at {time},
    session_expires_at {time},
    used_at {time},
    made_connection_id {id}
);
create index connect_links_of_connection on connect_links (connection_id) where connection_id is not null;
create index connect_links_old on connect_links (expires_at);
