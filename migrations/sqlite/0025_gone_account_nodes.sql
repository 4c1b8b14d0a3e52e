-- The nodes that may still run something of a deleted account; its note is kept until each of them has been told.
-- Ids are 16-byte UUIDs.

create table gone_account_nodes (
    account_id blob not null references gone_accounts (id) on delete cascade,
    node_id    blob not null,
    primary key (account_id, node_id)
) strict;
