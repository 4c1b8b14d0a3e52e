-- What is written to see whether the database takes writes again, once it has refused one.
create table write_probes (
    id      bigint primary key,
    filling bytea not null
);
