-- Until when somebody may be asking its node for a session that is starting, in microseconds since 1970 UTC. 0: nobody is,
-- so that the node's next roll tells what became of it; null: whoever entered it is, for as long as a request is tried.
alter table sessions add column asked_until bigint;
