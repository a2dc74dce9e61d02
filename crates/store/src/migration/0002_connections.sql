-- How a connection stands behind its state, how it sends its API key, and when it is looked after next.

-- bearer or basic: how the API key is sent.
alter table connections add column auth_scheme text not null default 'bearer';
-- JSON list of capabilities that it could read once and cannot read now.
alter table connections add column lost text not null default '[]';
-- The last warning before its end, in days.
alter table connections add column warned_days bigint;
-- Grows with every write: two writers that both read the same row do not both win.
alter table connections add column revision bigint not null default 0;
-- When it is tried next; null is at once.
alter table connections add column next_probe_at {time};
-- When everything it can read was last asked for.
alter table connections add column probed_at {time};
-- After a disconnect: null keeps the facts, `asked` is being deleted, `done` is.
alter table connections add column purge text;

create index connections_due on connections (next_probe_at);
create index connections_purged on connections (id) where purge = 'asked';

-- The times in which a connection needed a person.
create table reconnect_episodes (
    id {serial},
    connection_id {id} not null references connections (id),
    reason text not null,
    -- Which credential was refused.
    generation bigint not null,
    opened_at {time} not null,
    closed_at {time}
);
-- At most one open episode per connection: so many replicas may find out at once.
create unique index reconnect_episodes_one_open on reconnect_episodes (connection_id) where closed_at is null;
create index reconnect_episodes_of_connection on reconnect_episodes (connection_id, id);
