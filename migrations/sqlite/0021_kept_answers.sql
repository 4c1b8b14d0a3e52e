-- Answers to requests with an Idempotency-Key, so that the same request again gets the same one.
-- Times are microseconds since 1970 UTC; ids are 16-byte UUIDs.

create table kept_answers (
    user_id     blob    not null references users (id) on delete cascade,
    route       text    not null,
    -- SHA-256 of the key.
    key_hash    blob    not null,
    -- HMAC-SHA-256 of the body, under the key: a body may hold a secret that could be guessed from a plain hash.
    fingerprint blob    not null,
    -- which attempt is under way, and until when it may be.
    attempt_id  blob    not null,
    held_until  integer not null,
    -- the id of what is made: whoever goes on after an api that died makes the same thing.
    resource_id blob    not null,
    expires_at  integer not null,
    -- null: under way.
    status      integer,
    body        blob,
    primary key (user_id, route, key_hash)
) strict;

create index kept_answers_by_end on kept_answers (expires_at);
