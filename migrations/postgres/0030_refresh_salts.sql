-- What a spent refresh token and its successor have to do with each other: the successor is the MAC of this under the spent
-- token, so that who shows the spent one again at once is given the same, and the database alone reveals neither. Null
-- while the token is not spent, and again once its successor is not given a second time.

alter table refresh_tokens add column successor_salt bytea;
