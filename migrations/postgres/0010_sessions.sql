-- Sessions: what was asked for, and how they ended. While one lives, its ptyd holds the truth; the row follows.
-- Times are microseconds since 1970 UTC.

create table sessions (
    id                uuid    not null primary key,
    owner_id          uuid    not null references users (id) on delete cascade,
    -- the ptyd it is on; null: none has answered yet.
    node_id           uuid,
    name              text,
    -- the name of a session made or named over HTTP, which no other living one of its owner has.
    name_key          text,
    description       text,
    -- program and arguments as a JSON list; null: not known, or the login shell.
    command           text,
    working_directory text,
    rows              bigint not null,
    cols              bigint not null,
    -- seconds.
    idle_timeout      bigint,
    max_duration      bigint,
    status            text    not null
        check (status in ('starting', 'running', 'exited', 'terminated', 'failed', 'lost')),
    created_at        bigint not null,
    started_at        bigint,
    ended_at          bigint,
    last_activity_at  bigint,
    exit_code         bigint,
    exit_signal       text,
    reason            text    check (reason in ('terminated', 'idle_timeout', 'max_duration')),
    error_message     text,
    title             text,
    cwd               text,
    bytes_out         bigint not null,
    -- name, description, command and title in lower case.
    search_text       text    not null
);

create index sessions_of_owner on sessions (owner_id, created_at);
create index sessions_not_ended on sessions (id) where ended_at is null;
create index sessions_of_node on sessions (node_id, ended_at);
create unique index sessions_by_name on sessions (owner_id, name_key) where ended_at is null;
