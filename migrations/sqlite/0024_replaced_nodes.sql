-- What tells a node that was replaced from one that another api leads to, and sessions that are to be gone once their node is
-- reached. Times are microseconds since 1970 UTC; ids are 16-byte UUIDs.

-- When it first answered some api; 0: before this was noted.
alter table nodes add column first_at integer not null default 0;

-- Apis that run, each by an id of its process.
create table apis (
    id      blob    not null primary key,
    seen_at integer not null
) strict;

-- Sessions that their owner deleted while their node could not be told.
create table unwanted_sessions (
    id        blob    not null primary key,
    owner_id  blob    not null references users (id) on delete cascade,
    -- null: none had answered for it yet.
    node_id   blob,
    noted_at  integer not null
) strict;

create index unwanted_sessions_of_owner on unwanted_sessions (owner_id);
