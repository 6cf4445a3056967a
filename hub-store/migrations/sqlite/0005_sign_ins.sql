-- How often everything that was signed in as the user has ended at once. What was looked
-- at before such an end begins nothing after it.
ALTER TABLE users ADD COLUMN sign_outs INTEGER NOT NULL DEFAULT 0;
-- The way of signing in that it began with; unknown of sessions from before this step.
ALTER TABLE sessions ADD COLUMN provider TEXT;
-- The token that the code was changed into. The row stays until the code expires, so that
-- a second use is known for what it is. No reference: it says so after the token's end, too.
ALTER TABLE oauth_codes ADD COLUMN token_id INTEGER;
