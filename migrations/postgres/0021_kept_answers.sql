-- Answers to requests with an Idempotency-Key, so that the same request again gets the same one.
-- Times are microseconds since 1970 UTC.

create table kept_answers (
    user_id     uuid   not null references users (id) on delete cascade,
    route       text   not null,
    -- SHA-256 of the key.
    key_hash    bytea  not null,
    -- HMAC-SHA-256 of the body, under the key: a body may hold a secret that could be guessed from a plain hash.
    fingerprint bytea  not null,
    -- which attempt is under way, and until when it may be.
    attempt_id  uuid   not null,
    held_until  bigint not null,
    -- the id of what is made: whoever goes on after an api that died makes the same thing.
    resource_id uuid   not null,
    expires_at  bigint not null,
    -- null: under way.
    status      bigint,
    body        bytea,
    primary key (user_id, route, key_hash)
);

create index kept_answers_by_end on kept_answers (expires_at);
