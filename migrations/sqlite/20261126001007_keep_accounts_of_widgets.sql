-- Written by the crate `commands` alone: which account a widget was added to, committed with the event. A widget belongs to one
-- account, and commands find it here: views may be behind.
CREATE TABLE widget_accounts (
    widget_id  TEXT PRIMARY KEY,
    account_id TEXT NOT NULL
) STRICT;
CREATE INDEX widget_accounts_account ON widget_accounts (account_id);
INSERT INTO widget_accounts (widget_id, account_id)
SELECT json_extract(payload, '$.WidgetAdded.widget'), aggregate_id FROM events WHERE event_type = 'WidgetAdded' ORDER BY position
ON CONFLICT DO NOTHING;
