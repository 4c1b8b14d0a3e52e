-- Until when a tier is paid for; null: it does not end. Past it the account is free.
alter table users add column subscription_expires_at integer;
