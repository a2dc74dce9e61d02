-- The trace that a message belongs to, as a W3C traceparent; null where traces are off.
alter table outbox add column traceparent text;
