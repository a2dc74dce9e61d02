-- Rows of the vendor's that could not be read or kept, as they came and cut to a bound: what they say is unknown until they
-- can be read. Deleted when they are, and with the connection.
create table quarantined_rows (
    connection_id {id} not null,
    stream text not null,
    -- The id and the day where they can be told, or else a digest of the row: never longer than 64 characters.
    row_key text not null,
    -- The member of a day of activity, or the row's own id; null where it cannot be told.
    row_id {uuid},
    -- The first and the last day that a row of activity may be of.
    day_from {date},
    day_to {date},
    -- What is wrong, without the value.
    problem text not null,
    raw text not null,
    run_id {id} not null,
    first_seen_at {time} not null,
    last_seen_at {time} not null,
    primary key (connection_id, stream, row_key)
);

-- When somebody accepted that the next list may have lost much: a list that was under way then is not the next one.
alter table stream_marks add column accepted_at {time};

-- Roles were told apart by case: numbers of workspaces that have such ones are computed again.
update rollup_heads set definition_version = 0 where connection_id in (
    select connection_id from member_versions
    where role <> lower(role) and lower(role) in ('admin', 'maker', 'editor', 'viewer', 'contributor'));
delete from rollup_numbers where cut_kind = 'role' and cut_key <> lower(cut_key)
    and lower(cut_key) in ('admin', 'maker', 'editor', 'viewer', 'contributor');

-- Whatever the length of a name, what is indexed of it has a bound.
drop index members_by_name;
create index members_by_name on members (connection_id, (substr(coalesce(lower(name), ''), 1, 200)), member_id);

comment on table quarantined_rows is 'Rows of the vendor that could not be read or kept; may hold personal data.';
comment on column stream_marks.accepted_at is 'Since when the next list is believed however much it lost.';
