-- The history of one connection, newest first.
create index feed_of_connection on feed (connection_id, position) where position is not null;

-- Recommendations that somebody took on. One lives as long as the same is recommended of the same member.
create table acceptances (
    connection_id {id} not null,
    member_id {uuid} not null,
    -- What was recommended.
    action text not null,
    -- Who took it on, as people know them.
    accepted_by text not null,
    accepted_at {time} not null,
    primary key (connection_id, member_id)
);
