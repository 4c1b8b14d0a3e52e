-- Sessions: what was asked for, and how they ended. While one lives, its ptyd holds the truth; the row follows.
-- Times are microseconds since 1970 UTC; ids are 16-byte UUIDs.

create table sessions (
    id                blob    not null primary key,
    owner_id          blob    not null references users (id) on delete cascade,
    -- the ptyd it is on; null: none has answered yet.
    node_id           blob,
    name              text,
    -- the name of a session made or named over HTTP, which no other living one of its owner has.
    name_key          text,
    description       text,
    -- program and arguments as a JSON list; null: not known, or the login shell.
    command           text,
    working_directory text,
    rows              integer not null,
    cols              integer not null,
    -- seconds.
    idle_timeout      integer,
    max_duration      integer,
    status            text    not null
        check (status in ('starting', 'running', 'exited', 'terminated', 'failed', 'lost')),
    created_at        integer not null,
    started_at        integer,
    ended_at          integer,
    last_activity_at  integer,
    exit_code         integer,
    exit_signal       text,
    reason            text    check (reason in ('terminated', 'idle_timeout', 'max_duration')),
    error_message     text,
    title             text,
    cwd               text,
    bytes_out         integer not null,
    -- name, description, command and title in lower case.
    search_text       text    not null
) strict;

create index sessions_of_owner on sessions (owner_id, created_at);
create index sessions_not_ended on sessions (id) where ended_at is null;
create index sessions_of_node on sessions (node_id, ended_at);
create unique index sessions_by_name on sessions (owner_id, name_key) where ended_at is null;
