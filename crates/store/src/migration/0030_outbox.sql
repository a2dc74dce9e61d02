-- A message that the broker refuses waits longer each time, and in the end is set aside: the messages behind it go on.
alter table outbox add column attempts bigint not null default 0;
-- Null: at once.
alter table outbox add column next_attempt_at {time};
-- Why the last attempt failed.
alter table outbox add column failure text;
-- Since when it is set aside; an operator sends it again or drops it (`tidemark queue outbox`).
alter table outbox add column dead_at {time};

create index outbox_dead on outbox (dead_at) where dead_at is not null;
