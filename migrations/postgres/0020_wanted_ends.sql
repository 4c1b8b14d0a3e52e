-- When an operator asked for a session's end; an api that runs carries it out.
alter table sessions add column end_wanted_at bigint;
create index sessions_wanted_to_end on sessions (id) where end_wanted_at is not null and ended_at is null;
