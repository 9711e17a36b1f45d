-- Written by the crate `commands` alone: which account a widget was added to, committed with the event. A widget belongs to one
-- account, and commands find it here: views may be behind.
CREATE TABLE widget_accounts (
    widget_id  TEXT COLLATE "C" PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL
);
CREATE INDEX widget_accounts_account ON widget_accounts (account_id);
INSERT INTO widget_accounts (widget_id, account_id)
SELECT payload -> 'WidgetAdded' ->> 'widget', aggregate_id FROM events WHERE event_type = 'WidgetAdded' ORDER BY position
ON CONFLICT DO NOTHING;
