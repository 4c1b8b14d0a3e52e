-- When a node last answered some api: what one that nobody reaches had is not given up because another node answers elsewhere.
-- Times are microseconds since 1970 UTC.

create table nodes (
    id      uuid   not null primary key,
    seen_at bigint not null
);
