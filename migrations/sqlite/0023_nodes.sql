-- When a node last answered some api: what one that nobody reaches had is not given up because another node answers elsewhere.
-- Times are microseconds since 1970 UTC; ids are 16-byte UUIDs.

create table nodes (
    id      blob    not null primary key,
    seen_at integer not null
) strict;
