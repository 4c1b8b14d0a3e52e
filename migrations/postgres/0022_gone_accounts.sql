-- Accounts that were deleted while their node could not be told to end their sessions: an api ends what still runs of them
-- when the node is back. Nothing of the account but its id, which refers to nothing any more.
-- Times are microseconds since 1970 UTC.

create table gone_accounts (
    id      uuid   not null primary key,
    gone_at bigint not null
);
