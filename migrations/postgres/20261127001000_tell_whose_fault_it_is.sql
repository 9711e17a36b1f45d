-- What is held counts against the token from then on: an answer that says nothing of it, after a day. NULL: at once.
ALTER TABLE verdicts ADD COLUMN sure_from TIMESTAMPTZ;
-- The token works, and reading is refused.
ALTER TABLE verdicts ADD COLUMN reading BOOLEAN NOT NULL DEFAULT FALSE;
-- An incident that Meta's words make the app's matter: which row of the table of answers, and what Meta said, without what names
-- anybody. NULL: many tokens were refused at once.
ALTER TABLE incidents ADD COLUMN cause TEXT;
ALTER TABLE incidents ADD COLUMN words TEXT;
