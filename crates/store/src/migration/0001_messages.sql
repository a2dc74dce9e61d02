-- Messages that leave in the transaction of their cause. A relay claims, publishes and marks them.
create table outbox (
    id {serial},
    message_id text not null,
    ordering_key {id} not null,
    kind text not null,
    name text not null,
    body {bytes} not null,
    created_at {time} not null,
    claimed_until {time},
    sent_at {time}
);
create index outbox_unsent on outbox (ordering_key, id) where sent_at is null;
create index outbox_unsent_oldest on outbox (id) where sent_at is null;
create index outbox_sent on outbox (sent_at) where sent_at is not null;
create index outbox_of_key on outbox (ordering_key, id);

-- What each consumer has seen; written in the transaction of the effect.
create table inbox (
    consumer text not null,
    message_id text not null,
    seen_at {time} not null,
    primary key (consumer, message_id)
);
