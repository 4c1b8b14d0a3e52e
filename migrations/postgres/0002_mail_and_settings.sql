-- Links sent by mail, what an account has set, and where its devices were last seen.

-- The address of the last sign-in or refresh.
alter table devices add column address text;

create table mail_tokens (
    -- SHA-256 of the token.
    token_hash bytea  not null primary key,
    user_id    uuid   not null references users (id) on delete cascade,
    purpose    text   not null check (purpose in ('reset', 'verify')),
    -- where it was sent: it proves that address and no later one.
    email_key  text   not null,
    expires_at bigint not null
);

create index mail_tokens_of_user on mail_tokens (user_id);

create table user_settings (
    user_id               uuid    not null primary key references users (id) on delete cascade,
    theme                 text    not null,
    timezone              text    not null,
    language              text    not null,
    -- JSON objects.
    terminal_preferences  text    not null,
    ai_preferences        text    not null,
    sync_enabled          boolean not null,
    notifications_enabled boolean not null,
    updated_at            bigint  not null
);
