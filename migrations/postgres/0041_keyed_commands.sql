-- Of a command with an Idempotency-Key: its number in its session once its shell has begun it. Null: not known to be typed.
alter table kept_answers add column command_number bigint;
