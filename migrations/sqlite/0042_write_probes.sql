-- What is written to see whether the database takes writes again, once it has refused one.
create table write_probes (
    id      integer primary key,
    filling blob not null
) strict;
