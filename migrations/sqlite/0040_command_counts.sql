-- How many commands a session's shell has run, once the session has ended; while it lives its node knows.
alter table sessions add column command_count integer not null default 0;
