-- Accounts, their signed-in devices, and each device's chain of refresh tokens.
-- Times are microseconds since 1970 UTC.

create table users (
    id                uuid    not null primary key,
    email             text    not null,
    -- email and username as they are compared: trimmed and lower case.
    email_key         text    not null unique,
    username          text    not null,
    username_key      text    not null unique,
    display_name      text,
    -- argon2id in PHC form; null: nobody has set one yet, only a first-run link signs in.
    password_hash     text,
    subscription_tier text    not null check (subscription_tier in ('free', 'pro', 'team', 'enterprise')),
    is_active         boolean not null,
    is_verified       boolean not null,
    is_admin          boolean not null,
    created_at        bigint  not null,
    last_login_at     bigint
);

create table devices (
    id           uuid   not null primary key,
    user_id      uuid   not null references users (id) on delete cascade,
    name         text,
    device_type  text   check (device_type in ('ios', 'android', 'web', 'cli')),
    created_at   bigint not null,
    last_seen_at bigint not null,
    -- set once, when the device is signed out; the row is the truth of every revocation.
    revoked_at   bigint
);

create index devices_of_user on devices (user_id);

create table refresh_tokens (
    -- SHA-256 of the token.
    token_hash bytea  not null primary key,
    device_id  uuid   not null references devices (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null,
    -- when its successor was handed out.
    spent_at   bigint
);

create index refresh_tokens_of_device on refresh_tokens (device_id);
