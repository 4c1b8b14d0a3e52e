-- The nodes that may still run something of a deleted account; its note is kept until each of them has been told.

create table gone_account_nodes (
    account_id uuid not null references gone_accounts (id) on delete cascade,
    node_id    uuid not null,
    primary key (account_id, node_id)
);
